#ifndef IMPCERT_PRODUCER_IMPCERT_FLIGHT_H
#define IMPCERT_PRODUCER_IMPCERT_FLIGHT_H

#include "producer/include/impcert.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* The events of a handle whose end is still open, in the order in which they were taken, and the memory that
 * they take. Callers' threads let events in, the handle's thread takes them out; all functions but init and
 * cleanup lock. Thread: any. */

#define FLIGHT_ALL UINT64_MAX

/* An event on its way: the record's opaque pointer. */
struct flight_event {
    impcert_delivery call; /* may be NULL */
    void *context;         /* the caller's */
    size_t bytes;          /* of memory, by and large */

    TAILQ_ENTRY(flight_event) link;   /* of struct flight */
    STAILQ_ENTRY(flight_event) ended; /* of those that came to their end together */
    uint64_t number;                  /* rises in the order of the list */
};

STAILQ_HEAD(flight_ended, flight_event);

struct flight {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an event was taken out */
    TAILQ_HEAD(, flight_event) events;
    uint64_t next; /* the number of the next event */
    size_t count;
    size_t bytes;
    size_t bytes_most;
    uint64_t lost; /* events that came to another end than IMPCERT_OK */
};

void flight_init(struct flight *flight);
void flight_cleanup(struct flight *flight);

/* False where its bytes are too many now. The caller's until flight_end, which frees it. */
bool flight_enter(struct flight *flight, struct flight_event *event) __attribute__((warn_unused_result));
/* It was not taken, after all. The event is the caller's. */
void flight_leave(struct flight *flight, struct flight_event *event);
/* Takes out and frees those that came to their end, after their calls; lost: how many of them not well. */
void flight_end(struct flight *flight, struct flight_ended *ended, uint64_t lost);
/* Lists all that are left, each as lost; flight_end takes them. The number of them. */
uint64_t flight_rest(struct flight *flight, struct flight_ended *ended);

size_t flight_count(struct flight *flight);
/* For flight_wait: what is in flight now has lower numbers. */
uint64_t flight_now(struct flight *flight);
/* Waits for the end of all events with lower numbers than before; false where some are left at until_ns. */
bool flight_wait(struct flight *flight, uint64_t before, int64_t until_ns);

#endif
