/* The columns of the table of dead letters. */
#include "replay/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR_MS INT64_C(3600000)

/* Of the program's main.c, which is not in the library. */
bool replay_read_table(struct replay *replay, struct scan *scan)
{
    (void)replay, (void)scan;
    return false;
}

static void list_ages_begin_at_their_limit(void **state)
{
    (void)state;
    static const struct {
        int64_t age_ms;
        size_t column;
    } ages[] = {{-5, 0}, {0, 0}, {HOUR_MS - 1, 0}, {HOUR_MS, 1}, {24 * HOUR_MS - 1, 1}, {24 * HOUR_MS, 2},
        {168 * HOUR_MS - 1, 2}, {168 * HOUR_MS, 3}, {INT64_MAX, 3}};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        assert_int_equal(list_age(ages[i].age_ms), ages[i].column);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(list_ages_begin_at_their_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
