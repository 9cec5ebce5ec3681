/* The backoff: how its ceiling grows, and that the delays use all of the room below it. */
#include "common/backoff.h"
#include "common/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS CLOCK_MS

struct ceiling {
    int64_t base_ns, max_ns;
    int failures;
    int64_t ceiling_ns;
};

static const struct ceiling ceilings[] = {
    {200 * MS, 10000 * MS, 1, 200 * MS},
    {200 * MS, 10000 * MS, 2, 400 * MS},
    {200 * MS, 10000 * MS, 3, 800 * MS},
    {200 * MS, 10000 * MS, 6, 6400 * MS},
    {200 * MS, 10000 * MS, 7, 10000 * MS},
    {200 * MS, 10000 * MS, 8, 10000 * MS},
    {200 * MS, 10000 * MS, 64, 10000 * MS},
    {200 * MS, 10000 * MS, INT_MAX, 10000 * MS},
    {100 * MS, 800 * MS, 4, 800 * MS},
    {100 * MS, 100 * MS, 1, 100 * MS},
    {100 * MS, 100 * MS, 2, 100 * MS},
    {10000 * MS, 200 * MS, 1, 200 * MS},
    {1, 3600 * CLOCK_S, 42, INT64_C(1) << 41},
    {1, 3600 * CLOCK_S, 43, 3600 * CLOCK_S},
    {3600 * CLOCK_S, 3600 * CLOCK_S, 1000, 3600 * CLOCK_S},
};

static void backoff_ceiling_doubles_up_to_the_longest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ceilings / sizeof *ceilings; i++) {
        const struct ceiling *row = &ceilings[i];
        struct backoff backoff;
        backoff_init(&backoff, row->base_ns, row->max_ns);
        int64_t got = backoff_ceiling(&backoff, row->failures);
        if (got != row->ceiling_ns)
            fail_msg("row %zu: %lld, expected %lld", i, (long long)got, (long long)row->ceiling_ns);
    }
}

/* Of 1000 draws a part on average; half or double of that is no chance. */
static void backoff_delays_spread_over_the_whole_ceiling(void **state)
{
    (void)state;
    enum { PARTS = 10, DRAWS = 10000 };
    for (int failures = 1; failures <= 8; failures++) {
        struct backoff backoff;
        int parts[PARTS] = {0};
        backoff_init(&backoff, 200 * MS, 10000 * MS);
        int64_t ceiling = backoff_ceiling(&backoff, failures);
        for (int i = 0; i < DRAWS; i++) {
            int64_t delay = backoff_delay(&backoff, failures);
            assert_true(delay >= 0 && delay < ceiling);
            parts[delay * PARTS / ceiling]++;
        }
        for (int part = 0; part < PARTS; part++)
            assert_in_range(parts[part], DRAWS / PARTS / 2, DRAWS / PARTS * 2);
    }
}

static void backoff_delays_differ_between_owners(void **state)
{
    (void)state;
    struct backoff one, other;
    backoff_init(&one, CLOCK_S, CLOCK_S);
    backoff_init(&other, CLOCK_S, CLOCK_S);
    int same = 0;
    for (int i = 0; i < 100; i++)
        same += backoff_delay(&one, 1) == backoff_delay(&other, 1);
    assert_in_range(same, 0, 10);
}

static void backoff_of_no_time_is_no_delay(void **state)
{
    (void)state;
    struct backoff backoff;
    backoff_init(&backoff, 0, 0);
    assert_int_equal(backoff_delay(&backoff, 1), 0);
    assert_int_equal(backoff_delay(&backoff, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_ceiling_doubles_up_to_the_longest),
        cmocka_unit_test(backoff_delays_spread_over_the_whole_ceiling),
        cmocka_unit_test(backoff_delays_differ_between_owners),
        cmocka_unit_test(backoff_of_no_time_is_no_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
