/* When librdkafka's fetching is woken. */
#include "worker/prefetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void woken_once_when_enough_runs_low(void **state)
{
    (void)state;
    struct prefetch prefetch = {0};
    assert_false(prefetch_low(&prefetch, PREFETCH_RECORDS, 0));
    assert_false(prefetch_low(&prefetch, PREFETCH_RECORDS / 2 + 1, 0));
    assert_true(prefetch_low(&prefetch, PREFETCH_RECORDS / 2, 0));
    assert_false(prefetch_low(&prefetch, 0, 0));
}

static void not_woken_where_there_never_was_enough(void **state)
{
    (void)state;
    struct prefetch prefetch = {0};
    assert_false(prefetch_low(&prefetch, 0, 0));
    assert_false(prefetch_low(&prefetch, PREFETCH_RECORDS - 1, 0));
    assert_false(prefetch_low(&prefetch, 0, 0));
}

static void woken_where_there_may_have_been_enough_in_between(void **state)
{
    (void)state;
    struct prefetch prefetch = {0};
    assert_false(prefetch_low(&prefetch, 100, PREFETCH_RECORDS - 101));
    assert_true(prefetch_low(&prefetch, 100, PREFETCH_RECORDS - 100));
    assert_false(prefetch_low(&prefetch, 100, 0));
}

static void woken_again_after_there_was_enough_again(void **state)
{
    (void)state;
    struct prefetch prefetch = {0};
    for (int i = 0; i < 3; i++) {
        assert_false(prefetch_low(&prefetch, 2 * PREFETCH_RECORDS, 0));
        assert_true(prefetch_low(&prefetch, 1, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(woken_once_when_enough_runs_low),
        cmocka_unit_test(not_woken_where_there_never_was_enough),
        cmocka_unit_test(woken_where_there_may_have_been_enough_in_between),
        cmocka_unit_test(woken_again_after_there_was_enough_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
