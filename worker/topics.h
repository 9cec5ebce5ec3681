#ifndef IMPCERT_WORKER_TOPICS_H
#define IMPCERT_WORKER_TOPICS_H

#include "common/health.h"
#include "common/settings.h"

/* Sees to it that the topics that events are forwarded to exist: what is missing is created like the main
 * topic, or told where that is not allowed, until somebody has. One for the process; its work is done, and
 * its thread and client are gone, once all topics are there. */
struct topics;

/* Starts the thread; waits for no broker. names are the topics that must exist beside the main one; they are
 * copied. settings and health are borrowed for its life; health is ready once everything is there. NULL with
 * the reason on failure. Thread: main. */
struct topics *topics_open(const struct settings *settings, const char *const *names, size_t count,
    struct health_part *health, struct error *error);
/* Whether the first look is over, whatever came of it. Subscribing before would leave out topics that are
 * made only now, until the next look at the metadata. Thread: any. */
bool topics_checked(const struct topics *topics);
/* Ends the thread, wherever it is, and waits for it: for less than a second, a few where a broker that is up
 * does not answer. NULL is fine. Thread: main. */
void topics_close(struct topics *topics);

#endif
