/* The circuit breaker: what opens it, who probes and when, what closes it. */
#include "common/clock.h"
#include "worker/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW (1000 * CLOCK_S)

static void open_it(struct breaker *breaker, int64_t now_ns)
{
    for (int i = 1; i < BREAKER_FAILURES; i++)
        assert_int_equal(breaker_failed(breaker, BREAKER_CALL_FIRST, now_ns), BREAKER_SAME);
    assert_int_equal(breaker_failed(breaker, BREAKER_CALL_FIRST, now_ns), BREAKER_OPENED);
}

/* Takes the probe, at the moment when it is due. */
static int64_t probe_at(struct breaker *breaker)
{
    bool probe;
    int64_t due_ns = breaker_due_ns(breaker, true);
    assert_false(breaker_take(breaker, true, due_ns - 1, &probe));
    assert_true(breaker_take(breaker, true, due_ns, &probe));
    assert_true(probe);
    return due_ns;
}

static void breaker_closed_lets_every_call_through(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe = true;
    breaker_init(&breaker);
    for (int i = 0; i < 10000; i++) {
        assert_true(breaker_take(&breaker, true, NOW, &probe));
        assert_false(probe);
    }
    assert_true(breaker_due_ns(&breaker, true) == CLOCK_NEVER);
}

static void breaker_opens_after_failures_in_a_row_alone(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker);
    for (int i = 0; i < 100; i++) {
        for (int j = 1; j < BREAKER_FAILURES; j++)
            assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_FIRST, NOW), BREAKER_SAME);
        assert_int_equal(breaker_succeeded(&breaker, NOW), BREAKER_SAME);
    }
    assert_true(breaker_closed(&breaker));
    open_it(&breaker, NOW);
    assert_false(breaker_closed(&breaker));
    assert_false(breaker_take(&breaker, true, NOW, &probe));
}

static void breaker_is_not_opened_by_events_that_fail_again_and_again(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    for (int i = 0; i < 1000; i++) {
        if (i < BREAKER_FAILURES - 1)
            breaker_failed(&breaker, BREAKER_CALL_FIRST, NOW);
        assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_REPEATED, NOW), BREAKER_SAME);
    }
    assert_true(breaker_closed(&breaker));
    assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_FIRST, NOW), BREAKER_OPENED);
}

static void breaker_probes_each_second_where_there_is_nobody_to_spare(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker);
    open_it(&breaker, NOW);
    int64_t now = NOW;
    for (int i = 0; i < 10; i++) {
        int64_t due_ns = breaker_due_ns(&breaker, false);
        assert_true(due_ns > now && due_ns <= now + CLOCK_S);
        now = due_ns;
        assert_true(breaker_take(&breaker, false, now, &probe));
        assert_true(probe);
        breaker_failed(&breaker, BREAKER_CALL_PROBE, now);
    }
    assert_true(breaker_due_ns(&breaker, true) >= now + 7 * CLOCK_S);
}

static void breaker_lets_one_probe_through_at_a_time(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker);
    open_it(&breaker, NOW);
    int64_t now = probe_at(&breaker);
    assert_true(breaker_due_ns(&breaker, true) == CLOCK_NEVER);
    assert_false(breaker_take(&breaker, true, now + 1000 * CLOCK_S, &probe));
}

static void breaker_ignores_the_failures_of_calls_that_were_under_way(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    open_it(&breaker, NOW);
    int64_t due_ns = breaker_due_ns(&breaker, true);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_FIRST, NOW + i), BREAKER_SAME);
    assert_int_equal(breaker_due_ns(&breaker, true), due_ns);
    probe_at(&breaker);
    assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_FIRST, due_ns), BREAKER_SAME);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
}

static void breaker_is_closed_by_any_success(void **state)
{
    (void)state;
    for (int probed = 0; probed < 2; probed++) {
        struct breaker breaker;
        breaker_init(&breaker);
        open_it(&breaker, NOW);
        if (probed)
            probe_at(&breaker);
        assert_int_equal(breaker_succeeded(&breaker, NOW + CLOCK_S), BREAKER_RECLOSED);
        assert_true(breaker_closed(&breaker));
        assert_int_equal(breaker_succeeded(&breaker, NOW + CLOCK_S), BREAKER_SAME);
    }
}

static void breaker_probes_at_growing_distances_with_jitter(void **state)
{
    (void)state;
    static const int64_t ceilings_s[] = {1, 2, 4, 8, 15, 15, 15};
    for (int round = 0; round < 200; round++) {
        struct breaker breaker;
        breaker_init(&breaker);
        open_it(&breaker, NOW);
        int64_t from = NOW;
        for (size_t i = 0; i < sizeof ceilings_s / sizeof *ceilings_s; i++) {
            int64_t wait = breaker_due_ns(&breaker, true) - from;
            assert_true(wait >= ceilings_s[i] * CLOCK_S / 2 && wait <= ceilings_s[i] * CLOCK_S);
            from = probe_at(&breaker);
            assert_int_equal(breaker_failed(&breaker, BREAKER_CALL_PROBE, from), BREAKER_SAME);
        }
    }
}

static void breaker_probes_an_outage_of_two_minutes_less_than_25_times(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct breaker breaker;
        int probes = 0;
        breaker_init(&breaker);
        open_it(&breaker, NOW);
        for (int64_t now; breaker_due_ns(&breaker, true) < NOW + 120 * CLOCK_S; probes++) {
            now = probe_at(&breaker);
            breaker_failed(&breaker, BREAKER_CALL_PROBE, now);
        }
        assert_in_range(probes, 9, 24);
    }
}

static void breaker_that_flaps_goes_on_with_its_waits(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    open_it(&breaker, NOW);
    int64_t now = NOW;
    for (int i = 0; i < 5; i++) {
        now = probe_at(&breaker);
        breaker_failed(&breaker, BREAKER_CALL_PROBE, now);
    }
    now = probe_at(&breaker);
    breaker_succeeded(&breaker, now);
    open_it(&breaker, now + CLOCK_S);
    assert_true(breaker_due_ns(&breaker, true) - now > 7 * CLOCK_S);
    now = probe_at(&breaker);
    breaker_succeeded(&breaker, now);
    open_it(&breaker, now + 31 * CLOCK_S);
    assert_true(breaker_due_ns(&breaker, true) - now <= 32 * CLOCK_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_closed_lets_every_call_through),
        cmocka_unit_test(breaker_opens_after_failures_in_a_row_alone),
        cmocka_unit_test(breaker_is_not_opened_by_events_that_fail_again_and_again),
        cmocka_unit_test(breaker_probes_each_second_where_there_is_nobody_to_spare),
        cmocka_unit_test(breaker_lets_one_probe_through_at_a_time),
        cmocka_unit_test(breaker_ignores_the_failures_of_calls_that_were_under_way),
        cmocka_unit_test(breaker_is_closed_by_any_success),
        cmocka_unit_test(breaker_probes_at_growing_distances_with_jitter),
        cmocka_unit_test(breaker_probes_an_outage_of_two_minutes_less_than_25_times),
        cmocka_unit_test(breaker_that_flaps_goes_on_with_its_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
