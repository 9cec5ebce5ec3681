/* Readiness: the page and the lines of the log, and that no reason, however odd, makes a part look ready. */
#include "common/health.h"
#include "common/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test has a health of its own; the log is silent where it is not what the test is about. */
struct fixture {
    struct health *health;
    struct buf page;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture || !(fixture->health = health_new()))
        return -1;
    buf_init(&fixture->page, 64 * 1024);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buf_cleanup(&fixture->page);
    health_free(fixture->health);
    free(fixture);
    return 0;
}

static struct health_part *part_of(const struct fixture *fixture, const char *name)
{
    struct health_part *part = health_add(fixture->health, name);
    assert_non_null(part);
    return part;
}

static void page_is(struct fixture *fixture, bool ready, const char *page)
{
    buf_reset(&fixture->page, SIZE_MAX);
    assert_int_equal(health_ready(fixture->health, &fixture->page), ready);
    assert_string_equal(fixture->page.data, page);
}

static void health_of_no_parts_is_ready(void **state)
{
    page_is(*state, true, "{\"ready\": true, \"reasons\": {}}\n");
}

static void health_parts_begin_as_not_known(void **state)
{
    struct fixture *fixture = *state;
    struct health_part *kafka = part_of(fixture, "kafka");
    part_of(fixture, "mongodb");
    page_is(fixture, false,
        "{\"ready\": false, \"reasons\": {\"kafka\": \"not known yet\", \"mongodb\": \"not known yet\"}}\n");
    health_ok(kafka);
    page_is(fixture, false, "{\"ready\": false, \"reasons\": {\"mongodb\": \"not known yet\"}}\n");
}

static void health_is_ready_once_all_parts_are(void **state)
{
    struct fixture *fixture = *state;
    struct health_part *kafka = part_of(fixture, "kafka"), *mongodb = part_of(fixture, "mongodb");
    health_ok(kafka);
    health_ok(mongodb);
    page_is(fixture, true, "{\"ready\": true, \"reasons\": {}}\n");
    health_fail(mongodb, "no answer from %s:%d", "db", 27017);
    page_is(fixture, false, "{\"ready\": false, \"reasons\": {\"mongodb\": \"no answer from db:27017\"}}\n");
    health_ok(mongodb);
    page_is(fixture, true, "{\"ready\": true, \"reasons\": {}}\n");
}

static void health_shows_the_first_reason_of_workers_parts(void **state)
{
    struct fixture *fixture = *state;
    struct health_part *first = part_of(fixture, "iamport"), *second = part_of(fixture, "iamport");
    health_fail(first, "one");
    health_fail(second, "two");
    page_is(fixture, false, "{\"ready\": false, \"reasons\": {\"iamport\": \"one\"}}\n");
    health_ok(first);
    page_is(fixture, false, "{\"ready\": false, \"reasons\": {\"iamport\": \"two\"}}\n");
    health_ok(second);
    page_is(fixture, true, "{\"ready\": true, \"reasons\": {}}\n");
}

static void health_escapes_what_a_reason_holds(void **state)
{
    struct fixture *fixture = *state;
    health_fail(part_of(fixture, "kafka"), "a \"b\"\n\\c %s", "\xed\x99\x8d");
    page_is(fixture, false,
        "{\"ready\": false, \"reasons\": {\"kafka\": \"a \\\"b\\\"\\\\u000a\\\\c \xed\x99\x8d\"}}\n");
}

/* Not ready, and a page that is JSON and names the part: whatever the library's text was. */
static void must_stay_not_ready(struct fixture *fixture, const char *reason)
{
    struct health_part *part = part_of(fixture, "mongodb");
    health_fail(part, "%s", reason);
    buf_reset(&fixture->page, SIZE_MAX);
    bool ready = health_ready(fixture->health, &fixture->page);
    json_t *page = json_loads(fixture->page.data, 0, NULL);
    bool named = json_object_get(json_object_get(page, "reasons"), "mongodb");
    json_decref(page);
    if (ready || !named)
        fail_msg("ready: %d, part named: %d, %zu bytes of reason", ready, named, strlen(reason));
    health_ok(part);
}

static void health_reason_without_text_is_not_ready(void **state)
{
    must_stay_not_ready(*state, "");
}

static void health_reason_that_is_not_utf8_is_not_ready(void **state)
{
    must_stay_not_ready(*state, "connection to \xff\xfe failed");
}

static void health_reason_cut_inside_a_character_is_not_ready(void **state)
{
    char reason[1000];
    for (size_t start = 0; start < 3; start++) {
        memset(reason, 'x', start);
        for (size_t at = start; at + 3 < sizeof reason; at += 3)
            memcpy(reason + at, "\xed\x99\x8d", 4);
        must_stay_not_ready(*state, reason);
    }
}

/* What standard error got: the number of lines, with their texts in log. */
static int logged(void (*act)(struct health_part *part), struct health_part *part, char log[static 4096])
{
    int ends[2], saved = dup(STDERR_FILENO), lines = 0;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    act(part);
    dup2(saved, STDERR_FILENO);
    ssize_t size = read(ends[0], log, 4095);
    log[size > 0 ? size : 0] = '\0';
    for (const char *at = log; (at = strchr(at, '\n')); at++)
        lines++;
    close(saved);
    close(ends[0]);
    close(ends[1]);
    return lines;
}

static void fail_thrice(struct health_part *part)
{
    for (int i = 0; i < 3; i++)
        health_fail(part, "broker is away");
}

static void fail_otherwise(struct health_part *part)
{
    health_fail(part, "broker refuses");
}

static void recover_thrice(struct health_part *part)
{
    for (int i = 0; i < 3; i++)
        health_ok(part);
}

static void health_logs_news_only(void **state)
{
    char log[4096];
    struct health_part *part = part_of(*state, "kafka");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(logged(fail_thrice, part, log), 1);
    assert_non_null(
        strstr(log, "\"message\":\"not ready\",\"part\":\"kafka\",\"reason\":\"broker is away\""));
    assert_int_equal(logged(fail_otherwise, part, log), 1);
    assert_non_null(strstr(log, "broker refuses"));
    assert_int_equal(logged(recover_thrice, part, log), 1);
    assert_non_null(strstr(log, "\"message\":\"ready\",\"part\":\"kafka\""));
    assert_int_equal(logged(fail_otherwise, part, log), 1);
    assert_non_null(strstr(log, "broker refuses"));
}

static void fail_the_same(struct health_part *part)
{
    health_fail(part, "broker is away");
}

static void health_parts_of_one_name_log_as_one(void **state)
{
    char log[4096];
    struct health_part *workers[] = {part_of(*state, "kafka"), part_of(*state, "kafka")};
    struct health_part *other = part_of(*state, "mongodb");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(logged(fail_the_same, workers[0], log), 1);
    assert_int_equal(logged(fail_the_same, workers[1], log), 0);
    assert_int_equal(logged(fail_the_same, other, log), 1);
    assert_int_equal(logged(health_ok, workers[1], log), 0);
    assert_int_equal(logged(health_ok, workers[0], log), 1);
    assert_non_null(strstr(log, "\"message\":\"ready\",\"part\":\"kafka\""));
    assert_int_equal(logged(fail_the_same, workers[1], log), 1);
}

static void health_assumed_is_ready_in_silence_until_it_fails(void **state)
{
    char log[4096];
    struct fixture *fixture = *state;
    struct health_part *part = part_of(fixture, "kafka");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_int_equal(logged(health_assume, part, log), 0);
    page_is(fixture, true, "{\"ready\": true, \"reasons\": {}}\n");
    assert_int_equal(logged(fail_the_same, part, log), 1);
    page_is(fixture, false, "{\"ready\": false, \"reasons\": {\"kafka\": \"broker is away\"}}\n");
    assert_int_equal(logged(health_ok, part, log), 1);
}

static void health_page_that_has_no_room_is_not_ready(void **state)
{
    struct fixture *fixture = *state;
    struct buf small;
    health_ok(part_of(fixture, "kafka"));
    buf_init(&small, 10);
    assert_false(health_ready(fixture->health, &small));
    buf_cleanup(&small);
}

static void health_metrics_tell_each_part_once(void **state)
{
    struct fixture *fixture = *state;
    struct health_part *kafka[] = {part_of(fixture, "kafka"), part_of(fixture, "kafka")};
    health_ok(kafka[0]);
    health_ok(part_of(fixture, "mongodb"));
    assert_true(health_metrics(fixture->health, &fixture->page));
    assert_non_null(strstr(fixture->page.data, "\nimpcert_part_ready{part=\"kafka\"} 0\n"));
    assert_non_null(strstr(fixture->page.data, "\nimpcert_part_ready{part=\"mongodb\"} 1\n"));
    assert_non_null(strstr(fixture->page.data, "\nimpcert_ready 0\n"));
    const char *first = strstr(fixture->page.data, "part=\"kafka\"");
    assert_null(strstr(first + 1, "part=\"kafka\""));
    health_ok(kafka[1]);
    buf_reset(&fixture->page, SIZE_MAX);
    assert_true(health_metrics(fixture->health, &fixture->page));
    assert_non_null(strstr(fixture->page.data, "\nimpcert_part_ready{part=\"kafka\"} 1\n"));
    assert_non_null(strstr(fixture->page.data, "\nimpcert_ready 1\n"));
}

static void *flap(void *part)
{
    for (int i = 0; i < 500; i++) {
        health_fail(part, "round %d", i);
        health_ok(part);
    }
    return NULL;
}

static void health_can_be_told_and_asked_at_once(void **state)
{
    enum { THREADS = 3 };
    struct fixture *fixture = *state;
    struct health_part *parts[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        parts[i] = part_of(fixture, "kafka");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flap, parts[i]), 0);
    for (int i = 0; i < 200; i++) {
        buf_reset(&fixture->page, SIZE_MAX);
        health_ready(fixture->health, &fixture->page);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    page_is(fixture, true, "{\"ready\": true, \"reasons\": {}}\n");
}

static void health_free_of_none_is_fine(void **state)
{
    (void)state;
    health_free(NULL);
}

#define HEALTH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEALTH_TEST(health_of_no_parts_is_ready),
        HEALTH_TEST(health_parts_begin_as_not_known),
        HEALTH_TEST(health_is_ready_once_all_parts_are),
        HEALTH_TEST(health_shows_the_first_reason_of_workers_parts),
        HEALTH_TEST(health_escapes_what_a_reason_holds),
        HEALTH_TEST(health_reason_without_text_is_not_ready),
        HEALTH_TEST(health_reason_that_is_not_utf8_is_not_ready),
        HEALTH_TEST(health_reason_cut_inside_a_character_is_not_ready),
        HEALTH_TEST(health_logs_news_only),
        HEALTH_TEST(health_parts_of_one_name_log_as_one),
        HEALTH_TEST(health_assumed_is_ready_in_silence_until_it_fails),
        HEALTH_TEST(health_page_that_has_no_room_is_not_ready),
        HEALTH_TEST(health_metrics_tell_each_part_once),
        HEALTH_TEST(health_can_be_told_and_asked_at_once),
        cmocka_unit_test(health_free_of_none_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
