/* Metrics as text: buckets that add up, bounds, and a full page that says so. */
#include "common/clock.h"
#include "common/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE_LIMIT (64 * 1024)

static void exposition_bounds_belong_to_their_bucket(void **state)
{
    (void)state;
    const struct exposition_scale *scale = &exposition_durations;
    assert_int_equal(exposition_bucket(scale, 0), 0);
    assert_int_equal(exposition_bucket(scale, CLOCK_MS), 0);
    assert_int_equal(exposition_bucket(scale, CLOCK_MS + 1), 1);
    assert_int_equal(exposition_bucket(scale, 60 * CLOCK_S), EXPOSITION_BUCKETS - 2);
    assert_int_equal(exposition_bucket(scale, 60 * CLOCK_S + 1), EXPOSITION_BUCKETS - 1);
    assert_int_equal(exposition_bucket(scale, INT64_MAX), EXPOSITION_BUCKETS - 1);
    assert_int_equal(exposition_bucket(&exposition_sizes, 1000), exposition_sizes.bounds - 1);
    assert_int_equal(exposition_bucket(&exposition_sizes, 1001), exposition_sizes.bounds);
}

static void exposition_scales_rise(void **state)
{
    (void)state;
    static const struct exposition_scale *const scales[] = {
        &exposition_durations, &exposition_delays, &exposition_sizes, &exposition_tries};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        assert_in_range(scales[i]->bounds, 1, EXPOSITION_BUCKETS - 1);
        for (size_t bound = 1; bound < scales[i]->bounds; bound++)
            assert_true(scales[i]->bound[bound] > scales[i]->bound[bound - 1]);
    }
}

static void exposition_value_has_help_and_type(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, PAGE_LIMIT);
    assert_true(exposition_value(&page, "events_total", "Events.", "counter", UINT64_MAX));
    assert_string_equal(page.data, "# HELP events_total Events.\n# TYPE events_total counter\n"
                                   "events_total 18446744073709551615\n");
    buf_cleanup(&page);
}

static void exposition_histogram_counts_up_to_all(void **state)
{
    (void)state;
    struct buf page;
    struct exposition_histogram histogram = {.sum = 1500 * CLOCK_MS};
    histogram.buckets[0] = 2;
    histogram.buckets[3] = 1;
    histogram.buckets[EXPOSITION_BUCKETS - 1] = 4;
    buf_init(&page, PAGE_LIMIT);
    assert_true(exposition_histogram(&page, "wait_seconds", "", &exposition_durations, &histogram));
    static const char *const lines[] = {"wait_seconds_bucket{le=\"0.001\"} 2\n",
        "wait_seconds_bucket{le=\"0.002\"} 2\n", "wait_seconds_bucket{le=\"0.01\"} 3\n",
        "wait_seconds_bucket{le=\"60\"} 3\n", "wait_seconds_bucket{le=\"+Inf\"} 7\n",
        "wait_seconds_sum 1.500000000\n", "wait_seconds_count 7\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(page.data, lines[i]))
            fail_msg("no \"%s\" in:\n%s", lines[i], page.data);
    buf_cleanup(&page);
}

static void exposition_histogram_has_labels(void **state)
{
    (void)state;
    struct buf page;
    struct exposition_histogram histogram = {.sum = 7};
    histogram.buckets[1] = 2;
    histogram.buckets[2] = 1;
    buf_init(&page, PAGE_LIMIT);
    assert_true(exposition_histogram(&page, "tries", "kind=\"a\"", &exposition_tries, &histogram));
    static const char *const lines[] = {"tries_bucket{kind=\"a\",le=\"1\"} 0\n",
        "tries_bucket{kind=\"a\",le=\"2\"} 2\n", "tries_bucket{kind=\"a\",le=\"20\"} 3\n",
        "tries_bucket{kind=\"a\",le=\"+Inf\"} 3\n", "tries_sum{kind=\"a\"} 7\n",
        "tries_count{kind=\"a\"} 3\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(page.data, lines[i]))
            fail_msg("no \"%s\" in:\n%s", lines[i], page.data);
    buf_cleanup(&page);
}

static double value_of(const char *page, const char *name)
{
    char line[100];
    int length = snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(page, line);
    if (!at)
        fail_msg("no %s in:\n%s", name, page);
    return strtod(at + length, NULL);
}

static void exposition_process_tells_what_it_uses(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, PAGE_LIMIT);
    assert_true(exposition_process(&page));
    double now = (double)clock_wall_ms() / 1000, started = value_of(page.data, "process_start_time_seconds");
    assert_true(started <= now + 1 && started > now - 600);
    assert_true(value_of(page.data, "process_cpu_seconds_total") >= 0);
    double open = value_of(page.data, "process_open_fds");
    assert_true(open >= 3 && open <= value_of(page.data, "process_max_fds"));
    int more = dup(1);
    buf_reset(&page, PAGE_LIMIT);
    assert_true(exposition_process(&page));
    assert_true(value_of(page.data, "process_open_fds") >= open + 1);
    close(more);
    buf_cleanup(&page);
}

static void exposition_process_tells_memory_and_version(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, PAGE_LIMIT);
    assert_true(exposition_process(&page));
    const char *memory = strstr(page.data, "\nprocess_resident_memory_bytes ");
    assert_non_null(memory);
    assert_true(strtoull(memory + sizeof "\nprocess_resident_memory_bytes", NULL, 10) > 100000);
    assert_non_null(strstr(page.data, "\nimpcert_build_info{version=\"" IMPCERT_VERSION "\"} 1\n"));
    buf_cleanup(&page);
}

static void exposition_of_a_full_page_fails(void **state)
{
    (void)state;
    struct exposition_histogram histogram = {.sum = 0};
    for (size_t limit = 0; limit < 900; limit += 50) {
        struct buf page;
        buf_init(&page, limit);
        bool written = exposition_histogram(&page, "wait_seconds", "", &exposition_durations, &histogram);
        if (written)
            assert_non_null(strstr(page.data, "wait_seconds_count 0\n"));
        else
            assert_true(limit < 850);
        buf_cleanup(&page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition_bounds_belong_to_their_bucket),
        cmocka_unit_test(exposition_scales_rise),
        cmocka_unit_test(exposition_value_has_help_and_type),
        cmocka_unit_test(exposition_histogram_counts_up_to_all),
        cmocka_unit_test(exposition_histogram_has_labels),
        cmocka_unit_test(exposition_process_tells_what_it_uses),
        cmocka_unit_test(exposition_process_tells_memory_and_version),
        cmocka_unit_test(exposition_of_a_full_page_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
