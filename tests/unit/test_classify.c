/* From an answer to a verdict: the table of outcomes in the README, every member of a certification in every
 * shape, and that no error text holds anything of the answer's body. */
#include "worker/classify.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMP_UID "imp_100000000001"
#define KEY "AAAA+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define ALL_FIELDS (CERTIFICATION_BIT(CERTIFICATION_FIELD_COUNT) - 1)
#define COUNT(table) (sizeof(table) / sizeof *(table))
#define BODY(text) text, sizeof(text) - 1

/* ---- answers ---- */

struct member {
    const char *name;
    const char *text; /* JSON; NULL: absent */
};

static const struct member record[] = {
    {"imp_uid", "\"" IMP_UID "\""},
    {"merchant_uid", "\"order 17\""},
    {"pg_provider", "\"danal\""},
    {"pg_tid", "\"202311150001\""},
    {"certified", "true"},
    {"certified_at", "1700000123"},
    {"name", "\"\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c\""},
    {"gender", "\"female\""},
    {"birth", "-53600400"},
    {"birthday", "\"1968-04-21\""},
    {"foreigner", "false"},
    {"foreigner_v2", "true"},
    {"phone", "\"01012345678\""},
    {"carrier", "\"SKT_MVNO\""},
    {"unique_key", "\"" KEY "\""},
    {"unique_in_site", "\"MC0GCCqGSIb3DQIJAyEA\""},
    {"origin", "\"https:\\/\\/shop.example\\/join\""},
};

/* A finished certification's answer with one member in another form, or with one more. */
static void answer_format(struct buf *body, const char *name, const char *text)
{
    bool ok = true, known = false;
    buf_init(body, 1 << 20);
    ok =
        buf_format(body, "{\"code\":0,\"message\":null,\"response\":{\"member_of_later\":{\"a\":[1.5,null]}");
    for (size_t i = 0; i < COUNT(record); i++) {
        bool other = strcmp(record[i].name, name) == 0;
        const char *value = other ? text : record[i].text;
        known = known || other;
        ok = ok && (!value || buf_format(body, ",\"%s\":%s", record[i].name, value));
    }
    ok = ok && (known || !text || buf_format(body, ",\"%s\":%s", name, text));
    assert_true(ok && buf_format(body, "}}"));
}

static struct answer answered(long http_status, const char *body, size_t size)
{
    return (struct answer){
        .transport = TRANSPORT_ANSWERED, .http_status = http_status, .body = body, .body_size = size};
}

/* ---- verdicts ---- */

struct judged {
    struct certification certification;
    struct verdict verdict;
};

static void judged_cleanup(struct judged *judged)
{
    certification_cleanup(&judged->certification);
}

static void judge(struct judged *judged, const struct answer *answer, certification_fields fields)
{
    certification_init(&judged->certification);
    memset(&judged->verdict, 0xff, sizeof judged->verdict);
    classify(answer, IMP_UID, fields, &judged->certification, &judged->verdict);
}

static void judge_with(struct judged *judged, const char *name, const char *text, certification_fields fields)
{
    struct buf body;
    answer_format(&body, name, text);
    struct answer answer = answered(200, body.data, body.size);
    judge(judged, &answer, fields);
    buf_cleanup(&body);
}

static bool is(const struct judged *judged, enum outcome outcome, enum reason reason)
{
    return judged->verdict.outcome == outcome && judged->verdict.reason == reason;
}

/* An answer that is not VERIFIED leaves no personal data behind. */
static void expect(const struct answer *answer, enum outcome outcome, enum reason reason, const char *what)
{
    struct judged judged;
    judge(&judged, answer, ALL_FIELDS);
    if (!is(&judged, outcome, reason))
        fail_msg("%s: outcome %d, reason %s, %s", what, (int)judged.verdict.outcome,
            reason_name(judged.verdict.reason), judged.verdict.error);
    if (outcome != OUTCOME_VERIFIED)
        assert_int_equal(judged.certification.text.size, 0);
    assert_int_equal(judged.verdict.http_status, answer->http_status);
    assert_true(judged.verdict.error[0] && strlen(judged.verdict.error) < sizeof judged.verdict.error);
    judged_cleanup(&judged);
}

static void expect_body(const char *body, size_t size, enum outcome outcome, enum reason reason)
{
    struct answer answer = answered(200, body, size);
    expect(&answer, outcome, reason, body ? body : "no body");
}

static void expect_member(const char *name, const char *text, enum outcome outcome, enum reason reason)
{
    char what[200];
    struct buf body;
    answer_format(&body, name, text);
    struct answer answer = answered(200, body.data, body.size);
    snprintf(what, sizeof what, "%s: %s", name, text ? text : "absent");
    expect(&answer, outcome, reason, what);
    buf_cleanup(&body);
}

/* ---- transport and status ---- */

static void classify_trouble_on_the_way_is_unavailable(void **state)
{
    (void)state;
    static const enum transport troubles[] = {TRANSPORT_TIMEOUT, TRANSPORT_FAILED};
    static const long statuses[] = {0, 200, 404, 429, 401, 400, 503};
    struct buf body;
    answer_format(&body, "", NULL);
    for (size_t i = 0; i < COUNT(troubles); i++)
        for (size_t j = 0; j < COUNT(statuses); j++) {
            struct answer answer = answered(statuses[j], body.data, body.size);
            answer.transport = troubles[i];
            answer.failure = "Connection timed out";
            expect(&answer, OUTCOME_RETRY, REASON_UNAVAILABLE, "trouble");
        }
    buf_cleanup(&body);
}

static void classify_too_large_an_answer_is_bad(void **state)
{
    (void)state;
    struct buf body;
    answer_format(&body, "", NULL);
    struct answer answer = answered(200, body.data, body.size);
    answer.transport = TRANSPORT_TOO_LARGE;
    answer.failure = "more than 1 MiB";
    expect(&answer, OUTCOME_RETRY, REASON_BAD_RESPONSE, "too large");
    buf_cleanup(&body);
}

static void classify_says_what_went_wrong_on_the_way(void **state)
{
    (void)state;
    struct judged judged;
    struct answer answer = {.transport = TRANSPORT_FAILED, .failure = "Could not resolve host"};
    judge(&judged, &answer, 0);
    assert_string_equal(judged.verdict.error, "Could not resolve host");
    assert_int_equal(judged.verdict.http_status, 0);
    judged_cleanup(&judged);
}

static void classify_cuts_a_long_failure(void **state)
{
    (void)state;
    char failure[1000];
    struct judged judged;
    memset(failure, 'f', sizeof failure - 1);
    failure[sizeof failure - 1] = '\0';
    struct answer answer = {.transport = TRANSPORT_FAILED, .failure = failure};
    judge(&judged, &answer, 0);
    assert_int_equal(strlen(judged.verdict.error), sizeof judged.verdict.error - 1);
    judged_cleanup(&judged);
}

struct status {
    long first, last;
    enum outcome outcome;
    enum reason reason;
};

static const struct status statuses[] = {
    {100, 103, OUTCOME_RETRY, REASON_BAD_RESPONSE},
    {201, 208, OUTCOME_RETRY, REASON_BAD_RESPONSE},
    {300, 308, OUTCOME_RETRY, REASON_BAD_RESPONSE},
    {400, 400, OUTCOME_REJECTED, REASON_REFUSED},
    {401, 401, OUTCOME_UNAUTHORIZED, REASON_UNAVAILABLE},
    {402, 403, OUTCOME_REJECTED, REASON_REFUSED},
    {404, 404, OUTCOME_LATER, REASON_NOT_FOUND},
    {405, 407, OUTCOME_REJECTED, REASON_REFUSED},
    {408, 408, OUTCOME_RETRY, REASON_UNAVAILABLE},
    {409, 424, OUTCOME_REJECTED, REASON_REFUSED},
    {425, 425, OUTCOME_RETRY, REASON_UNAVAILABLE},
    {426, 428, OUTCOME_REJECTED, REASON_REFUSED},
    {429, 429, OUTCOME_THROTTLED, REASON_RATE_LIMITED},
    {430, 499, OUTCOME_REJECTED, REASON_REFUSED},
    {500, 599, OUTCOME_RETRY, REASON_UNAVAILABLE},
};

static void classify_status_decides_whatever_the_body_says(void **state)
{
    (void)state;
    static const char page[] = "<html><h1>502 Bad Gateway</h1></html>";
    static const char error[] = "{\"code\":-1,\"message\":\"no\",\"response\":null}";
    struct buf body;
    answer_format(&body, "", NULL);
    for (size_t i = 0; i < COUNT(statuses); i++)
        for (long status = statuses[i].first; status <= statuses[i].last; status++) {
            const struct answer answers[] = {
                answered(status, body.data, body.size),
                answered(status, BODY(page)),
                answered(status, BODY(error)),
                answered(status, "", 0),
                answered(status, NULL, 0),
            };
            char what[32];
            snprintf(what, sizeof what, "status %ld", status);
            for (size_t j = 0; j < COUNT(answers); j++)
                expect(&answers[j], statuses[i].outcome, statuses[i].reason, what);
        }
    buf_cleanup(&body);
}

static void classify_passes_retry_after_on(void **state)
{
    (void)state;
    struct judged judged;
    struct answer answer = answered(429, NULL, 0);
    judge(&judged, &answer, 0);
    assert_int_equal(judged.verdict.retry_after_s, 0);
    judged_cleanup(&judged);
    answer.retry_after_s = 17;
    judge(&judged, &answer, 0);
    assert_int_equal(judged.verdict.retry_after_s, 17);
    judged_cleanup(&judged);
}

/* ---- the body ---- */

struct body {
    const char *bytes;
    size_t size;
};

#define RESPONSE(members) "{\"code\":0,\"response\":{" members "}}"
#define FINISHED "\"imp_uid\":\"" IMP_UID "\",\"certified\":true,\"unique_key\":\"k\""

static void classify_takes_a_finished_certification(void **state)
{
    (void)state;
    static const struct body finished[] = {
        {BODY(RESPONSE(FINISHED))},
        {BODY(" \r\n" RESPONSE(FINISHED) "\n")},
        {BODY("{\"code\":0,\"message\":\"\",\"response\":{" FINISHED "}}")},
        {BODY("{\"response\":{" FINISHED "},\"message\":7,\"later\":{},\"code\":0}")},
        {BODY("{\"code\":-0,\"message\":null,\"response\":{" FINISHED "}}")},
        {BODY(RESPONSE(FINISHED ",\"certified_at\":null,\"name\":null,\"unique_in_site\":null"))},
    };
    for (size_t i = 0; i < COUNT(finished); i++)
        expect_body(finished[i].bytes, finished[i].size, OUTCOME_VERIFIED, REASON_NONE);
}

static void classify_body_that_is_not_the_documented_json_is_bad(void **state)
{
    (void)state;
    static const struct body bad[] = {
        {NULL, 0},
        {BODY("")},
        {BODY(" \n")},
        {BODY("<html><body>Service maintenance</body></html>")},
        {BODY("OK")},
        {BODY("null")},
        {BODY("0")},
        {BODY("true")},
        {BODY("\"code\"")},
        {BODY("[]")},
        {BODY("[" RESPONSE(FINISHED) "]")},
        {BODY("{}")},
        {BODY("\xef\xbb\xbf" RESPONSE(FINISHED))},
        {BODY(RESPONSE(FINISHED) "}")},
        {BODY(RESPONSE(FINISHED) RESPONSE(FINISHED))},
        {BODY(RESPONSE(FINISHED) "<!-- cached -->")},
        {BODY(RESPONSE(FINISHED) "\0")},
        {BODY(RESPONSE(FINISHED ","))},
        {BODY(RESPONSE(FINISHED ",\"name\":'x'"))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"a\nb\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"a\0b\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":NaN"))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\xff\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\xc0\xaf\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\xed\xa0\x80\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\\ud800\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\\udc00\\ud800\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\\ud800x\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"\\u0000\""))},
        {BODY(RESPONSE(FINISHED ",\"na\\u0000me\":\"x\""))},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_body(bad[i].bytes, bad[i].size, OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

static void classify_duplicate_names_are_bad(void **state)
{
    (void)state;
    static const struct body bad[] = {
        {BODY("{\"code\":1,\"code\":0,\"response\":{" FINISHED "}}")},
        {BODY("{\"code\":0,\"response\":null,\"response\":{" FINISHED "}}")},
        {BODY(RESPONSE("\"certified\":false," FINISHED))},
        {BODY(RESPONSE(FINISHED ",\"certified\":true"))},
        {BODY(RESPONSE("\"imp_uid\":\"other\"," FINISHED))},
        {BODY(RESPONSE(FINISHED ",\"\\u0075nique_key\":\"another\""))},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_body(bad[i].bytes, bad[i].size, OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

static void classify_deep_nesting_is_bad(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    static const char *const opens[] = {"[", "{\"a\":"};
    for (size_t i = 0; i < COUNT(opens); i++) {
        struct buf body;
        buf_init(&body, 1 << 21);
        bool ok = buf_format(&body, "{\"code\":0,\"response\":{" FINISHED ",\"later\":");
        for (int depth = 0; depth < DEPTH; depth++)
            ok = ok && buf_append(&body, opens[i], strlen(opens[i]));
        assert_true(ok);
        struct answer answer = answered(200, body.data, body.size);
        expect(&answer, OUTCOME_RETRY, REASON_BAD_RESPONSE, "deep nesting");
        buf_cleanup(&body);
    }
}

static void classify_truncated_body_is_bad_at_every_byte(void **state)
{
    (void)state;
    struct buf body;
    answer_format(&body, "", NULL);
    for (size_t size = 0; size < body.size; size++) {
        /* a block of that size alone, so that reading on behind its end is seen */
        char *bytes = malloc(size + !size);
        memcpy(bytes, body.data, size);
        struct answer answer = answered(200, bytes, size);
        expect(&answer, OUTCOME_RETRY, REASON_BAD_RESPONSE, "truncated");
        free(bytes);
    }
    buf_cleanup(&body);
}

static void classify_code_must_be_the_number_0(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        enum outcome outcome;
        enum reason reason;
    } codes[] = {
        {"0", OUTCOME_VERIFIED, REASON_NONE},
        {"1", OUTCOME_REJECTED, REASON_REFUSED},
        {"-1", OUTCOME_REJECTED, REASON_REFUSED},
        {"9223372036854775807", OUTCOME_REJECTED, REASON_REFUSED},
        {"-9223372036854775808", OUTCOME_REJECTED, REASON_REFUSED},
        {"9223372036854775808", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"0.0", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"0e0", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"1.5", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"\"0\"", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"\"\"", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"null", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"false", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"[0]", OUTCOME_RETRY, REASON_BAD_RESPONSE},
        {"{}", OUTCOME_RETRY, REASON_BAD_RESPONSE},
    };
    char body[400];
    for (size_t i = 0; i < COUNT(codes); i++) {
        int size = snprintf(
            body, sizeof body, "{\"code\":%s,\"message\":\"\",\"response\":{" FINISHED "}}", codes[i].code);
        expect_body(body, (size_t)size, codes[i].outcome, codes[i].reason);
    }
    expect_body(BODY("{\"response\":{" FINISHED "}}"), OUTCOME_RETRY, REASON_BAD_RESPONSE);
    expect_body(BODY("{\"code\":1,\"message\":\"no\",\"response\":null}"), OUTCOME_REJECTED, REASON_REFUSED);
    expect_body(BODY("{\"code\":1}"), OUTCOME_REJECTED, REASON_REFUSED);
}

static void classify_response_must_be_an_object(void **state)
{
    (void)state;
    static const struct body bad[] = {
        {BODY("{\"code\":0}")},
        {BODY("{\"code\":0,\"message\":null}")},
        {BODY("{\"code\":0,\"response\":null}")},
        {BODY("{\"code\":0,\"response\":true}")},
        {BODY("{\"code\":0,\"response\":\"certified\"}")},
        {BODY("{\"code\":0,\"response\":[]}")},
        {BODY("{\"code\":0,\"response\":[{" FINISHED "}]}")},
        {BODY("{\"code\":0,\"response\":{}}")},
        {BODY("{\"code\":0," FINISHED "}")},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_body(bad[i].bytes, bad[i].size, OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

/* ---- the members that decide ---- */

static void classify_answer_for_another_imp_uid_is_bad(void **state)
{
    (void)state;
    static const char *const others[] = {NULL, "null", "\"\"", "\"imp_100000000002\"", "\"imp_10000000000\"",
        "\"imp_1000000000010\"", "\"IMP_100000000001\"", "\" " IMP_UID "\"", "\"" IMP_UID "\\n\"",
        "\"" IMP_UID "\\u0000\"", "100000000001", "true", "[\"" IMP_UID "\"]", "{\"" IMP_UID "\":1}"};
    for (size_t i = 0; i < COUNT(others); i++)
        expect_member("imp_uid", others[i], OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

static void classify_answer_for_another_is_bad_even_if_not_certified(void **state)
{
    (void)state;
    expect_body(
        BODY(RESPONSE("\"imp_uid\":\"imp_2\",\"certified\":false")), OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

static void classify_only_true_is_certified(void **state)
{
    (void)state;
    static const char *const others[] = {
        NULL, "null", "false", "\"true\"", "\"\"", "1", "0", "1.0", "[true]", "{\"certified\":true}"};
    for (size_t i = 0; i < COUNT(others); i++)
        expect_member("certified", others[i], OUTCOME_LATER, REASON_NOT_CERTIFIED);
    expect_member("certified", "true", OUTCOME_VERIFIED, REASON_NONE);
}

static void classify_unfinished_record_is_not_certified(void **state)
{
    (void)state;
    expect_body(BODY(RESPONSE("\"imp_uid\":\"" IMP_UID "\",\"pg_provider\":\"danal\",\"foreigner\":false,"
                              "\"certified\":false,\"certified_at\":0,\"unique_key\":null,\"name\":null")),
        OUTCOME_LATER, REASON_NOT_CERTIFIED);
    expect_body(BODY(RESPONSE("\"imp_uid\":\"" IMP_UID "\"")), OUTCOME_LATER, REASON_NOT_CERTIFIED);
}

static void classify_certified_without_unique_key_is_rejected(void **state)
{
    (void)state;
    expect_member("unique_key", NULL, OUTCOME_REJECTED, REASON_NO_UNIQUE_KEY);
    expect_member("unique_key", "null", OUTCOME_REJECTED, REASON_NO_UNIQUE_KEY);
    expect_member("unique_key", "\"\"", OUTCOME_REJECTED, REASON_NO_UNIQUE_KEY);
}

static void classify_unique_key_that_is_no_text_is_bad(void **state)
{
    (void)state;
    static const char *const others[] = {"0", "1.5", "true", "false", "[]", "{}", "[\"k\"]", "\"\\u0000\""};
    for (size_t i = 0; i < COUNT(others); i++)
        expect_member("unique_key", others[i], OUTCOME_RETRY, REASON_BAD_RESPONSE);
}

static void classify_integers_beyond_64_bits_are_bad(void **state)
{
    (void)state;
    static const char *const names[] = {"birth", "certified_at"};
    for (size_t i = 0; i < COUNT(names); i++) {
        expect_member(names[i], "9223372036854775808", OUTCOME_RETRY, REASON_BAD_RESPONSE);
        expect_member(names[i], "-9223372036854775809", OUTCOME_RETRY, REASON_BAD_RESPONSE);
        expect_member(names[i], "9223372036854775807", OUTCOME_VERIFIED, REASON_NONE);
    }
}

static void classify_texts_beyond_all_measure_are_bad(void **state)
{
    (void)state;
    struct judged judged;
    char *text = malloc(100001);
    memset(text, 'k', 100000);
    text[0] = text[99999] = '"';
    text[100000] = '\0';
    judge_with(&judged, "unique_key", text, CERTIFICATION_ALWAYS);
    assert_true(is(&judged, OUTCOME_RETRY, REASON_BAD_RESPONSE));
    judged_cleanup(&judged);
    judge_with(&judged, "origin", text, CERTIFICATION_ALWAYS);
    assert_true(is(&judged, OUTCOME_VERIFIED, REASON_NONE));
    judged_cleanup(&judged);
    free(text);
}

/* ---- what is kept ---- */

/* The kept value as text; "null" where there is none. */
static const char *kept(const struct judged *judged, enum certification_field field)
{
    static char number[32];
    const struct certification_value *value = &judged->certification.values[field];
    switch (value->type) {
    case CERTIFICATION_TEXT:
        return certification_text(&judged->certification, field);
    case CERTIFICATION_NUMBER:
        snprintf(number, sizeof number, "%" PRId64, value->number);
        return number;
    case CERTIFICATION_BOOL:
        return value->number ? "true" : "false";
    default:
        return "null";
    }
}

static const char *const kept_values[CERTIFICATION_FIELD_COUNT] = {
    [CERTIFICATION_UNIQUE_KEY] = KEY,
    [CERTIFICATION_UNIQUE_IN_SITE] = "MC0GCCqGSIb3DQIJAyEA",
    [CERTIFICATION_NAME] = "\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c",
    [CERTIFICATION_PHONE] = "01012345678",
    [CERTIFICATION_BIRTH] = "-53600400",
    [CERTIFICATION_BIRTHDAY] = "1968-04-21",
    [CERTIFICATION_GENDER] = "female",
    [CERTIFICATION_CARRIER] = "SKT_MVNO",
    [CERTIFICATION_FOREIGNER] = "false",
    [CERTIFICATION_FOREIGNER_V2] = "true",
    [CERTIFICATION_MERCHANT_UID] = "order 17",
    [CERTIFICATION_PG_PROVIDER] = "danal",
    [CERTIFICATION_PG_TID] = "202311150001",
    [CERTIFICATION_ORIGIN] = "https://shop.example/join",
};

static void classify_keeps_every_field_asked_for(void **state)
{
    (void)state;
    struct judged judged;
    judge_with(&judged, "", NULL, ALL_FIELDS);
    assert_true(is(&judged, OUTCOME_VERIFIED, REASON_NONE));
    assert_int_equal(judged.certification.fields, ALL_FIELDS);
    assert_int_equal(judged.certification.certified_at_s, 1700000123);
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
        assert_string_equal(kept(&judged, field), kept_values[field]);
    judged_cleanup(&judged);
}

static bool holds(const struct buf *text, const char *needle)
{
    return text->data && memmem(text->data, text->size, needle, strlen(needle));
}

static void classify_keeps_nothing_that_is_not_asked_for(void **state)
{
    (void)state;
    struct judged judged;
    judge_with(&judged, "", NULL, CERTIFICATION_ALWAYS);
    assert_true(is(&judged, OUTCOME_VERIFIED, REASON_NONE));
    assert_int_equal(judged.certification.fields, CERTIFICATION_ALWAYS);
    for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++) {
        bool always = CERTIFICATION_ALWAYS & CERTIFICATION_BIT(field);
        assert_string_equal(kept(&judged, field), always ? kept_values[field] : "null");
        assert_int_equal(holds(&judged.certification.text, kept_values[field]), always);
    }
    judged_cleanup(&judged);
}

static void classify_keeps_each_field_by_itself(void **state)
{
    (void)state;
    for (enum certification_field one = 0; one < CERTIFICATION_FIELD_COUNT; one++) {
        struct judged judged;
        judge_with(&judged, "", NULL, CERTIFICATION_BIT(one));
        assert_int_equal(judged.certification.fields, CERTIFICATION_BIT(one));
        for (enum certification_field field = 0; field < CERTIFICATION_FIELD_COUNT; field++)
            assert_string_equal(kept(&judged, field), field == one ? kept_values[field] : "null");
        judged_cleanup(&judged);
    }
}

/* What is neither proof nor identity may be anything: it becomes null and refuses nobody. */
static void classify_field_of_another_shape_is_null(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum certification_type type;
        const char *kept;
    } shapes[] = {
        {NULL, CERTIFICATION_NULL, NULL},
        {"null", CERTIFICATION_NULL, NULL},
        {"\"text\"", CERTIFICATION_TEXT, "text"},
        {"\"true\"", CERTIFICATION_TEXT, "true"},
        {"\"\"", CERTIFICATION_TEXT, ""},
        {"0", CERTIFICATION_NUMBER, "0"},
        {"-9223372036854775808", CERTIFICATION_NUMBER, "-9223372036854775808"},
        {"9223372036854775807", CERTIFICATION_NUMBER, "9223372036854775807"},
        {"1.5", CERTIFICATION_NULL, NULL},
        {"1e3", CERTIFICATION_NULL, NULL},
        {"true", CERTIFICATION_BOOL, "true"},
        {"false", CERTIFICATION_BOOL, "false"},
        {"[\"text\"]", CERTIFICATION_NULL, NULL},
        {"{\"text\":1}", CERTIFICATION_NULL, NULL},
    };
    for (enum certification_field field = CERTIFICATION_UNIQUE_IN_SITE; field < CERTIFICATION_FIELD_COUNT;
         field++)
        for (size_t i = 0; i < COUNT(shapes); i++) {
            struct judged judged;
            bool fits = shapes[i].kept && shapes[i].type == certification_documented_type(field);
            judge_with(&judged, certification_name(field), shapes[i].text, ALL_FIELDS);
            if (!is(&judged, OUTCOME_VERIFIED, REASON_NONE))
                fail_msg("%s: %s: %s", certification_name(field), shapes[i].text, judged.verdict.error);
            assert_string_equal(kept(&judged, field), fits ? shapes[i].kept : "null");
            assert_int_equal(judged.certification.fields, ALL_FIELDS);
            judged_cleanup(&judged);
        }
}

static void classify_certified_at_is_a_time_or_not_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } times[] = {
        {"1700000123", 1700000123},
        {"1", 1},
        {"253402300799", INT64_C(253402300799)},
        {"253402300800", 0},
        {"9223372036854775807", 0},
        {"0", 0},
        {"-1", 0},
        {"-9223372036854775808", 0},
        {"null", 0},
        {NULL, 0},
        {"\"1700000123\"", 0},
        {"1700000123.0", 0},
        {"true", 0},
        {"[1700000123]", 0},
        {"{}", 0},
    };
    for (size_t i = 0; i < COUNT(times); i++) {
        struct judged judged;
        judge_with(&judged, "certified_at", times[i].text, CERTIFICATION_ALWAYS);
        assert_true(is(&judged, OUTCOME_VERIFIED, REASON_NONE));
        assert_int_equal(judged.certification.certified_at_s, times[i].seconds);
        judged_cleanup(&judged);
    }
}

static void classify_reads_every_way_to_write_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *kept;
    } texts[] = {
        {"\"\\ud64d\\uae38\\uc21c\"", "\xed\x99\x8d\xea\xb8\xb8\xec\x88\x9c"},
        {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80"},
        {"\"\xf0\x9f\x98\x80\"", "\xf0\x9f\x98\x80"},
        {"\"a\\/b\\\\\\\"\\n\\t\"", "a/b\\\"\n\t"},
        {"\"\\u0001\"", "\x01"},
        {"\" spaces stay \"", " spaces stay "},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct judged judged;
        judge_with(&judged, "name", texts[i].text, ALL_FIELDS);
        assert_string_equal(kept(&judged, CERTIFICATION_NAME), texts[i].kept);
        assert_string_equal(kept(&judged, CERTIFICATION_UNIQUE_KEY), KEY);
        judged_cleanup(&judged);
    }
}

static void classify_again_keeps_nothing_of_the_last_answer(void **state)
{
    (void)state;
    struct judged judged;
    judge_with(&judged, "", NULL, ALL_FIELDS);
    static const char body[] = RESPONSE(FINISHED);
    struct answer answer = answered(200, BODY(body));
    classify(&answer, IMP_UID, ALL_FIELDS, &judged.certification, &judged.verdict);
    assert_true(is(&judged, OUTCOME_VERIFIED, REASON_NONE));
    assert_string_equal(kept(&judged, CERTIFICATION_UNIQUE_KEY), "k");
    assert_int_equal(judged.certification.certified_at_s, 0);
    assert_int_equal(judged.certification.text.size, sizeof "k");
    for (enum certification_field field = 1; field < CERTIFICATION_FIELD_COUNT; field++)
        assert_string_equal(kept(&judged, field), "null");
    judged_cleanup(&judged);
}

/* ---- what is told ---- */

/* All texts of these bodies consist of a letter that stands in no text of ours. */
#define QS "QQQQQQQQ"

static void must_not_tell(long http_status, const char *body, size_t size)
{
    struct judged judged;
    struct answer answer = answered(http_status, body, size);
    judge(&judged, &answer, ALL_FIELDS);
    if (strchr(judged.verdict.error, 'Q'))
        fail_msg("HTTP %ld, %.*s: %s", http_status, (int)size, body, judged.verdict.error);
    judged_cleanup(&judged);
}

static void classify_errors_hold_nothing_of_the_body(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {BODY(QS)},
        {BODY("\"" QS "\"")},
        {BODY("\"" QS)},
        {BODY("<html>" QS "</html>")},
        {BODY("{\"" QS "\":1,\"" QS "\":2}")},
        {BODY("{\"code\":\"" QS "\"}")},
        {BODY("{\"code\":1,\"message\":\"" QS "\",\"response\":null}")},
        {BODY("{\"code\":0,\"message\":\"" QS "\",\"response\":\"" QS "\"}")},
        {BODY(RESPONSE("\"imp_uid\":\"" QS "\",\"name\":\"" QS "\""))},
        {BODY(RESPONSE("\"imp_uid\":\"" IMP_UID "\",\"certified\":\"" QS "\""))},
        {BODY(RESPONSE("\"imp_uid\":\"" IMP_UID "\",\"certified\":true,\"name\":\"" QS "\""))},
        {BODY(RESPONSE("\"imp_uid\":\"" IMP_UID "\",\"certified\":true,\"unique_key\":[\"" QS "\"]"))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"" QS "\\u0000\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"" QS "\xff\""))},
        {BODY(RESPONSE(FINISHED ",\"name\":\"" QS "\\ud800\""))},
        {BODY(RESPONSE(FINISHED) QS)},
    };
    static const long codes[] = {200, 204, 302, 400, 401, 404, 418, 429, 500, 503};
    for (size_t i = 0; i < COUNT(bodies); i++)
        for (size_t j = 0; j < COUNT(codes); j++)
            must_not_tell(codes[j], bodies[i].bytes, bodies[i].size);
}

static void classify_errors_hold_nothing_of_a_damaged_body(void **state)
{
    (void)state;
    static const char whole[] = RESPONSE(
        "\"imp_uid\":\"" IMP_UID "\",\"certified\":true,\"unique_key\":\"" QS "\",\"name\":\"" QS "\","
        "\"phone\":\"" QS "\",\"birthday\":\"" QS "\",\"origin\":\"" QS "\",\"" QS "\":{\"" QS "\":\"" QS
        "\"}");
    static const char damage[] = {'\0', '"', '\\', '{', '}', ',', ':', '0', '\n', '\xff', 'Q'};
    const size_t size = sizeof whole - 1;
    for (size_t cut = 0; cut <= size; cut++)
        must_not_tell(200, whole, cut);
    for (size_t at = 0; at < size; at++)
        for (size_t i = 0; i < COUNT(damage); i++) {
            char damaged[sizeof whole];
            memcpy(damaged, whole, sizeof whole);
            damaged[at] = damage[i];
            must_not_tell(200, damaged, size);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify_trouble_on_the_way_is_unavailable),
        cmocka_unit_test(classify_too_large_an_answer_is_bad),
        cmocka_unit_test(classify_says_what_went_wrong_on_the_way),
        cmocka_unit_test(classify_cuts_a_long_failure),
        cmocka_unit_test(classify_status_decides_whatever_the_body_says),
        cmocka_unit_test(classify_passes_retry_after_on),
        cmocka_unit_test(classify_takes_a_finished_certification),
        cmocka_unit_test(classify_body_that_is_not_the_documented_json_is_bad),
        cmocka_unit_test(classify_duplicate_names_are_bad),
        cmocka_unit_test(classify_deep_nesting_is_bad),
        cmocka_unit_test(classify_truncated_body_is_bad_at_every_byte),
        cmocka_unit_test(classify_code_must_be_the_number_0),
        cmocka_unit_test(classify_response_must_be_an_object),
        cmocka_unit_test(classify_answer_for_another_imp_uid_is_bad),
        cmocka_unit_test(classify_answer_for_another_is_bad_even_if_not_certified),
        cmocka_unit_test(classify_only_true_is_certified),
        cmocka_unit_test(classify_unfinished_record_is_not_certified),
        cmocka_unit_test(classify_certified_without_unique_key_is_rejected),
        cmocka_unit_test(classify_unique_key_that_is_no_text_is_bad),
        cmocka_unit_test(classify_integers_beyond_64_bits_are_bad),
        cmocka_unit_test(classify_texts_beyond_all_measure_are_bad),
        cmocka_unit_test(classify_keeps_every_field_asked_for),
        cmocka_unit_test(classify_keeps_nothing_that_is_not_asked_for),
        cmocka_unit_test(classify_keeps_each_field_by_itself),
        cmocka_unit_test(classify_field_of_another_shape_is_null),
        cmocka_unit_test(classify_certified_at_is_a_time_or_not_told),
        cmocka_unit_test(classify_reads_every_way_to_write_a_text),
        cmocka_unit_test(classify_again_keeps_nothing_of_the_last_answer),
        cmocka_unit_test(classify_errors_hold_nothing_of_the_body),
        cmocka_unit_test(classify_errors_hold_nothing_of_a_damaged_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
