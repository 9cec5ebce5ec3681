/* The API: from a request to an event, and from its end to an answer. Loop thread. */
#include "producer/gateway_api.h"

#include "common/exposition.h"
#include "common/traceparent.h"
#include "producer/gateway_body.h"
#include "producer/gateway_cors.h"
#include "producer/gateway_tracestate.h"

#include <microhttpd.h>
#include <string.h>

#define EVENTS_PATH "/certifications"
#define RETRY_SOON_S 1  /* the queue is full for a moment */
#define RETRY_LATER_S 5 /* no broker answers */

static void api_unavailable(struct answer *answer, int retry_after_s, const char *detail)
{
    answer_problem(answer, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "%s", detail);
    answer->retry_after_s = retry_after_s;
}

static bool api_method_is(const struct api_head *head, const char *method)
{
    return strcmp(head->method, method) == 0;
}

/* ---- pages for those who run it ---- */

static bool api_ready(const struct api *api, struct buf *page)
{
    if (!api->draining)
        return health_ready(api->health, page);
    bool written = buf_format(page, "{\"ready\": false, \"reasons\": {\"gateway\": \"draining\"}}\n");
    (void)written; /* the status says the same */
    return false;
}

static bool api_page_fill(const struct api *api, const char *path, const struct gateway_gauges *gauges,
    struct answer *answer, bool *filled)
{
    *filled = true;
    answer->content_type = "text/plain; charset=utf-8";
    if (strcmp(path, "/healthz") == 0) {
        *filled = buf_format(&answer->body, "alive\n"); /* the loop that answers is the one that matters */
    } else if (strcmp(path, "/readyz") == 0) {
        answer->content_type = "application/json";
        bool ready = api_ready(api, &answer->body);
        answer->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    } else if (strcmp(path, "/metrics") == 0) {
        answer->content_type = EXPOSITION_CONTENT_TYPE;
        *filled = gateway_metrics_page(api->metrics, gauges, &answer->body) &&
                  health_metrics(api->health, &answer->body);
    } else {
        return false;
    }
    return true;
}

static void api_page(const struct api *api, const struct api_head *head, const struct gateway_gauges *gauges,
    struct answer *answer)
{
    bool filled;
    if (!api_page_fill(api, head->path, gauges, answer, &filled)) {
        answer_problem(answer, MHD_HTTP_NOT_FOUND, "path",
            "there is no such path, expected " EVENTS_PATH ", /metrics, /healthz or /readyz");
    } else if (!filled) {
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    } else if (!api_method_is(head, MHD_HTTP_METHOD_GET) && !api_method_is(head, MHD_HTTP_METHOD_HEAD)) {
        buf_reset(&answer->body, 0);
        answer_problem(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method", "expected GET or HEAD");
        answer->allow = "GET, HEAD";
    }
}

/* ---- events ---- */

static void api_cors(const struct api *api, const struct api_head *head, struct answer *answer)
{
    const char *allowed = settings_text(api->settings, SETTING_CORS_ORIGINS);
    answer->cors_vary = allowed && strcmp(allowed, "*") != 0;
    answer->cors_allow = cors_allow(allowed, head->origin);
}

static void api_options(const struct api_head *head, struct answer *answer)
{
    if (head->origin && head->requested_method && !answer->cors_allow) {
        answer_problem(answer, MHD_HTTP_FORBIDDEN, "Origin",
            "pages of this origin may not post here, expected one of IMPCERT_CORS_ORIGINS");
        return;
    }
    answer->status = MHD_HTTP_NO_CONTENT;
    answer->allow = "POST, OPTIONS";
    answer->preflight = answer->cors_allow;
}

static bool api_event_head(const struct api *api, const struct api_head *head, struct answer *answer)
{
    if (!api_method_is(head, MHD_HTTP_METHOD_POST)) {
        answer_problem(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "method", "expected POST");
        answer->allow = "POST, OPTIONS";
        return false;
    }
    if (!tokens_allow(api->tokens, head->authorization)) {
        answer_problem(answer, MHD_HTTP_UNAUTHORIZED, "Authorization",
            head->authorization ? "this bearer token is not known here" : "expected a bearer token");
        return false;
    }
    if (body_type(head->content_type) == BODY_OTHER) {
        answer_problem(answer, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Type",
            "expected application/json or application/x-www-form-urlencoded");
        return false;
    }
    return true;
}

bool api_begin(const struct api *api, const struct api_head *head, const struct gateway_gauges *gauges,
    struct answer *answer)
{
    if (strcmp(head->path, EVENTS_PATH) != 0) {
        api_page(api, head, gauges, answer);
        return false;
    }
    api_cors(api, head, answer);
    if (api_method_is(head, MHD_HTTP_METHOD_OPTIONS)) {
        api_options(head, answer);
        return false;
    }
    return api_event_head(api, head, answer);
}

static void api_not_taken(const struct impcert_error *error, struct answer *answer)
{
    if (error->status == IMPCERT_INVALID)
        answer_problem(answer, MHD_HTTP_BAD_REQUEST, "imp_uid", "%s", error->text);
    else if (error->status == IMPCERT_QUEUE_FULL)
        api_unavailable(answer, RETRY_SOON_S, "too many events wait for Kafka: not queued, try again");
    else
        api_unavailable(answer, RETRY_LATER_S, "not queued, try again");
}

bool api_publish(const struct api *api, const struct api_head *head, struct buf *body,
    char imp_uid[static EVENT_IMP_UID_SIZE], impcert_delivery delivery, void *context, struct answer *answer)
{
    struct error why;
    struct impcert_error error;
    if (!body_read(body_type(head->content_type), body->data, body->size, imp_uid, &why)) {
        answer_problem(answer, MHD_HTTP_BAD_REQUEST, "imp_uid", "%s", why.text);
        return false;
    }
    if (!atomic_load_explicit(api->available, memory_order_relaxed)) {
        api_unavailable(answer, RETRY_LATER_S, "Kafka does not answer: not queued, try again");
        return false;
    }
    struct impcert_event event = IMPCERT_EVENT(imp_uid);
    struct impcert_header tracestate = {.name = "tracestate", .value = head->tracestate};
    /* A trace context that is not valid is to be as if it were not there (W3C Trace Context, section 3.2). */
    if (head->traceparent && traceparent_valid(head->traceparent, strlen(head->traceparent))) {
        event.traceparent = head->traceparent;
        tracestate.value_size = head->tracestate ? strlen(head->tracestate) : 0;
        event.headers = &tracestate;
        event.header_count = head->tracestate && tracestate_valid(head->tracestate, tracestate.value_size);
    }
    if (impcert_publish(api->impcert, &event, delivery, context, &error) == IMPCERT_OK)
        return true;
    api_not_taken(&error, answer);
    return false;
}

void api_finish(const char *imp_uid, enum impcert_status end, struct answer *answer)
{
    if (end == IMPCERT_OK)
        answer_queued(answer, imp_uid);
    else
        api_unavailable(answer, RETRY_LATER_S,
            "Kafka did not acknowledge the event: it may not be queued, try again (twice does no harm)");
}

void api_too_large(struct answer *answer)
{
    answer_problem(answer, MHD_HTTP_CONTENT_TOO_LARGE, "body", "expected at most %d bytes", API_BODY_MOST);
}

void api_unclear_length(struct answer *answer)
{
    answer_problem(answer, MHD_HTTP_BAD_REQUEST, "Content-Length",
        "expected either one header Content-Length or Transfer-Encoding: chunked");
}
