/* The headers that replays and discards write. */
#include "replay/story.h"

#include "common/letter.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000123004)
#define NOW "2023-11-14T22:15:23.004Z"
#define HISTORY "impcert.replay_history"

static void add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    assert_int_equal(rd_kafka_header_add(headers, name, -1, value, -1), 0);
}

/* The value of a header as text, to be freed. */
static char *text_of(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value;
    size_t size;
    if (rd_kafka_header_get_last(headers, name, &value, &size))
        fail_msg("no header %s", name);
    return strndup(value, size);
}

static void header_is(const rd_kafka_headers_t *headers, const char *name, const char *expected)
{
    char *text = text_of(headers, name);
    assert_string_equal(text, expected);
    free(text);
}

static json_t *history_of(const rd_kafka_headers_t *headers)
{
    char *text = text_of(headers, HISTORY);
    json_t *history = json_loads(text, 0, NULL);
    free(text);
    assert_true(json_is_array(history));
    return history;
}

static rd_kafka_headers_t *letter_new(const char *error)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    add(headers, "traceparent", "00-1");
    add(headers, "impcert.reason", "refused");
    add(headers, "impcert.error", error);
    add(headers, "impcert.attempts", "7");
    add(headers, "impcert.failed_at", NOW);
    add(headers, "impcert.origin", "certifications/0/1");
    add(headers, "impcert.topic", "certifications");
    add(headers, "binary", "");
    return headers;
}

static void story_keeps_the_events_headers_and_tells_of_the_failure(void **state)
{
    (void)state;
    rd_kafka_headers_t *own = letter_new("HTTP 400"), *headers = story_event_headers(own, 1, NOW_MS);
    assert_int_equal(rd_kafka_header_cnt(headers), 5);
    header_is(headers, "traceparent", "00-1");
    header_is(headers, "binary", "");
    header_is(headers, "impcert.replay_count", "1");
    header_is(headers, "impcert.replayed_at", NOW);
    header_is(headers, HISTORY,
        "[{\"reason\":\"refused\",\"error\":\"HTTP 400\",\"attempts\":\"7\",\"failed_at\":\"" NOW
        "\",\"origin\":\"certifications/0/1\"}]");
    rd_kafka_headers_destroy(headers);
    rd_kafka_headers_destroy(own);
}

static void story_grows_with_each_replay_and_drops_the_oldest(void **state)
{
    (void)state;
    char error[16];
    rd_kafka_headers_t *headers = NULL;
    for (int i = 0; i < STORY_FAILURES_MOST + 3; i++) {
        snprintf(error, sizeof error, "error %d", i);
        rd_kafka_headers_t *own = letter_new(error);
        if (headers) {
            char *history = text_of(headers, HISTORY);
            add(own, HISTORY, history);
            free(history);
            rd_kafka_headers_destroy(headers);
        }
        headers = story_event_headers(own, i + 1, NOW_MS);
        rd_kafka_headers_destroy(own);
    }
    json_t *history = history_of(headers);
    assert_int_equal(json_array_size(history), STORY_FAILURES_MOST);
    assert_string_equal(json_string_value(json_object_get(json_array_get(history, 0), "error")), "error 3");
    json_decref(history);
    rd_kafka_headers_destroy(headers);
}

static void story_begins_anew_where_the_history_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "{}", "[", "null", "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rd_kafka_headers_t *own = letter_new("HTTP 400");
        add(own, HISTORY, wrong[i]);
        rd_kafka_headers_t *headers = story_event_headers(own, 1, NOW_MS);
        json_t *history = history_of(headers);
        assert_int_equal(json_array_size(history), 1);
        json_decref(history);
        rd_kafka_headers_destroy(headers);
        rd_kafka_headers_destroy(own);
    }
}

static void story_leaves_out_what_is_no_text(void **state)
{
    (void)state;
    static const char nul[] = "HTTP\0 400", *const wrong[] = {nul, "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rd_kafka_headers_t *own = rd_kafka_headers_new(2);
        add(own, "impcert.reason", "refused");
        size_t size = wrong[i] == nul ? sizeof nul - 1 : 1;
        assert_int_equal(rd_kafka_header_add(own, "impcert.error", -1, wrong[i], (ssize_t)size), 0);
        rd_kafka_headers_t *headers = story_event_headers(own, 1, NOW_MS);
        json_t *history = history_of(headers);
        const json_t *failure = json_array_get(history, 0);
        assert_string_equal(json_string_value(json_object_get(failure, "reason")), "refused");
        assert_null(json_object_get(failure, "error"));
        json_decref(history);
        rd_kafka_headers_destroy(headers);
        rd_kafka_headers_destroy(own);
    }
}

static int json_fails_at;

static void *json_malloc_or_not(size_t size)
{
    return json_fails_at && --json_fails_at == 0 ? NULL : malloc(size);
}

/* What is left out would be left out for good. */
static void story_without_memory_is_none(void **state)
{
    (void)state;
    rd_kafka_headers_t *own = letter_new("HTTP 400"), *headers = NULL;
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    int tries = 0;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(json_malloc_or_not, free);
    while (!headers && tries < 1000) {
        json_fails_at = ++tries;
        headers = story_event_headers(own, 1, NOW_MS);
    }
    json_fails_at = 0;
    json_set_alloc_funcs(usual_malloc, usual_free);
    if (!headers || tries <= 10)
        fail_msg("%s after %d tries", headers ? "headers" : "none", tries);
    json_t *history = history_of(headers);
    assert_int_equal(json_array_size(history), 1);
    assert_int_equal(json_object_size(json_array_get(history, 0)), 5);
    json_decref(history);
    rd_kafka_headers_destroy(headers);
    rd_kafka_headers_destroy(own);
}

static void story_of_a_letter_without_headers_is_short(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = story_event_headers(NULL, 1, NOW_MS);
    assert_int_equal(rd_kafka_header_cnt(headers), 2);
    rd_kafka_headers_destroy(headers);
}

static void story_marks_say_what_was_done(void **state)
{
    (void)state;
    rd_kafka_headers_t *headers = story_replayed_headers(3, NOW_MS);
    assert_int_equal(rd_kafka_header_cnt(headers), 2);
    header_is(headers, "impcert.replay_count", "3");
    header_is(headers, "impcert.replayed_at", NOW);
    rd_kafka_headers_destroy(headers);
    headers = letter_discarded_headers("closed account", NOW_MS);
    assert_int_equal(rd_kafka_header_cnt(headers), 2);
    header_is(headers, "impcert.discard_reason", "closed account");
    header_is(headers, "impcert.discarded_at", NOW);
    rd_kafka_headers_destroy(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story_keeps_the_events_headers_and_tells_of_the_failure),
        cmocka_unit_test(story_grows_with_each_replay_and_drops_the_oldest),
        cmocka_unit_test(story_begins_anew_where_the_history_is_none),
        cmocka_unit_test(story_leaves_out_what_is_no_text),
        cmocka_unit_test(story_without_memory_is_none),
        cmocka_unit_test(story_of_a_letter_without_headers_is_short),
        cmocka_unit_test(story_marks_say_what_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
