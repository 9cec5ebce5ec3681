/* From an answer to a verdict. Pure; loop thread. The body holds personal data: nothing of it reaches an
 * error text. */
#include "worker/classify.h"

#include "worker/reader.h"

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
    else if (status == 408 || status == 425)
        verdict_set(verdict, OUTCOME_RETRY, REASON_UNAVAILABLE, "HTTP %ld", status);
    else if (status == 429)
        verdict_set(verdict, OUTCOME_THROTTLED, REASON_RATE_LIMITED, "HTTP 429: too many calls");
    else if (status >= 400 && status < 500)
        verdict_set(verdict, OUTCOME_REJECTED, REASON_REFUSED, "HTTP %ld", status);
    else if (status >= 500)
        verdict_set(verdict, OUTCOME_RETRY, REASON_UNAVAILABLE, "HTTP %ld", status);
    else
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "HTTP %ld where 200 was expected", status);
}

/* The answer's members that mean something here; those of the response that may be kept come first. */
enum member {
    MEMBER_IMP_UID = CERTIFICATION_FIELD_COUNT,
    MEMBER_CERTIFIED,
    MEMBER_CERTIFIED_AT,
    MEMBER_RESPONSE_COUNT,
    MEMBER_CODE = MEMBER_RESPONSE_COUNT,
    MEMBER_RESPONSE,
    MEMBER_COUNT
};

struct members {
    struct reader_value values[MEMBER_COUNT]; /* READER_NONE: absent */
};

static const char *member_name(enum member member)
{
    static const char *const names[] = {
        [MEMBER_IMP_UID] = "imp_uid",
        [MEMBER_CERTIFIED] = "certified",
        [MEMBER_CERTIFIED_AT] = "certified_at",
        [MEMBER_CODE] = "code",
        [MEMBER_RESPONSE] = "response",
    };
    return (int)member < CERTIFICATION_FIELD_COUNT ? certification_name((enum certification_field)member)
                                                   : names[member];
}

/* The value of a name of [from, to); NULL for any other, and for one that stands twice: bad then. */
static struct reader_value *members_find(struct members *members, const struct reader_text *name,
    enum member from, enum member to, struct reader *reader)
{
    for (enum member member = from; member < to; member++) {
        if (!reader_text_is(name, member_name(member)))
            continue;
        if (members->values[member].type == READER_NONE)
            return &members->values[member];
        reader->bad = true;
    }
    return NULL;
}

static void members_read_response(struct members *members, struct reader *reader)
{
    struct reader_text name;
    while (reader_member(reader, &name)) {
        struct reader_value other,
            *value = members_find(members, &name, (enum member)0, MEMBER_RESPONSE_COUNT, reader);
        reader_read(reader, value ? value : &other);
    }
}

/* False when the body is not JSON, or says a thing twice. */
static bool members_read(struct members *members, struct reader *reader)
{
    struct reader_text name;
    struct reader_value other;
    *members = (struct members){0};
    if (!reader_enter(reader))
        return reader_read(reader, &other) && reader_finish(reader);
    while (reader_member(reader, &name)) {
        struct reader_value *value = members_find(members, &name, MEMBER_CODE, MEMBER_COUNT, reader);
        if (value == &members->values[MEMBER_RESPONSE] && reader_enter(reader)) {
            value->type = READER_OBJECT;
            members_read_response(members, reader);
        } else
            reader_read(reader, value ? value : &other);
    }
    return reader_finish(reader);
}

static bool classify_keep(
    struct certification *certification, enum certification_field field, const struct reader_value *value)
{
    enum certification_type type = certification_documented_type(field);
    bool boolean = value->type == READER_TRUE || value->type == READER_FALSE;
    if (type == CERTIFICATION_TEXT && value->type == READER_TEXT)
        return certification_keep_text(certification, field, &value->text);
    struct certification_value kept = {.type = CERTIFICATION_NULL};
    if (type == CERTIFICATION_NUMBER && value->type == READER_INTEGER)
        kept = (struct certification_value){.type = type, .number = value->integer};
    else if (type == CERTIFICATION_BOOL && boolean)
        kept = (struct certification_value){.type = type, .number = value->type == READER_TRUE};
    certification->values[field] = kept;
    return true;
}

static bool classify_keep_fields(
    struct certification *certification, certification_fields fields, const struct members *members)
{
    certification_reset(certification);
    certification->fields = fields;
    const struct reader_value *certified_at = &members->values[MEMBER_CERTIFIED_AT];
    int64_t seconds = certified_at->type == READER_INTEGER ? certified_at->integer : 0;
    /* Beyond the year 9999 it is no time, and would overflow as milliseconds. */
    certification->certified_at_s = seconds > 0 && seconds < INT64_C(253402300800) ? seconds : 0;
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        if ((fields & CERTIFICATION_BIT(field)) &&
            !classify_keep(certification, field, &members->values[field]))
            return false;
    return true;
}

static void classify_record(const struct members *members, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    const struct reader_value *answered_for = &members->values[MEMBER_IMP_UID];
    const struct reader_value *unique_key = &members->values[CERTIFICATION_UNIQUE_KEY];
    if (answered_for->type != READER_TEXT || !reader_text_is(&answered_for->text, imp_uid))
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer is for %s imp_uid",
            answered_for->type == READER_TEXT ? "another" : "no");
    else if (members->values[MEMBER_CERTIFIED].type != READER_TRUE)
        verdict_set(verdict, OUTCOME_LATER, REASON_NOT_CERTIFIED, "the certification is not finished");
    else if (unique_key->type == READER_NONE || unique_key->type == READER_NULL ||
             (unique_key->type == READER_TEXT && !unique_key->text.size))
        verdict_set(
            verdict, OUTCOME_REJECTED, REASON_NO_UNIQUE_KEY, "certified, but unique_key is absent or empty");
    else if (unique_key->type != READER_TEXT)
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "unique_key is not a string");
    else if (!classify_keep_fields(certification, fields, members)) {
        certification_reset(certification);
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the certification's texts are too long");
    } else {
        verdict->outcome = OUTCOME_VERIFIED;
        verdict->reason = REASON_NONE;
        memcpy(verdict->error, "verified", sizeof "verified");
    }
}

/* Status 200 is no success by itself: {"code": 0, "response": {...}} is. */
static void classify_body(const struct answer *answer, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    struct reader reader;
    struct members members;
    reader_init(&reader, answer->body_size ? answer->body : "", answer->body_size);
    bool read = members_read(&members, &reader);
    const struct reader_value *code = &members.values[MEMBER_CODE];
    if (!read)
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE,
            "the answer is not valid JSON (byte %zu of %zu)", reader_position(&reader), answer->body_size);
    else if (code->type != READER_INTEGER)
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer has no numeric code");
    else if (code->integer != 0)
        verdict_set(
            verdict, OUTCOME_REJECTED, REASON_REFUSED, "HTTP 200, code %lld", (long long)code->integer);
    else if (members.values[MEMBER_RESPONSE].type != READER_OBJECT)
        verdict_set(verdict, OUTCOME_RETRY, REASON_BAD_RESPONSE, "the answer has no response object");
    else
        classify_record(&members, imp_uid, fields, certification, verdict);
}

void classify(const struct answer *answer, const char *imp_uid, certification_fields fields,
    struct certification *certification, struct verdict *verdict)
{
    verdict->http_status = answer->http_status;
    verdict->retry_after_s = answer->retry_after_s;
    if (answer->transport != TRANSPORT_ANSWERED)
        classify_transport(answer, verdict);
    else if (answer->http_status != 200)
        classify_status(answer, verdict);
    else
        classify_body(answer, imp_uid, fields, certification, verdict);
}
