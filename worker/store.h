#ifndef IMPCERT_WORKER_STORE_H
#define IMPCERT_WORKER_STORE_H

#include "common/health.h"
#include "common/settings.h"
#include "worker/job.h"
#include "worker/metrics.h"

#include <mongoc/mongoc.h>
#include <stdint.h>

/* Documents into MongoDB, by a small pool of threads that write whole batches. A batch is retried until
 * MongoDB has taken or refused each document; nothing is dropped while MongoDB is away. */
struct store;

/* Threads of one store, each with a MongoDB client of its own. */
enum { STORE_THREADS = 2 };

/* Starts the threads. wake_fd is signalled when jobs come back. Everything is borrowed for its life. Thread:
 * loop. */
struct store *store_open(const struct settings *settings, mongoc_client_pool_t *clients, int wake_fd,
    struct health_part *health, struct metrics *metrics, struct error *error);
/* Waits for the threads, which give up batches that MongoDB does not take; jobs inside are forgotten: the
 * caller owns them all. NULL is fine. Thread: loop. */
void store_close(struct store *store);

/* Takes a verified job, which is on no list. Thread: loop. */
void store_add(struct store *store, struct job *job, int64_t now_ns);
/* Hands over the batches that are due. Thread: loop. */
void store_turn(struct store *store, int64_t now_ns);
int64_t store_due_ns(const struct store *store);
/* Jobs inside. Thread: loop. */
size_t store_count(const struct store *store);
/* Jobs that came back, in state JOB_STORING: stored, unless verdict says REASON_STORE_REJECTED. For the
 * caller to move on. Borrowed. Thread: loop. */
struct job_list *store_collect(struct store *store);

#endif
