/* The waiting jobs of one worker. Loop thread. */
#include "worker/retry.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/heap.h"

#include <stdlib.h>

struct retry {
    struct heap waiting; /* jobs on no list, by due time */
    struct backoff backoff;
    int attempts; /* most tries of a job in process */
};

struct retry *retry_new(const struct settings *settings)
{
    struct retry *retry = calloc(1, sizeof *retry);
    if (!retry)
        return NULL;
    retry->attempts = (int)settings_number(settings, SETTING_ATTEMPTS);
    backoff_init(&retry->backoff, settings_ms(settings, SETTING_BACKOFF) * CLOCK_MS,
        settings_ms(settings, SETTING_BACKOFF_MAX) * CLOCK_MS);
    return retry;
}

void retry_free(struct retry *retry)
{
    if (!retry)
        return;
    heap_cleanup(&retry->waiting);
    free(retry);
}

bool retry_left(const struct retry *retry, const struct job *job)
{
    return job->attempts < retry->attempts;
}

bool retry_add_due(struct retry *retry, struct job *job)
{
    job->state = JOB_WAITING;
    return heap_push(&retry->waiting, job->due_ns, job);
}

bool retry_add(struct retry *retry, struct job *job, int failures, int64_t now_ns)
{
    job->due_ns = now_ns + backoff_delay(&retry->backoff, failures);
    return retry_add_due(retry, job);
}

bool retry_release(struct retry *retry, struct job_list *ready, int64_t now_ns)
{
    struct job *job = heap_pop_due(&retry->waiting, now_ns);
    if (job)
        job_move(job, NULL, ready, JOB_READY);
    return job;
}

int64_t retry_due_ns(const struct retry *retry)
{
    return heap_due_ns(&retry->waiting);
}

size_t retry_count(const struct retry *retry)
{
    return retry->waiting.count;
}
