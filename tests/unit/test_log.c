/* The log's lines: their two forms, and that nothing in a value can break a line, a terminal or the JSON. */
#include "common/clock.h"
#include "common/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error goes into a pipe while a line is written, so that its writes can be counted: one line, one
 * read. */
struct capture {
    int saved;
    int pipe[2];
    char line[8192];
};

static void begin(struct capture *capture)
{
    assert_int_equal(pipe(capture->pipe), 0);
    capture->saved = dup(STDERR_FILENO);
    dup2(capture->pipe[1], STDERR_FILENO);
}

static const char *end(struct capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->pipe[1]);
    ssize_t length = read(capture->pipe[0], capture->line, sizeof capture->line - 1);
    assert_true(length >= 0);
    capture->line[length] = '\0';
    close(capture->pipe[0]);
    return capture->line;
}

static json_t *parsed(const char *line)
{
    json_error_t error;
    json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s in %s", error.text, line);
    const char *newline = strchr(line, '\n');
    assert_true(newline && !newline[1]);
    return root;
}

static const char *text_of(const json_t *root, const char *name)
{
    return json_string_value(json_object_get(root, name));
}

static void log_json_line_has_time_level_message_and_fields(void **state)
{
    (void)state;
    struct capture capture;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    begin(&capture);
    log_warn("event rejected", LOG_TEXT("imp_uid", "imp_1"), LOG_NUMBER("offset", INT64_MIN));
    json_t *root = parsed(end(&capture));
    assert_int_equal(json_object_size(root), 5);
    assert_int_equal(strlen(text_of(root, "time")), strlen("2026-01-02T03:04:05.678Z"));
    assert_string_equal(text_of(root, "level"), "warn");
    assert_string_equal(text_of(root, "message"), "event rejected");
    assert_string_equal(text_of(root, "imp_uid"), "imp_1");
    assert_true(json_integer_value(json_object_get(root, "offset")) == INT64_MIN);
    json_decref(root);
}

static void log_text_line_quotes_only_what_needs_it(void **state)
{
    (void)state;
    struct capture capture;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    begin(&capture);
    log_info("broker down", LOG_TEXT("broker", "kafka-1:9092"), LOG_TEXT("why", "no \"route\""),
        LOG_TEXT("none", ""), LOG_TEXT("pair", "a=b"), LOG_NUMBER("tries", 3));
    const char *line = end(&capture);
    assert_string_equal(line + strlen("2026-01-02T03:04:05.678Z"),
        " info broker down broker=kafka-1:9092 why=\"no \\\"route\\\"\" none=\"\" pair=\"a=b\" tries=3\n");
}

static void log_leaves_out_what_is_below_the_level(void **state)
{
    (void)state;
    struct capture capture;
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_JSON);
    begin(&capture);
    log_debug("one");
    log_info("two");
    assert_string_equal(end(&capture), "");
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_ERROR));
}

/* What an attacker may put into a value, and how it reads in a text line. */
static const struct {
    const char *value, *text;
} harmful[] = {
    {"a\nb", "\"a\\nb\""},
    {"a\r\tb", "\"a\\u000d\\u0009b\""},
    {"\x1b[31mred", "\"\\u001b[31mred\""},
    {"\x7f", "\"\\u007f\""},
    {"\xc2\x9b"
     "31m",
        "\"\\u009b31m\""},
    {"\xe2\x80\xae"
     "evil",
        "\"\\u202e"
        "evil\""},
    {"\xe2\x80\xa8", "\"\\u2028\""},
    {"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xc3", "\"\xef\xbf\xbd\""},
    {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\\", "\"\\\\\""},
    {"\xed\x99\x8d", "\"\xed\x99\x8d\""},
};

static void log_makes_values_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++) {
        struct capture capture;
        char wanted[128];
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        begin(&capture);
        log_info("x", LOG_TEXT("value", harmful[i].value));
        const char *line = end(&capture);
        snprintf(wanted, sizeof wanted, " info x value=%s\n", harmful[i].text);
        assert_string_equal(line + strlen("2026-01-02T03:04:05.678Z"), wanted);
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        begin(&capture);
        log_info("x", LOG_TEXT("value", harmful[i].value));
        json_decref(parsed(end(&capture)));
    }
}

static void log_cuts_long_lines_with_a_mark(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a", "\"", "\x01", "\xed\x99\x8d", "\xff"};
    static char value[9000];
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t length = strlen(patterns[i]);
        /* Every alignment of the cut to the characters. */
        for (size_t less = 0; less < 12; less++) {
            memset(value, 'b', less);
            for (size_t at = less; at + length < sizeof value; at += length)
                memcpy(value + at, patterns[i], length + 1);
            struct capture capture;
            log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
            begin(&capture);
            log_info("x", LOG_TEXT("value", value), LOG_NUMBER("after", 1));
            const char *line = end(&capture);
            assert_true(strlen(line) <= 4096);
            json_t *root = parsed(line);
            assert_true(json_is_true(json_object_get(root, "cut")));
            json_decref(root);
            log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
            begin(&capture);
            log_info("x", LOG_TEXT("value", value));
            line = end(&capture);
            assert_true(strlen(line) <= 4096);
            assert_non_null(strstr(line, " cut=true\n"));
        }
    }
}

static void log_cuts_between_fields_too(void **state)
{
    (void)state;
    static char value[4000];
    for (size_t length = 3800; length < sizeof value; length++) {
        memset(value, 'a', length);
        value[length] = '\0';
        struct capture capture;
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        begin(&capture);
        log_info("x", LOG_TEXT("one", value), LOG_TEXT("two", "\n\n\n"), LOG_NUMBER("three", INT64_MIN));
        json_decref(parsed(end(&capture)));
    }
}

static void log_leaves_out_an_optional_text_that_is_empty(void **state)
{
    (void)state;
    struct capture capture;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    begin(&capture);
    log_info("x", LOG_TEXT_IF_ANY("trace_id", ""), LOG_TEXT_IF_ANY("other", "y"), LOG_TEXT("last", ""));
    json_t *root = parsed(end(&capture));
    assert_null(json_object_get(root, "trace_id"));
    assert_string_equal(json_string_value(json_object_get(root, "other")), "y");
    assert_string_equal(json_string_value(json_object_get(root, "last")), "");
    json_decref(root);
}

/* How many lines came of so many of the same. */
static int lines_of(int count, enum log_level level, const char *message, const char *text)
{
    int lines = 0;
    for (int i = 0; i < count; i++) {
        struct capture capture;
        begin(&capture);
        log_fields(level, message, LOG_TEXT("error", text), LOG_END);
        lines += *end(&capture) != '\0';
    }
    return lines;
}

static void log_holds_back_warnings_that_repeat(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(lines_of(50, LOG_LEVEL_WARN, "commit failed", "one"), LOG_REPEATS);
    assert_int_equal(lines_of(50, LOG_LEVEL_WARN, "commit failed", "another"), LOG_REPEATS);
    assert_int_equal(lines_of(50, LOG_LEVEL_ERROR, "still broken", "one"), LOG_REPEATS);
    assert_int_equal(lines_of(50, LOG_LEVEL_INFO, "dead letter", "one"), 50);
}

int64_t __wrap_clock_ns(void);
static int64_t test_now_ns = CLOCK_S;

int64_t __wrap_clock_ns(void)
{
    return test_now_ns;
}

static void log_tells_how_many_it_held_back(void **state)
{
    (void)state;
    struct capture capture;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(lines_of(LOG_REPEATS + 7, LOG_LEVEL_WARN, "too often", "why"), LOG_REPEATS);
    test_now_ns += LOG_REPEATS_WITHIN_S * CLOCK_S;
    begin(&capture);
    log_warn("too often", LOG_TEXT("error", "why"));
    json_t *root = parsed(end(&capture));
    assert_int_equal(json_integer_value(json_object_get(root, "suppressed")), 7);
    json_decref(root);
    begin(&capture);
    log_warn("too often", LOG_TEXT("error", "why"));
    root = parsed(end(&capture));
    assert_null(json_object_get(root, "suppressed"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_json_line_has_time_level_message_and_fields),
        cmocka_unit_test(log_text_line_quotes_only_what_needs_it),
        cmocka_unit_test(log_leaves_out_what_is_below_the_level),
        cmocka_unit_test(log_makes_values_harmless),
        cmocka_unit_test(log_cuts_long_lines_with_a_mark),
        cmocka_unit_test(log_cuts_between_fields_too),
        cmocka_unit_test(log_leaves_out_an_optional_text_that_is_empty),
        cmocka_unit_test(log_holds_back_warnings_that_repeat),
        cmocka_unit_test(log_tells_how_many_it_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
