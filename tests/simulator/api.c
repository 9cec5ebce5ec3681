// The simulated service's two calls; see api.h. A call meets the fault rules first, as if they sat in a
// gateway in front, then the token check, then what its imp_uid's name asks for. Runs on the main thread.
#include "api.h"

#include <stdio.h>
#include <time.h>

#include "credentials.h"
#include "hash.h"
#include "json_text.h"

void api_init(struct api *api)
{
    *api = (struct api){.counters.keep_calls = true};
    settings_init(&api->settings);
}

void api_cleanup(struct api *api)
{
    faults_cleanup(&api->faults);
    counters_cleanup(&api->counters);
    tally_cleanup(&api->attempts);
}

static int64_t service_now_ms(const struct api *api)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + api->settings.clock_skew_ms;
}

bool api_read_imp_uid(struct span segment, char *text, struct span *imp_uid)
{
    size_t len = 0;
    if (memchr(segment.data, '/', segment.len) != NULL ||
        !http_decode(segment, false, text, API_IMP_UID, &len))
        return false;
    *imp_uid = (struct span){text, len};
    return len > 0 && json_text_is_clean(text, len);
}

static void answer_not_found(struct reply *reply)
{
    reply_error(reply, 404, -1, "Not Found");
}

static void answer_wrong_method(struct reply *reply, const char *allowed)
{
    reply_error(reply, 405, -1, "Method Not Allowed");
    reply->allow = allowed;
}

static void write_token(struct api *api, struct reply *reply)
{
    int64_t now_ms = service_now_ms(api);
    enum token_step step = token_ask(&api->token, &api->settings, now_ms);
    api->counters.tokens_issued += step == TOKEN_NEW;
    api->counters.tokens_extended += step == TOKEN_EXTENDED;
    buf_add_text(&reply->body, "{\"code\":0,\"message\":null,\"response\":{\"access_token\":\"");
    buf_add_text(&reply->body, api->token.text);
    buf_add_text(&reply->body, "\",\"now\":");
    buf_add_int(&reply->body, now_ms / 1000);
    buf_add_text(&reply->body, ",\"expired_at\":");
    buf_add_int(&reply->body, api->token.end_ms / 1000);
    buf_add_text(&reply->body, "}}");
}

static void answer_credentials(struct api *api, const struct http_request *request, struct reply *reply)
{
    switch (credentials_check(request, &api->settings)) {
    case CREDENTIALS_RIGHT:
        write_token(api, reply);
        break;
    case CREDENTIALS_WRONG:
        outcome_apply(&(struct outcome){.kind = OUTCOME_KEY_REFUSED}, reply);
        break;
    case CREDENTIALS_UNREADABLE:
        reply_error(reply, 400, -1, "요청을 읽을 수 없습니다.");
        break;
    case CREDENTIALS_NO_KEY:
        reply_error(reply, 400, 1, "imp_key 파라미터가 누락되었습니다.");
        break;
    case CREDENTIALS_NO_SECRET:
        reply_error(reply, 400, 1, "imp_secret 파라미터가 누락되었습니다.");
        break;
    }
}

static void answer_token(struct api *api, const struct http_request *request, struct reply *reply)
{
    api->counters.token_requests++;
    struct fault fault = {.outcome.kind = OUTCOME_PLAIN};
    if (faults_match(&api->faults, OUTCOME_TOKEN, (struct span){"", 0}, &fault) && fault.latency_ms >= 0)
        reply->delay_ms = fault.latency_ms;
    if (!outcome_replaces(fault.outcome.kind))
        answer_credentials(api, request, reply);
    outcome_apply(&fault.outcome, reply);
}

static bool still_fails(struct api *api, struct span imp_uid, uint32_t failures)
{
    return tally_get(&api->attempts, imp_uid.data, imp_uid.len) < failures &&
           tally_add(&api->attempts, imp_uid.data, imp_uid.len) <= failures;
}

static enum outcome_kind kind_by_name(struct api *api, struct span imp_uid)
{
    uint32_t failures = 0;
    enum outcome_kind kind = outcome_of_name(imp_uid, &failures);
    if (kind != OUTCOME_FLAKY && kind != OUTCOME_LIMITED)
        return kind;
    if (!still_fails(api, imp_uid, failures))
        return OUTCOME_PLAIN;
    return kind == OUTCOME_FLAKY ? OUTCOME_UNAVAILABLE : kind;
}

static void answer_record(struct outcome outcome, struct span imp_uid, struct reply *reply)
{
    if (!outcome_replaces(outcome.kind)) {
        buf_add_text(&reply->body, "{\"code\":0,\"message\":null,\"response\":");
        certification_write(&reply->body, imp_uid, outcome_variant(outcome.kind));
        buf_add(&reply->body, "}", 1);
    }
    outcome_apply(&outcome, reply);
}

// Which outcome a call meets.
static struct outcome decide(
    struct api *api, const struct http_request *request, struct span imp_uid, struct reply *reply)
{
    struct fault fault = {.outcome.kind = OUTCOME_PLAIN};
    if (faults_match(&api->faults, OUTCOME_CERTIFICATION, imp_uid, &fault) && fault.latency_ms >= 0)
        reply->delay_ms = fault.latency_ms;
    if (outcome_replaces(fault.outcome.kind))
        return fault.outcome;
    if (!token_accepts(&api->token, request->authorization, service_now_ms(api)))
        return (struct outcome){.kind = OUTCOME_EXPIRED_TOKEN};
    if (fault.outcome.kind == OUTCOME_PLAIN || fault.outcome.kind == OUTCOME_LATENCY)
        fault.outcome.kind = kind_by_name(api, imp_uid);
    return fault.outcome;
}

static void answer_certification(
    struct api *api, const struct http_request *request, struct span segment, struct reply *reply)
{
    char text[API_IMP_UID];
    struct span imp_uid;
    api->counters.certification_calls++;
    reply->in_flight = true;
    if (!api_read_imp_uid(segment, text, &imp_uid)) {
        outcome_apply(&(struct outcome){.kind = OUTCOME_MISSING}, reply);
        return;
    }
    if (api->counters.keep_calls)
        tally_add(&api->counters.calls, imp_uid.data, imp_uid.len);
    answer_record(decide(api, request, imp_uid, reply), imp_uid, reply);
    api->counters.unauthorized += reply->status == 401;
}

static int64_t usual_delay_ms(struct api *api)
{
    int64_t delay_ms = api->settings.latency_ms;
    if (api->settings.jitter_ms > 0)
        delay_ms += (int64_t)(hash_draw(0, api->answers) % (uint64_t)(api->settings.jitter_ms + 1));
    api->answers++;
    return delay_ms;
}

void api_answer(struct api *api, const struct http_request *request, struct reply *reply)
{
    static const char certifications[] = "/certifications/";
    const size_t prefix = sizeof certifications - 1;
    reply->delay_ms = usual_delay_ms(api);
    if (http_equal(request->path, "/users/getToken")) {
        if (http_equal(request->method, "POST"))
            answer_token(api, request, reply);
        else
            answer_wrong_method(reply, "POST");
    } else if (http_starts(request->path, certifications) && request->path.len > prefix) {
        struct span segment = {request->path.data + prefix, request->path.len - prefix};
        if (http_equal(request->method, "GET"))
            answer_certification(api, request, segment, reply);
        else
            answer_wrong_method(reply, "GET");
    } else {
        answer_not_found(reply);
    }
    if (reply->status == 0)
        api->counters.unanswered++;
    else
        api->counters.by_status[reply->status]++;
}

bool api_write_record(struct buf *out, struct span imp_uid)
{
    uint32_t failures = 0;
    enum outcome_kind kind = outcome_of_name(imp_uid, &failures);
    if (kind == OUTCOME_MISSING)
        return false;
    // The answer is about another imp_uid, the record is not.
    if (kind == OUTCOME_WRONG_IMP_UID)
        kind = OUTCOME_PLAIN;
    certification_write(out, imp_uid, outcome_variant(kind));
    return true;
}
