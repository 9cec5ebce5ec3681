/* Time as text, and the units of the two clocks. */
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct instant {
    int64_t wall_ms;
    const char *text;
};

static const struct instant instants[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:00.001Z"},
    {999, "1970-01-01T00:00:00.999Z"},
    {1000, "1970-01-01T00:00:01.000Z"},
    {INT64_C(951782400050), "2000-02-29T00:00:00.050Z"},
    {INT64_C(1700000123000), "2023-11-14T22:15:23.000Z"},
    {INT64_C(1767225599999), "2025-12-31T23:59:59.999Z"},
    {INT64_C(2147483648000), "2038-01-19T03:14:08.000Z"},
    {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
    {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
};

static void clock_rfc3339_is_utc_with_milliseconds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        char text[CLOCK_RFC3339_SIZE];
        clock_rfc3339(instants[i].wall_ms, text);
        assert_string_equal(text, instants[i].text);
    }
}

static void clock_rfc3339_ignores_the_time_zone(void **state)
{
    (void)state;
    char text[CLOCK_RFC3339_SIZE];
    setenv("TZ", "KST-9", 1);
    tzset();
    clock_rfc3339(INT64_C(1700000123000), text);
    unsetenv("TZ");
    tzset();
    assert_string_equal(text, "2023-11-14T22:15:23.000Z");
}

static void clock_monotonic_never_goes_back(void **state)
{
    (void)state;
    int64_t last = clock_ns();
    assert_true(last > 0);
    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(last < CLOCK_NEVER);
}

static void clock_units_are_those_of_the_names(void **state)
{
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int64_t monotonic_s = clock_ns() / CLOCK_S;
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_in_range(monotonic_s, before.tv_sec, after.tv_sec);
    clock_gettime(CLOCK_REALTIME, &before);
    int64_t wall_s = clock_wall_ms() / 1000;
    clock_gettime(CLOCK_REALTIME, &after);
    assert_in_range(wall_s, before.tv_sec, after.tv_sec);
}

static void clock_reads_back_the_rfc3339_that_it_writes(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 1, 999, 1700000123004, 1709164800000, 253402300799999};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[CLOCK_RFC3339_SIZE];
        int64_t again;
        clock_rfc3339(times[i], text);
        assert_true(clock_parse_rfc3339(text, strlen(text), &again));
        assert_int_equal(again, times[i]);
    }
}

static void clock_reads_no_other_time(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.6789",
        "2026-01-02 03:04:05.678Z", "2026-02-30T03:04:05.678Z", "2026-01-02T24:04:05.678Z",
        "2026-01-02T03:04:60.678Z", "1969-12-31T23:59:59.999Z", "2026-01-02T03:04:05.-78Z",
        "2026-01-02T03:04:05.678z", "2026-01-02T03:04:05.678Z ", "20260-1-02T03:04:05.678Z"};
    int64_t wall_ms;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(clock_parse_rfc3339(texts[i], strlen(texts[i]), &wall_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_reads_back_the_rfc3339_that_it_writes),
        cmocka_unit_test(clock_reads_no_other_time),
        cmocka_unit_test(clock_rfc3339_is_utc_with_milliseconds),
        cmocka_unit_test(clock_rfc3339_ignores_the_time_zone),
        cmocka_unit_test(clock_monotonic_never_goes_back),
        cmocka_unit_test(clock_units_are_those_of_the_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
