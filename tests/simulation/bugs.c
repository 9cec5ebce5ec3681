/* What gets between rooms of the worker: to hear that a record has ended, and to put in mistakes on purpose,
 * so as to see that the simulation notices them. Main thread. Without a mistake, each function here does what
 * the real one does. */
#include "process.h"
#include "worker/assignment.h"
#include "worker/breaker.h"
#include "worker/completions.h"
#include "worker/intake.h"
#include "worker/limiter.h"
#include "worker/retry.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

/* The types are the headers' own, so that none can change unnoticed here. */
__typeof__(assignment_to_commit) __real_assignment_to_commit, __wrap_assignment_to_commit;
__typeof__(breaker_due_ns) __real_breaker_due_ns, __wrap_breaker_due_ns;
__typeof__(breaker_take) __real_breaker_take, __wrap_breaker_take;
__typeof__(completions_encode) __real_completions_encode, __wrap_completions_encode;
__typeof__(intake_done) __real_intake_done, __wrap_intake_done;
__typeof__(intake_drop) __real_intake_drop, __wrap_intake_drop;
__typeof__(limiter_take) __real_limiter_take, __wrap_limiter_take;
__typeof__(retry_left) __real_retry_left, __wrap_retry_left;

static bool bugs_has(enum bug bug)
{
    return world_current() && world_current()->bug == bug;
}

void __wrap_intake_done(struct intake *intake, struct job *job)
{
    if (job->partition->state != PARTITION_GONE)
        process_ended(world_current()->running, job->partition->topic, job->partition->id, job->offset);
    __real_intake_done(intake, job);
}

void __wrap_intake_drop(struct intake *intake, struct job *job)
{
    if (bugs_has(BUG_DROP_AS_DONE))
        __real_intake_done(intake, job);
    else
        __real_intake_drop(intake, job);
}

rd_kafka_topic_partition_list_t *__wrap_assignment_to_commit(struct assignment *assignment)
{
    rd_kafka_topic_partition_list_t *list = __real_assignment_to_commit(assignment);
    for (int i = 0; list && bugs_has(BUG_COMMIT_NEWEST) && i < list->cnt; i++)
        list->elems[i].offset =
            assignment_find(assignment, list->elems[i].topic, list->elems[i].partition)->offsets.next;
    return list;
}

size_t __wrap_completions_encode(const struct offsets *offsets, char *out, size_t size)
{
    if (!bugs_has(BUG_METADATA_NEWEST) || offsets->base < 0 || offsets->end == offsets->base)
        return __real_completions_encode(offsets, out, size);
    struct offsets wrong = *offsets;
    wrong.bits = world_alloc(offsets->words * sizeof *wrong.bits);
    memset(wrong.bits, 0xff, offsets->words * sizeof *wrong.bits);
    size_t length = __real_completions_encode(&wrong, out, size);
    free(wrong.bits);
    return length;
}

bool __wrap_retry_left(const struct retry *retry, const struct job *job)
{
    return bugs_has(BUG_TRIES_UNBOUNDED) ? job->attempts < 50 : __real_retry_left(retry, job);
}

bool __wrap_breaker_take(struct breaker *breaker, bool fresh, int64_t now_ns, bool *probe)
{
    bool granted = __real_breaker_take(breaker, fresh, now_ns, probe);
    return granted || bugs_has(BUG_BREAKER_IGNORED);
}

int64_t __wrap_breaker_due_ns(const struct breaker *breaker, bool fresh)
{
    return bugs_has(BUG_BREAKER_IGNORED) ? 0 : __real_breaker_due_ns(breaker, fresh);
}

int64_t __wrap_limiter_take(struct limiter *limiter, int64_t now_ns)
{
    int64_t due_ns = __real_limiter_take(limiter, now_ns);
    return bugs_has(BUG_WAIT_IGNORED) ? 0 : due_ns;
}
