/* From a ready job to its verdict. Loop thread. Owns the circuit breaker, and the lists of running and
 * answered jobs. */
#include "worker/verify.h"

#include "common/clock.h"
#include "common/log.h"
#include "worker/breaker.h"

#include <stdlib.h>
#include <string.h>

/* Calls started in a turn: where answers come at once, few are under way, and what they touch stays in the
 * processor's cache; where they take their time, the next turn starts the next. */
enum { VERIFY_STARTS = 32 };

#define VERIFY_PATH "certifications/"

struct verify {
    struct http *http;
    struct token *token;
    struct limiter *limiter;
    struct health_part *health;
    struct metrics *metrics;
    struct breaker breaker;
    bool fresh;   /* while suspended: some job on ready has never failed */
    bool unspent; /* the same, that has spent no try */
    uint64_t failed_probes;
    bool told;                   /* the circuit is told to be open */
    bool more;                   /* there were more to start in the last turn */
    int64_t granted_ns;          /* the limiter is to be asked again then; 0: it last granted a call */
    certification_fields fields; /* to keep */
    struct job_list running;
    struct job_list answered;
};

static certification_fields verify_fields(const struct settings *settings)
{
    certification_fields fields = CERTIFICATION_ALWAYS;
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        if (settings_has_word(settings, SETTING_STORE_FIELDS, certification_name(field)))
            fields |= CERTIFICATION_BIT(field);
    return fields;
}

struct verify *verify_open(const struct verify_config *config)
{
    struct verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return NULL;
    verify->http = config->http;
    verify->token = config->token;
    verify->limiter = config->limiter;
    verify->health = config->health;
    verify->metrics = config->metrics;
    breaker_init(&verify->breaker);
    health_assume(verify->health);
    verify->fields = verify_fields(config->settings);
    TAILQ_INIT(&verify->running);
    TAILQ_INIT(&verify->answered);
    return verify;
}

void verify_close(struct verify *verify)
{
    free(verify);
}

static void verify_tell_suspended(struct verify *verify, const char *reason)
{
    metrics_set(verify->metrics, METRIC_CIRCUIT_OPEN, 1);
    verify->told = true;
    health_fail(verify->health, "the circuit is open: %d events in a row failed, the last with %s; probing",
        BREAKER_FAILURES, reason);
}

static void verify_tell_fine(struct verify *verify)
{
    metrics_set(verify->metrics, METRIC_CIRCUIT_OPEN, 0);
    verify->told = false;
    health_ok(verify->health);
}

static enum breaker_call verify_call(const struct job *job)
{
    if (job->probe)
        return BREAKER_CALL_PROBE;
    return job->attempts ? BREAKER_CALL_REPEATED : BREAKER_CALL_FIRST;
}

/* A service that answers is there, whatever it answers. */
static void verify_tell_breaker(struct verify *verify, struct job *job, int64_t now_ns)
{
    bool failed = job->verdict.outcome == OUTCOME_RETRY && job->verdict.reason == REASON_UNAVAILABLE;
    bool suspended = verify_suspended(verify);
    verify->failed_probes += failed && job->probe;
    enum breaker_change change = failed ? breaker_failed(&verify->breaker, verify_call(job), now_ns)
                                        : breaker_succeeded(&verify->breaker, now_ns);
    if (failed && suspended && !job->probe)
        job->verdict.outcome = OUTCOME_OUTAGE;
    if (change == BREAKER_OPENED)
        metrics_add(verify->metrics, METRIC_OUTAGES, 1);
    if (change == BREAKER_OPENED || (failed && job->probe && !verify->told))
        verify_tell_suspended(verify, job->verdict.error);
    if (change != BREAKER_RECLOSED)
        return;
    /* What waited must not come down on a service that has just recovered. */
    limiter_slow_start(verify->limiter, now_ns);
    verify_tell_fine(verify);
}

static void verify_judge(struct verify *verify, struct job *job, const struct answer *answer, int64_t now_ns)
{
    classify(answer, job->imp_uid, verify->fields, &job->certification, &job->verdict);
    job->certification.verified_at_ms = clock_wall_ms();
    if (answer->transport == TRANSPORT_ANSWERED && job->verdict.outcome != OUTCOME_UNAUTHORIZED)
        token_worked(verify->token, job->token_serial);
    verify_tell_breaker(verify, job, now_ns);
    if (job->verdict.outcome == OUTCOME_THROTTLED &&
        limiter_throttled(verify->limiter, job->asked_ns, job->verdict.retry_after_s * CLOCK_S, now_ns))
        log_warn("slowed down by HTTP 429", LOG_NUMBER("retry_after_s", job->verdict.retry_after_s));
    job->probe = false;
}

static void verify_on_answer(void *context, void *subject, const struct answer *answer)
{
    struct verify *verify = context;
    struct job *job = subject;
    int64_t now = clock_ns();
    /* The token may have been renewed while the call waited for a connection. */
    if (answer->token_serial)
        job->token_serial = answer->token_serial;
    metrics_observe(verify->metrics, metrics_http(answer->http_status), now - job->asked_ns);
    verify_judge(verify, job, answer, now);
    job_move(job, &verify->running, &verify->answered, JOB_VERIFYING);
}

/* An imp_uid consists of unreserved characters (RFC 3986, section 2.3): nothing to percent-encode. */
static void verify_start_one(struct verify *verify, struct job_list *ready, struct job *job, int64_t now_ns)
{
    char path[sizeof VERIFY_PATH + EVENT_IMP_UID_SIZE] = VERIFY_PATH;
    memcpy(path + sizeof VERIFY_PATH - 1, job->imp_uid, strlen(job->imp_uid) + 1);
    job->token_serial = token_serial(verify->token);
    job->asked_ns = now_ns;
    struct http_request request = {
        .path = path,
        .token = token_value(verify->token, now_ns),
        .token_serial = job->token_serial,
        .done = verify_on_answer,
        .context = verify,
        .subject = job,
    };
    struct error error;
    metrics_add(verify->metrics, METRIC_HTTP_CALLS, 1);
    job_move(job, ready, &verify->running, JOB_VERIFYING);
    if (!http_start(verify->http, &request, &error)) {
        struct answer none = {.transport = TRANSPORT_FAILED, .failure = error.text};
        verify_on_answer(verify, job, &none);
    }
}

/* Asked in this order, since a granted call is counted and a probe's turn is taken. */
static bool verify_may_start(struct verify *verify, struct job *job, int64_t now_ns)
{
    verify->granted_ns = 0;
    if (verify_suspended(verify) && breaker_due_ns(&verify->breaker, verify->unspent) > now_ns)
        return false;
    verify->granted_ns = limiter_take(verify->limiter, now_ns);
    if (verify->granted_ns || !breaker_take(&verify->breaker, verify->unspent, now_ns, &job->probe))
        return false;
    if (job->probe)
        metrics_add(verify->metrics, METRIC_PROBES, 1);
    return true;
}

static int verify_failures(const struct job *job)
{
    return job->attempts + job->unspent;
}

/* In an outage, the job that has failed least, and of those the latest: a probe with one that is at fault
 * itself would tell nothing, and those that came with the failed ones may be like them. */
static struct job *verify_next(struct verify *verify, const struct job_list *ready)
{
    struct job *next = TAILQ_FIRST(ready), *job;
    verify->fresh = verify->unspent = false;
    if (!next || !verify_suspended(verify))
        return next;
    TAILQ_FOREACH (job, ready, link) {
        verify->unspent = verify->unspent || !job->attempts;
        if (verify_failures(job) <= verify_failures(next))
            next = job;
    }
    verify->fresh = !verify_failures(next);
    return next;
}

void verify_start(struct verify *verify, struct job_list *ready, int64_t now_ns)
{
    struct job *job;
    verify->granted_ns = 0;
    verify->more = false;
    if (!token_value(verify->token, now_ns))
        return;
    for (int i = 0; i < VERIFY_STARTS && (job = verify_next(verify, ready)); i++) {
        if (!verify_may_start(verify, job, now_ns))
            return;
        verify_start_one(verify, ready, job, now_ns);
    }
    verify->more = !TAILQ_EMPTY(ready);
}

void verify_idle(struct verify *verify, int64_t now_ns)
{
    if (verify->told && breaker_due_ns(&verify->breaker, true) <= now_ns)
        verify_tell_fine(verify);
}

int64_t verify_due_ns(const struct verify *verify)
{
    int64_t probe_ns = verify_suspended(verify) ? breaker_due_ns(&verify->breaker, verify->unspent) : 0;
    int64_t due_ns = verify->granted_ns > probe_ns ? verify->granted_ns : probe_ns;
    return due_ns || verify->more ? due_ns : CLOCK_NEVER;
}

bool verify_opens_before(const struct verify *verify, int64_t until_ns)
{
    if (verify_suspended(verify))
        return breaker_due_ns(&verify->breaker, verify->unspent) < until_ns;
    return !verify->granted_ns || verify->granted_ns < until_ns;
}

bool verify_has_fresh(const struct verify *verify)
{
    return verify->fresh;
}

uint64_t verify_failed_probes(const struct verify *verify)
{
    return verify->failed_probes;
}

bool verify_suspended(const struct verify *verify)
{
    return !breaker_closed(&verify->breaker);
}

bool verify_busy(const struct verify *verify)
{
    return !TAILQ_EMPTY(&verify->running);
}

struct job_list *verify_answered(struct verify *verify)
{
    return &verify->answered;
}
