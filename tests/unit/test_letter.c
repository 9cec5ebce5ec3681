/* Headers of forwarded records: the event's own as they came, ours once each, with the names and values of
 * the README. */
#include "common/letter.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct header {
    const char *name;
    const void *value; /* NULL: a null value, which is not an empty one */
    size_t size;
};

#define TEXT(name, text)                                                                                     \
    {                                                                                                        \
        name, text, sizeof(text) - 1                                                                         \
    }
#define COUNT(headers) (sizeof(headers) / sizeof *(headers))

static const struct letter refused = {
    .reason = REASON_REFUSED,
    .error = "HTTP 400",
    .http_status = 400,
    .attempts = 7,
    .first_failed_ms = INT64_C(1700000123004),
    .failed_ms = INT64_C(1700003723456),
    .topic = "certifications",
    .origin = "certifications/11/12345678901",
};

static const struct header refused_headers[] = {
    TEXT("impcert.reason", "refused"),
    TEXT("impcert.error", "HTTP 400"),
    TEXT("impcert.http_status", "400"),
    TEXT("impcert.attempts", "7"),
    TEXT("impcert.first_failed_at", "2023-11-14T22:15:23.004Z"),
    TEXT("impcert.failed_at", "2023-11-14T23:15:23.456Z"),
    TEXT("impcert.origin", "certifications/11/12345678901"),
    TEXT("impcert.topic", "certifications"),
};

static rd_kafka_headers_t *headers_of(const struct header *list, size_t count)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(
            rd_kafka_header_add(headers, list[i].name, -1, list[i].value, (ssize_t)list[i].size), 0);
    return headers;
}

/* The headers are these and no others. */
static void headers_are(const rd_kafka_headers_t *headers, const struct header *list, size_t count)
{
    assert_int_equal(rd_kafka_header_cnt(headers), count);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        assert_int_equal(rd_kafka_header_get_all(headers, i, &name, &value, &size), 0);
        assert_string_equal(name, list[i].name);
        assert_int_equal(size, list[i].size);
        assert_int_equal(value == NULL, list[i].value == NULL);
        if (size)
            assert_memory_equal(value, list[i].value, size);
    }
}

/* The one value of a header; "" where there is none. */
static const char *only(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value, *second;
    size_t size;
    if (rd_kafka_header_get(headers, 0, name, &value, &size))
        return "";
    assert_int_equal(rd_kafka_header_get(headers, 1, name, &second, &size), RD_KAFKA_RESP_ERR__NOENT);
    return value;
}

static void letter_says_all_of_the_failure(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = letter_headers(&refused, NULL);
    headers_are(headers, refused_headers, COUNT(refused_headers));
    rd_kafka_headers_destroy(headers);
}

static void letter_keeps_own_headers_in_order_with_duplicates(void **state)
{
    (void)state;
    static const struct header own[] = {
        TEXT("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        TEXT("b", "2"),
        TEXT("a", "1"),
        TEXT("b", "1"),
        TEXT("b", "2"),
        TEXT("", "no name"),
        {"binary", "\0\xff\n", 3},
        {"empty", "", 0},
        {"null", NULL, 0},
    };
    rd_kafka_headers_t *before = headers_of(own, COUNT(own));
    rd_kafka_headers_t *headers = letter_headers(&refused, before);
    assert_int_equal(rd_kafka_header_cnt(headers), COUNT(own) + COUNT(refused_headers));
    headers_are(before, own, COUNT(own));
    for (size_t i = 0; i < COUNT(refused_headers); i++)
        assert_int_equal(rd_kafka_header_remove(headers, refused_headers[i].name), 0);
    headers_are(headers, own, COUNT(own));
    rd_kafka_headers_destroy(before);
    rd_kafka_headers_destroy(headers);
}

static void letter_replaces_headers_of_an_earlier_hop(void **state)
{
    (void)state;
    static const struct header own[] = {
        TEXT("impcert.reason", "not_found"),
        TEXT("traceparent", "t"),
        TEXT("impcert.http_status", "404"),
        TEXT("impcert.not_before", "2023-11-14T22:15:23.004Z"),
        TEXT("impcert.attempts", "4"),
        TEXT("impcert.attempts", "5"),
        TEXT("impcert.", ""),
        TEXT("impcert.later", "unknown to us"),
    };
    rd_kafka_headers_t *before = headers_of(own, COUNT(own));
    rd_kafka_headers_t *headers = letter_headers(&refused, before);
    assert_int_equal(rd_kafka_header_cnt(headers), 1 + COUNT(refused_headers));
    assert_string_equal(only(headers, "traceparent"), "t");
    assert_string_equal(only(headers, "impcert.reason"), "refused");
    assert_string_equal(only(headers, "impcert.attempts"), "7");
    assert_string_equal(only(headers, "impcert.http_status"), "400");
    rd_kafka_headers_destroy(before);
    rd_kafka_headers_destroy(headers);
}

static void letter_keeps_headers_that_only_look_like_ours(void **state)
{
    (void)state;
    static const struct header own[] = {
        TEXT("impcert", "1"),
        TEXT("impcertx.reason", "2"),
        TEXT("IMPCERT.reason", "3"),
        TEXT("x-impcert.reason", "4"),
        TEXT(" impcert.reason", "5"),
    };
    rd_kafka_headers_t *before = headers_of(own, COUNT(own));
    rd_kafka_headers_t *headers = letter_headers(&refused, before);
    assert_int_equal(rd_kafka_header_cnt(headers), COUNT(own) + COUNT(refused_headers));
    for (size_t i = 0; i < COUNT(own); i++)
        assert_string_equal(only(headers, own[i].name), own[i].value);
    rd_kafka_headers_destroy(before);
    rd_kafka_headers_destroy(headers);
}

static void letter_without_an_answer_has_no_http_status(void **state)
{
    (void)state;
    struct letter letter = refused;
    letter.http_status = 0;
    rd_kafka_headers_t *headers = letter_headers(&letter, NULL);
    assert_int_equal(rd_kafka_header_cnt(headers), COUNT(refused_headers) - 1);
    assert_string_equal(only(headers, "impcert.http_status"), "");
    rd_kafka_headers_destroy(headers);
}

static void letter_keeps_a_long_error_whole(void **state)
{
    (void)state;
    char error[4000];
    memset(error, 'e', sizeof error - 1);
    error[sizeof error - 1] = '\0';
    struct letter letter = refused;
    letter.error = error;
    rd_kafka_headers_t *headers = letter_headers(&letter, NULL);
    assert_string_equal(only(headers, "impcert.error"), error);
    rd_kafka_headers_destroy(headers);
}

static void letter_origin_has_room_for_the_longest(void **state)
{
    (void)state;
    char topic[250], origin[LETTER_ORIGIN_SIZE], wanted[400];
    memset(topic, 't', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    letter_origin(topic, INT32_MAX, INT64_MAX, origin);
    snprintf(wanted, sizeof wanted, "%s/%d/%" PRId64, topic, INT32_MAX, INT64_MAX);
    assert_string_equal(origin, wanted);
}

static void letter_to_a_retry_topic_says_when_it_is_due(void **state)
{
    (void)state;
    struct letter letter = refused;
    letter.not_before_ms = INT64_C(1700003753456);
    rd_kafka_headers_t *headers = letter_headers(&letter, NULL);
    assert_string_equal(only(headers, "impcert.not_before"), "2023-11-14T23:15:53.456Z");
    rd_kafka_headers_destroy(headers);
}

static void letter_keeps_what_a_replay_wrote(void **state)
{
    (void)state;
    static const struct header own[] = {
        TEXT("impcert.replayed_at", "2023-11-14T22:15:23.004Z"), TEXT("impcert.replay_count", "2")};
    rd_kafka_headers_t *before = headers_of(own, COUNT(own));
    rd_kafka_headers_t *headers = letter_headers(&refused, before);
    assert_string_equal(only(headers, "impcert.replayed_at"), "2023-11-14T22:15:23.004Z");
    assert_string_equal(only(headers, "impcert.replay_count"), "2");
    rd_kafka_headers_destroy(before);
    rd_kafka_headers_destroy(headers);
}

static void letter_reads_what_it_wrote(void **state)
{
    (void)state;
    struct letter letter = refused;
    letter.not_before_ms = INT64_C(1700003753456);
    rd_kafka_headers_t *headers = letter_headers(&letter, NULL);
    struct letter_history history;
    letter_read(headers, &history);
    assert_int_equal(history.attempts, 7);
    assert_int_equal(history.first_failed_ms, letter.first_failed_ms);
    assert_int_equal(history.not_before_ms, letter.not_before_ms);
    assert_string_equal(history.origin, letter.origin);
    rd_kafka_headers_destroy(headers);
}

static void letter_reads_nothing_out_of_foreign_headers(void **state)
{
    (void)state;
    char long_text[LETTER_ORIGIN_SIZE + 1];
    memset(long_text, '9', sizeof long_text);
    const struct header hostile[][4] = {
        {TEXT("impcert.attempts", "-3"), TEXT("impcert.first_failed_at", "yesterday"),
            TEXT("impcert.not_before", "2023-02-31T00:00:00.000Z"), TEXT("impcert.origin", "")},
        {TEXT("impcert.attempts", "7x"), TEXT("impcert.first_failed_at", "2023-11-14T22:15:23Z"),
            TEXT("impcert.not_before", "2023-11-14T22:15:23.004+09:00"),
            {"impcert.origin", long_text, sizeof long_text}},
        {{"impcert.attempts", long_text, sizeof long_text}, {"impcert.first_failed_at", NULL, 0},
            {"impcert.not_before", long_text, sizeof long_text}, {"impcert.origin", NULL, 0}},
        {TEXT("impcert.attempts", ""), TEXT("impcert.first_failed_at", "1969-11-14T22:15:23.004Z"),
            TEXT("impcert.not_before", ""), TEXT("other", "")},
        {TEXT("impcert.attempts", "+3"), TEXT("other", ""), TEXT("other", ""), TEXT("other", "")},
        {TEXT("impcert.attempts", " 3"), TEXT("other", ""), TEXT("other", ""), TEXT("other", "")},
        {TEXT("impcert.attempts", "03"), TEXT("other", ""), TEXT("other", ""), TEXT("other", "")},
        {{"impcert.attempts", "3\0x", 3}, {"impcert.origin", "a\0b", 3}, TEXT("other", ""),
            TEXT("other", "")},
    };
    for (size_t i = 0; i < COUNT(hostile); i++) {
        rd_kafka_headers_t *headers = headers_of(hostile[i], COUNT(hostile[i]));
        struct letter_history history;
        letter_read(headers, &history);
        assert_int_equal(history.attempts, 0);
        assert_int_equal(history.first_failed_ms, 0);
        assert_int_equal(history.not_before_ms, 0);
        assert_string_equal(history.origin, "");
        rd_kafka_headers_destroy(headers);
    }
}

static void letter_failure_is_what_was_written(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = letter_headers(&refused, NULL);
    assert_int_equal(rd_kafka_header_add(headers, "impcert.replay_count", -1, "3", -1), 0);
    struct letter_failure failure;
    letter_read_failure(headers, &failure);
    assert_int_equal(failure.reason, REASON_REFUSED);
    assert_string_equal(failure.error, refused.error);
    assert_int_equal(failure.http_status, 400);
    assert_int_equal(failure.attempts, 7);
    assert_int_equal(failure.first_failed_ms, refused.first_failed_ms);
    assert_int_equal(failure.failed_ms, refused.failed_ms);
    assert_string_equal(failure.origin, refused.origin);
    assert_int_equal(failure.replay_count, 3);
    rd_kafka_headers_destroy(headers);
}

static void letter_failure_of_foreign_headers_is_nothing(void **state)
{
    (void)state;
    const struct header hostile[] = {{"impcert.reason", "refused\0x", 9}, TEXT("impcert.http_status", "-1"),
        TEXT("impcert.failed_at", "now"), TEXT("impcert.replay_count", "many"), {"impcert.error", NULL, 0}};
    rd_kafka_headers_t *headers = headers_of(hostile, COUNT(hostile));
    struct letter_failure failure;
    for (int none = 0; none < 2; none++) {
        memset(&failure, 'x', sizeof failure);
        letter_read_failure(none ? NULL : headers, &failure);
        assert_int_equal(failure.reason, REASON_NONE);
        assert_string_equal(failure.error, "");
        assert_int_equal(failure.http_status, 0);
        assert_int_equal(failure.failed_ms, 0);
        assert_string_equal(failure.origin, "");
        assert_int_equal(failure.replay_count, 0);
    }
    rd_kafka_headers_destroy(headers);
}

static void reasons_are_found_by_their_names(void **state)
{
    (void)state;
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        assert_int_equal(reason_by_name(reason_name(reason)), reason);
    assert_int_equal(reason_by_name("none"), REASON_NONE);
    assert_int_equal(reason_by_name(""), REASON_NONE);
    assert_int_equal(reason_by_name("refused "), REASON_NONE);
}

static void letter_history_of_no_headers_is_empty(void **state)
{
    (void)state;
    struct letter_history history = {.attempts = 1};
    letter_read(NULL, &history);
    assert_int_equal(history.attempts, 0);
    assert_string_equal(history.origin, "");
}

static void reason_names_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct {
        enum reason reason;
        const char *name;
    } names[] = {
        {REASON_INVALID_EVENT, "invalid_event"},
        {REASON_NOT_CERTIFIED, "not_certified"},
        {REASON_NO_UNIQUE_KEY, "no_unique_key"},
        {REASON_NOT_FOUND, "not_found"},
        {REASON_REFUSED, "refused"},
        {REASON_BAD_RESPONSE, "bad_response"},
        {REASON_UNAVAILABLE, "unavailable"},
        {REASON_RATE_LIMITED, "rate_limited"},
        {REASON_STORE_REJECTED, "store_rejected"},
    };
    assert_int_equal(COUNT(names) + 1, REASON_COUNT);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_string_equal(reason_name(names[i].reason), names[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letter_says_all_of_the_failure),
        cmocka_unit_test(letter_keeps_own_headers_in_order_with_duplicates),
        cmocka_unit_test(letter_replaces_headers_of_an_earlier_hop),
        cmocka_unit_test(letter_keeps_headers_that_only_look_like_ours),
        cmocka_unit_test(letter_without_an_answer_has_no_http_status),
        cmocka_unit_test(letter_keeps_a_long_error_whole),
        cmocka_unit_test(letter_to_a_retry_topic_says_when_it_is_due),
        cmocka_unit_test(letter_keeps_what_a_replay_wrote),
        cmocka_unit_test(letter_reads_what_it_wrote),
        cmocka_unit_test(letter_reads_nothing_out_of_foreign_headers),
        cmocka_unit_test(letter_failure_is_what_was_written),
        cmocka_unit_test(letter_failure_of_foreign_headers_is_nothing),
        cmocka_unit_test(reasons_are_found_by_their_names),
        cmocka_unit_test(letter_history_of_no_headers_is_empty),
        cmocka_unit_test(letter_origin_has_room_for_the_longest),
        cmocka_unit_test(reason_names_are_those_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
