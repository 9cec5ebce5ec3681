/* From a ready job to its verdict. Loop thread. Owns the lists of running and answered jobs. */
#include "worker/verify.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

enum { URL_SIZE = 2048 };

struct verify {
    struct http *http;
    struct token *token;
    struct metrics *metrics;
    certification_fields fields; /* to keep */
    char url[URL_SIZE];          /* ".../certifications/", then the imp_uid of the call being started */
    size_t prefix;               /* length of url before the imp_uid */
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

struct verify *verify_open(
    const struct settings *settings, struct http *http, struct token *token, struct metrics *metrics)
{
    struct verify *verify = calloc(1, sizeof *verify);
    if (!verify)
        return NULL;
    verify->http = http;
    verify->token = token;
    verify->metrics = metrics;
    verify->fields = verify_fields(settings);
    verify->prefix = http_url(verify->url, sizeof verify->url - EVENT_IMP_UID_SIZE,
        settings_text(settings, SETTING_IAMPORT_URL), "certifications/");
    TAILQ_INIT(&verify->running);
    TAILQ_INIT(&verify->answered);
    return verify;
}

void verify_close(struct verify *verify)
{
    free(verify);
}

static void verify_on_answer(void *context, void *subject, const struct answer *answer)
{
    struct verify *verify = context;
    struct job *job = subject;
    metrics_observe(verify->metrics, HISTOGRAM_HTTP, clock_ns() - job->asked_ns);
    classify(answer, job->imp_uid, verify->fields, &job->certification, &job->verdict);
    job->certification.verified_at_ms = clock_wall_ms();
    if (answer->transport == TRANSPORT_ANSWERED && job->verdict.outcome != OUTCOME_UNAUTHORIZED)
        token_worked(verify->token, job->token_serial);
    job_move(job, &verify->running, &verify->answered, JOB_VERIFYING);
}

/* An imp_uid consists of unreserved characters (RFC 3986, section 2.3): nothing to percent-encode. */
static void verify_start_one(struct verify *verify, struct job_list *ready, struct job *job, int64_t now_ns)
{
    memcpy(verify->url + verify->prefix, job->imp_uid, strlen(job->imp_uid) + 1);
    job->token_serial = token_serial(verify->token);
    job->asked_ns = now_ns;
    struct http_request request = {
        .url = verify->url,
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

void verify_start(struct verify *verify, struct job_list *ready, int64_t now_ns)
{
    if (!token_value(verify->token, now_ns))
        return;
    struct job *job;
    while ((job = TAILQ_FIRST(ready)))
        verify_start_one(verify, ready, job, now_ns);
}

bool verify_busy(const struct verify *verify)
{
    return !TAILQ_EMPTY(&verify->running);
}

struct job_list *verify_answered(struct verify *verify)
{
    return &verify->answered;
}
