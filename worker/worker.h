#ifndef IMPCERT_WORKER_WORKER_H
#define IMPCERT_WORKER_WORKER_H

#include "worker/flow.h"

/* One worker: a loop thread with a flow of its own, sharing nothing with other workers but the pool of
 * MongoDB clients and the rate limiter. A process runs as many as it has cores. */
struct worker;

/* Opens all rooms, waiting for nobody; config's descriptors are filled in here. exit_fd is an eventfd,
 * signalled when the worker has ended. NULL with the reason: a setting that some library does not take.
 * Thread: main. */
struct worker *worker_open(const struct flow_config *config, int exit_fd, struct error *error);
/* The thread must not be running. NULL is fine. Thread: main. */
void worker_close(struct worker *worker);

/* Starts the thread. Thread: main. */
bool worker_start(struct worker *worker, struct error *error);
/* Asks it to drain: take nothing new, finish what is in flight until drain_until_ns (monotonic), commit,
 * leave the group, end. Thread: any. */
void worker_stop(struct worker *worker, int64_t drain_until_ns);
/* Whether the thread has ended; error gets the reason where it ended by a failure, else an empty text.
 * Thread: main. */
bool worker_ended(struct worker *worker, struct error *error);

#endif
