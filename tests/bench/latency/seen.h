#ifndef IMPCERT_TESTS_LATENCY_SEEN_H
#define IMPCERT_TESTS_LATENCY_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Watching each document would cost MongoDB more than storing it, so only one in so many is. */
#define SEEN_EVERY 20
#define SEEN_PREFIX "seen_" /* of the imp_uid of an event that is watched, before its number */

/* When documents of watched events became durable: a change stream tells of what a majority has. It runs on a
 * thread of its own. Events are numbered from 0; each SEEN_EVERYth is watched. */
struct seen;

/* Returns once the stream is open; NULL with a message on standard error. */
struct seen *seen_open(const char *uri, const char *database, const char *collection, size_t count);
/* Waits until all watched documents were seen and as many documents are there as there are events, at most so
 * long (ns). False with a message on standard error. */
bool seen_wait(struct seen *seen, int64_t patience_ns);
/* When the document of this watched event was seen (monotonic ns). After seen_wait. */
int64_t seen_at(const struct seen *seen, size_t event);
void seen_close(struct seen *seen);

int64_t seen_clock_ns(void);

#endif
