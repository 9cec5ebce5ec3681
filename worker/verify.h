#ifndef IMPCERT_WORKER_VERIFY_H
#define IMPCERT_WORKER_VERIFY_H

#include "common/settings.h"
#include "worker/http.h"
#include "worker/job.h"
#include "worker/metrics.h"
#include "worker/token.h"

/* Asks Iamport about jobs, all of them at once: GET /certifications/{imp_uid}. Thread: loop. */
struct verify;

/* Everything is borrowed for its life. NULL when out of memory. */
struct verify *verify_open(
    const struct settings *settings, struct http *http, struct token *token, struct metrics *metrics);
/* Jobs that are running are forgotten: the caller owns them all. NULL is fine. */
void verify_close(struct verify *verify);

/* Starts the calls of the jobs on ready while there is a token; without one they stay there. */
void verify_start(struct verify *verify, struct job_list *ready, int64_t now_ns);
/* Whether any call is running. */
bool verify_busy(const struct verify *verify);
/* Jobs whose verdict is in, for the caller to move on; they are in state JOB_VERIFYING. Borrowed. */
struct job_list *verify_answered(struct verify *verify);

#endif
