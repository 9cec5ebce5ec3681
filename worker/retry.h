#ifndef IMPCERT_WORKER_RETRY_H
#define IMPCERT_WORKER_RETRY_H

#include "common/settings.h"
#include "worker/job.h"

#include <stddef.h>
#include <stdint.h>

/* Jobs that wait in process for their next try, by exponential backoff with full jitter. Thread: loop. */
struct retry;

/* NULL when out of memory. */
struct retry *retry_new(const struct settings *settings);
/* Jobs inside are forgotten: the caller owns them all. NULL is fine. */
void retry_free(struct retry *retry);

/* Whether the job's failed tries leave another one. */
bool retry_left(const struct retry *retry, const struct job *job);
/* Takes a job, on no list, until the backoff behind that many failures is over. False when out of memory: the
 * caller keeps it. */
bool retry_add(struct retry *retry, struct job *job, int failures, int64_t now_ns)
    __attribute__((warn_unused_result));
/* The same, until the job's due_ns. */
bool retry_add_due(struct retry *retry, struct job *job) __attribute__((warn_unused_result));
/* Moves one job that is due to the end of ready; false where none is. */
bool retry_release(struct retry *retry, struct job_list *ready, int64_t now_ns);

int64_t retry_due_ns(const struct retry *retry);
size_t retry_count(const struct retry *retry);

#endif
