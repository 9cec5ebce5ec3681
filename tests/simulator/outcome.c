// One table of all outcomes, by prefix and by rule name, and what each does to an answer; see outcome.h. Runs
// on the main thread; owns nothing.
#include "outcome.h"

#include <stdio.h>

#include "http.h"

enum {
    BOTH = OUTCOME_CERTIFICATION | OUTCOME_TOKEN,
    SLOW_INTERVAL_MS = 100,
    HUGE_PADDING = 10 * 1024 * 1024
};

struct row {
    const char *prefix; // of an imp_uid, before its first "_"; NULL: none
    const char *rule;   // kind of a fault rule; NULL: none
    unsigned paths;     // where a rule may stand
};

static const struct row rows[OUTCOME_KINDS] = {
    [OUTCOME_MISSING] = {"missing", "missing", OUTCOME_CERTIFICATION},
    [OUTCOME_UNFINISHED] = {"unfinished", "unfinished", OUTCOME_CERTIFICATION},
    [OUTCOME_NO_KEY] = {"nokey", "no_key", OUTCOME_CERTIFICATION},
    [OUTCOME_NULL_KEY] = {"nullkey", "null_key", OUTCOME_CERTIFICATION},
    [OUTCOME_ABSENT_KEY] = {"absentkey", "absent_key", OUTCOME_CERTIFICATION},
    [OUTCOME_REFUSED] = {"refused", "refused", BOTH},
    [OUTCOME_CODE] = {"code", "code", BOTH},
    [OUTCOME_WRONG_IMP_UID] = {"other", "wrong_imp_uid", OUTCOME_CERTIFICATION},
    [OUTCOME_HTML] = {"html", "html", BOTH},
    [OUTCOME_EMPTY] = {"empty", "empty", BOTH},
    [OUTCOME_MALFORMED] = {"malformed", "malformed", BOTH},
    [OUTCOME_TRUNCATED] = {"truncated", "truncated", BOTH},
    [OUTCOME_ERROR] = {"error", "error", BOTH},
    [OUTCOME_UNAVAILABLE] = {"unavailable", "unavailable", BOTH},
    [OUTCOME_HANG] = {"hang", "hang", BOTH},
    [OUTCOME_RESET] = {"reset", "reset", BOTH},
    [OUTCOME_FLAKY] = {NULL, NULL, 0},
    [OUTCOME_LIMITED] = {"limited", "limited", BOTH},
    [OUTCOME_HUGE] = {"huge", "huge", BOTH},
    [OUTCOME_SLOW_BODY] = {"slowbody", "slow_body", BOTH},
    [OUTCOME_REDIRECT] = {"redirect", "redirect", BOTH},
    [OUTCOME_STATUS] = {NULL, "status", BOTH},
    [OUTCOME_EXPIRED_TOKEN] = {NULL, "expired_token", OUTCOME_CERTIFICATION},
    [OUTCOME_KEY_REFUSED] = {NULL, "key_refused", OUTCOME_TOKEN},
    [OUTCOME_NO_ANSWER] = {NULL, "no_answer", BOTH},
    [OUTCOME_LATENCY] = {NULL, "latency", BOTH},
};

static bool is_flaky(struct span prefix)
{
    return prefix.len == 6 && memcmp(prefix.data, "flaky", 5) == 0 && prefix.data[5] >= '0' &&
           prefix.data[5] <= '9';
}

enum outcome_kind outcome_of_name(struct span imp_uid, uint32_t *failures)
{
    const char *end = memchr(imp_uid.data, '_', imp_uid.len);
    if (end == NULL)
        return OUTCOME_PLAIN;
    struct span prefix = {imp_uid.data, (size_t)(end - imp_uid.data)};
    *failures = 1;
    if (is_flaky(prefix)) {
        *failures = (uint32_t)(prefix.data[5] - '0');
        return OUTCOME_FLAKY;
    }
    for (unsigned kind = 0; kind < OUTCOME_KINDS; kind++) {
        const char *name = rows[kind].prefix;
        if (name != NULL && strlen(name) == prefix.len && memcmp(name, prefix.data, prefix.len) == 0)
            return (enum outcome_kind)kind;
    }
    return OUTCOME_PLAIN;
}

enum outcome_kind outcome_find(const char *name)
{
    for (unsigned kind = 0; kind < OUTCOME_KINDS; kind++) {
        if (rows[kind].rule != NULL && strcmp(rows[kind].rule, name) == 0)
            return (enum outcome_kind)kind;
    }
    return OUTCOME_PLAIN;
}

unsigned outcome_paths(enum outcome_kind kind)
{
    return rows[kind].paths;
}

enum certification_variant outcome_variant(enum outcome_kind kind)
{
    switch (kind) {
    case OUTCOME_UNFINISHED:
        return CERTIFICATION_UNFINISHED;
    case OUTCOME_NO_KEY:
        return CERTIFICATION_EMPTY_KEY;
    case OUTCOME_NULL_KEY:
        return CERTIFICATION_NULL_KEY;
    case OUTCOME_ABSENT_KEY:
        return CERTIFICATION_ABSENT_KEY;
    case OUTCOME_WRONG_IMP_UID:
        return CERTIFICATION_OTHER_UID;
    default:
        return CERTIFICATION_FINISHED;
    }
}

bool outcome_replaces(enum outcome_kind kind)
{
    switch (kind) {
    case OUTCOME_PLAIN:
    case OUTCOME_UNFINISHED:
    case OUTCOME_NO_KEY:
    case OUTCOME_NULL_KEY:
    case OUTCOME_ABSENT_KEY:
    case OUTCOME_WRONG_IMP_UID:
    case OUTCOME_MALFORMED:
    case OUTCOME_TRUNCATED:
    case OUTCOME_HUGE:
    case OUTCOME_SLOW_BODY:
    case OUTCOME_LATENCY:
        return false;
    default:
        return true;
    }
}

static void apply_status(const struct outcome *outcome, struct reply *reply)
{
    if (outcome->body == NULL && outcome->status >= 500) {
        reply_html(reply, outcome->status);
        return;
    }
    reply_error(reply, outcome->status, -1, http_reason(outcome->status));
    if (outcome->body == NULL)
        return;
    buf_clear(&reply->body);
    buf_add_text(&reply->body, outcome->body);
    if (outcome->body[0] != '{')
        reply->content_type = "text/html; charset=utf-8";
}

static void apply_redirect(struct reply *reply)
{
    reply_html(reply, 302);
    reply->location = "/elsewhere";
}

static void apply_empty(struct reply *reply)
{
    buf_clear(&reply->body);
}

static void apply_limited(struct reply *reply)
{
    reply_error(reply, 429, -1, "요청이 너무 많습니다.");
    snprintf(reply->retry_after, sizeof reply->retry_after, "1");
}

static void apply_kind(const struct outcome *outcome, struct reply *reply)
{
    switch (outcome->kind) {
    case OUTCOME_MISSING:
        reply_error(reply, 404, 1, "인증결과가 존재하지 않습니다.");
        break;
    case OUTCOME_REFUSED:
        reply_error(reply, 400, -1, "잘못된 요청입니다.");
        break;
    case OUTCOME_CODE:
        reply_error(reply, 200, 1, "인증정보를 조회할 수 없습니다.");
        break;
    case OUTCOME_HTML:
        reply_html(reply, 200);
        break;
    case OUTCOME_EMPTY:
        apply_empty(reply);
        break;
    case OUTCOME_MALFORMED:
        reply->body.len /= 2;
        break;
    case OUTCOME_TRUNCATED:
        reply->manner = REPLY_TRUNCATED;
        break;
    case OUTCOME_ERROR:
        reply_error(reply, 500, -1, "서버 오류가 발생했습니다.");
        break;
    case OUTCOME_UNAVAILABLE:
        reply_html(reply, 503);
        break;
    case OUTCOME_HANG:
        reply_nothing(reply, REPLY_HANG);
        break;
    case OUTCOME_RESET:
        reply_nothing(reply, REPLY_RESET);
        break;
    case OUTCOME_NO_ANSWER:
        reply_nothing(reply, REPLY_CLOSE);
        break;
    case OUTCOME_LIMITED:
        apply_limited(reply);
        break;
    case OUTCOME_HUGE:
        reply->padding = HUGE_PADDING;
        break;
    case OUTCOME_SLOW_BODY:
        reply->manner = REPLY_SLOW;
        reply->interval_ms = outcome->interval_ms > 0 ? outcome->interval_ms : SLOW_INTERVAL_MS;
        break;
    case OUTCOME_REDIRECT:
        apply_redirect(reply);
        break;
    case OUTCOME_STATUS:
        apply_status(outcome, reply);
        break;
    case OUTCOME_EXPIRED_TOKEN:
        reply_error(reply, 401, -1, "Unauthorized");
        break;
    case OUTCOME_KEY_REFUSED:
        reply_error(reply, 401, -1, "인증에 실패하였습니다. API키와 secret을 확인하세요.");
        break;
    default:
        break;
    }
}

void outcome_apply(const struct outcome *outcome, struct reply *reply)
{
    apply_kind(outcome, reply);
    if (outcome->retry_after != NULL)
        snprintf(reply->retry_after, sizeof reply->retry_after, "%s", outcome->retry_after);
}
