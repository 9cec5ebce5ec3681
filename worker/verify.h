#ifndef IMPCERT_WORKER_VERIFY_H
#define IMPCERT_WORKER_VERIFY_H

#include "common/health.h"
#include "common/settings.h"
#include "worker/http.h"
#include "worker/job.h"
#include "worker/limiter.h"
#include "worker/metrics.h"
#include "worker/token.h"

/* Asks Iamport about jobs, all of them at once: GET /certifications/{imp_uid}. Three gates stand before a
 * call: there is a token, the circuit breaker is closed or lets a probe through, and the process's rate
 * limiter grants it. Thread: loop. */
struct verify;

/* Everything is borrowed for the room's life. */
struct verify_config {
    const struct settings *settings;
    struct http *http;
    struct token *token;
    struct limiter *limiter;
    struct health_part *health; /* whether the circuit is closed */
    struct metrics *metrics;
};

/* NULL when out of memory. */
struct verify *verify_open(const struct verify_config *config);
/* Jobs that are running are forgotten: the caller owns them all. NULL is fine. */
void verify_close(struct verify *verify);

/* Starts the calls of the jobs on ready as far as the gates let them through; the others stay there. */
void verify_start(struct verify *verify, struct job_list *ready, int64_t now_ns);
/* When a job on ready may go on, as far as breaker and limiter are concerned; CLOCK_NEVER where an answer has
 * to come first. */
int64_t verify_due_ns(const struct verify *verify);
/* Whether breaker and limiter may let a call through before until_ns. */
bool verify_opens_before(const struct verify *verify, int64_t until_ns);
/* Whether the circuit is open or half-open. */
bool verify_suspended(const struct verify *verify);
/* Whether, then, a job that has never failed was on ready at the last verify_start, to probe with. */
bool verify_has_fresh(const struct verify *verify);
/* How many probes have failed so far. */
uint64_t verify_failed_probes(const struct verify *verify);
/* There is no job. Where a probe is due nobody knows whether the outage goes on, so it is no longer told; the
 * next job is the probe. */
void verify_idle(struct verify *verify, int64_t now_ns);
/* Whether any call is running. */
bool verify_busy(const struct verify *verify);
/* Jobs whose verdict is in, for the caller to move on; they are in state JOB_VERIFYING. A verdict that would
 * be OUTCOME_RETRY is OUTCOME_OUTAGE where the circuit was open, but for a probe's. Borrowed. */
struct job_list *verify_answered(struct verify *verify);

#endif
