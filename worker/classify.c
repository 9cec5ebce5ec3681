/* From an answer to a verdict. Pure; loop thread. The body holds personal data: nothing of it reaches an
 * error text. */
#include "worker/classify.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void verdict_set(struct verdict *verdict, enum outcome outcome, enum reason reason, const char *format, ...)
{
    verdict->outcome = outcome;
    verdict->reason = reason;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->error, sizeof verdict->error, format, arguments);
    va_end(arguments);
}

static void classify_transport(const struct answer *answer, struct verdict *verdict)
{
    if (answer->transport == TRANSPORT_TOO_LARGE)
        verdict_set(
            verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer is too large: %s", answer->failure);
    else
        verdict_set(verdict, OUTCOME_RETRY, REASON_UNAVAILABLE, "%s", answer->failure);
}

static void classify_status(const struct answer *answer, struct verdict *verdict)
{
    long status = answer->http_status;
    if (status == 401)
        verdict_set(verdict, OUTCOME_UNAUTHORIZED, REASON_UNAVAILABLE, "HTTP 401: a fresh token was refused");
    else if (status == 404)
        verdict_set(verdict, OUTCOME_LATER, REASON_NOT_FOUND, "HTTP 404: there is no such certification");
    else if (status == 429)
        verdict_set(verdict, OUTCOME_THROTTLED, REASON_RATE_LIMITED, "HTTP 429: too many calls");
    else if (status >= 400 && status < 500)
        verdict_set(verdict, OUTCOME_REJECTED, REASON_REFUSED, "HTTP %ld", status);
    else if (status >= 500)
        verdict_set(verdict, OUTCOME_RETRY, REASON_UNAVAILABLE, "HTTP %ld", status);
    else
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "HTTP %ld where 200 was expected", status);
}

static bool classify_keep(
    struct certification *certification, enum certification_field field, const json_t *value)
{
    certification->values[field] = (struct certification_value){.type = CERTIFICATION_NULL};
    enum certification_type type = certification_documented_type(field);
    if (type == CERTIFICATION_TEXT && json_is_string(value))
        return certification_keep_text(certification, field, json_string_value(value));
    if ((type == CERTIFICATION_NUMBER && json_is_integer(value)) ||
        (type == CERTIFICATION_BOOL && json_is_boolean(value)))
        certification->values[field] = (struct certification_value){
            .type = type,
            .number = type == CERTIFICATION_BOOL ? json_is_true(value) : json_integer_value(value),
        };
    return true;
}

static bool classify_keep_fields(
    struct certification *certification, certification_fields fields, const json_t *response)
{
    certification_reset(certification);
    certification->fields = fields;
    json_int_t certified_at = json_integer_value(json_object_get(response, "certified_at"));
    /* Beyond the year 9999 it is no time, and would overflow as milliseconds. */
    certification->certified_at_s =
        certified_at > 0 && certified_at < INT64_C(253402300800) ? certified_at : 0;
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        if ((fields & CERTIFICATION_BIT(field)) &&
            !classify_keep(certification, field, json_object_get(response, certification_name(field))))
            return false;
    return true;
}

static void classify_record(const json_t *response, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    const char *answered_for = json_string_value(json_object_get(response, "imp_uid"));
    if (!answered_for || strcmp(answered_for, imp_uid) != 0) {
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer is for %s imp_uid",
            answered_for ? "another" : "no");
        return;
    }
    if (!json_is_true(json_object_get(response, "certified"))) {
        verdict_set(verdict, OUTCOME_LATER, REASON_NOT_CERTIFIED, "the certification is not finished");
        return;
    }
    const json_t *unique_key = json_object_get(response, "unique_key");
    if (!unique_key || json_is_null(unique_key) ||
        (json_is_string(unique_key) && !json_string_length(unique_key)))
        verdict_set(
            verdict, OUTCOME_REJECTED, REASON_NO_UNIQUE_KEY, "certified, but unique_key is absent or empty");
    else if (!json_is_string(unique_key))
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "unique_key is not a string");
    else if (!classify_keep_fields(certification, fields, response)) {
        certification_reset(certification);
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the certification's texts are too long");
    } else
        verdict_set(verdict, OUTCOME_VERIFIED, REASON_NONE, "verified");
}

/* Status 200 is no success by itself: {"code": 0, "response": {...}} is. */
static void classify_body(const struct answer *answer, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    json_error_t where;
    json_t *body =
        json_loadb(answer->body ? answer->body : "", answer->body_size, JSON_REJECT_DUPLICATES, &where);
    const json_t *code = json_object_get(body, "code");
    const json_t *response = json_object_get(body, "response");
    if (!body)
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE,
            "the answer is not valid JSON (byte %d of %zu)", where.position, answer->body_size);
    else if (!json_is_integer(code))
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer has no numeric code");
    else if (json_integer_value(code) != 0)
        verdict_set(verdict, OUTCOME_REJECTED, REASON_REFUSED, "HTTP 200, code %" JSON_INTEGER_FORMAT,
            json_integer_value(code));
    else if (!json_is_object(response))
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer has no response object");
    else
        classify_record(response, imp_uid, fields, certification, verdict);
    json_decref(body);
}

void classify(const struct answer *answer, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    *verdict = (struct verdict){.http_status = answer->http_status, .retry_after_s = answer->retry_after_s};
    if (answer->transport != TRANSPORT_ANSWERED)
        classify_transport(answer, verdict);
    else if (answer->http_status != 200)
        classify_status(answer, verdict);
    else
        classify_body(answer, imp_uid, fields, certification, verdict);
}
