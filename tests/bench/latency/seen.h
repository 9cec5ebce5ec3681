#ifndef IMPCERT_TESTS_LATENCY_SEEN_H
#define IMPCERT_TESTS_LATENCY_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEN_PREFIX "lat_"

/* When documents of events that are numbered from 0, SEEN_PREFIX and 12 digits, became durable: a change
 * stream tells of what a majority has. It runs on a thread of its own. */
struct seen;

/* Returns once the stream is open; NULL with a message on standard error. */
struct seen *seen_open(const char *uri, const char *database, const char *collection, size_t count);
/* Waits until all documents were seen, at most so long (ns); returns how many were. */
size_t seen_wait(struct seen *seen, int64_t patience_ns);
/* When the document of this event was seen (monotonic ns); 0: not. After seen_wait. */
int64_t seen_at(const struct seen *seen, size_t event);
void seen_close(struct seen *seen);

int64_t seen_clock_ns(void);

#endif
