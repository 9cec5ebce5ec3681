/* The rate limiter: the set rate, the pace after a 429 and after an outage, on a clock of the test's. */
#include "common/clock.h"
#include "worker/limiter.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW (1000 * CLOCK_S)

/* Calls granted to callers that always want one and ask again when they are told, or up to late_ns later. */
static int granted(struct limiter *limiter, int64_t from_ns, int64_t until_ns, int callers, int64_t late_ns)
{
    int64_t next_ns[8] = {0};
    unsigned jitter = 1;
    int count = 0;
    for (int i = 0; i < callers; i++)
        next_ns[i] = from_ns;
    for (;;) {
        int first = 0;
        for (int i = 1; i < callers; i++)
            first = next_ns[i] < next_ns[first] ? i : first;
        int64_t now = next_ns[first];
        if (now >= until_ns)
            return count;
        int64_t due = limiter_take(limiter, now);
        assert_true(due == 0 || due > now);
        count += !due;
        jitter = jitter * 1103515245 + 12345;
        /* A call takes the caller a while, too: nobody is granted without end at once. */
        next_ns[first] = due ? due + (late_ns ? jitter % late_ns : 0) : now + CLOCK_MS / 1000;
    }
}

static void limiter_without_a_rate_grants_everything(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(limiter_take(limiter, NOW), 0);
    assert_true(isinf(limiter_pace(limiter, NOW)));
    limiter_free(limiter);
    limiter_free(NULL);
}

static const int rates[] = {1, 7, 100, 1000, 20000};
#define RATES (sizeof rates / sizeof *rates)

static void limiter_keeps_the_rate_within_a_hundredth(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++)
        for (int callers = 1; callers <= 3; callers += 2)
            for (int64_t late = 0; late <= 20 * CLOCK_MS; late += 20 * CLOCK_MS) {
                struct limiter *limiter = limiter_new(rates[i]);
                assert_non_null(limiter);
                int64_t half_ns = CLOCK_S / rates[i] / 2; /* no grant stands at either end of the time */
                int count = granted(limiter, NOW, NOW + 10 * CLOCK_S, callers, late);
                assert_in_range(count, (rates[i] * 990 + 99) / 100, rates[i] * 1010 / 100);
                count = granted(limiter, NOW + 10 * CLOCK_S, NOW + 20 * CLOCK_S - half_ns, callers, late);
                assert_in_range(count, (rates[i] * 990 + 99) / 100, rates[i] * 1010 / 100);
                limiter_free(limiter);
            }
}

/* A burst is what 50 ms are worth, or one call. */
static int burst_of(int rate)
{
    return rate >= 40 ? rate / 20 : 1;
}

static void limiter_saves_up_no_more_than_a_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < RATES; i++) {
        struct limiter *limiter = limiter_new(rates[i]);
        assert_non_null(limiter);
        for (int64_t now = NOW; now < NOW + 1000 * CLOCK_S; now += 100 * CLOCK_S) {
            int burst = 0;
            while (!limiter_take(limiter, now))
                burst++;
            assert_int_equal(burst, burst_of(rates[i]));
        }
        limiter_free(limiter);
    }
}

enum { GRANTS = 300000 };

/* Calls at times with pauses of all lengths between them, to find the windows that hold the most. */
static size_t grants_at_random(struct limiter *limiter, int64_t *times, int64_t until_ns)
{
    static const int64_t pauses_ns[] = {
        CLOCK_MS / 1000, CLOCK_MS, 19 * CLOCK_MS, 49 * CLOCK_MS, 51 * CLOCK_MS, 300 * CLOCK_MS, 2 * CLOCK_S};
    unsigned random = 1;
    size_t count = 0;
    for (int64_t now = NOW; now < until_ns && count < GRANTS;) {
        int64_t due = limiter_take(limiter, now);
        if (!due) {
            times[count++] = now;
            continue;
        }
        random = random * 1103515245 + 12345;
        now = due + ((random >> 16) % 3 ? 0 : pauses_ns[(random >> 20) % 7]);
    }
    return count;
}

static void limiter_grants_no_more_than_rate_and_burst_in_any_window(void **state)
{
    (void)state;
    int64_t *times = calloc(GRANTS, sizeof *times);
    assert_non_null(times);
    for (size_t i = 0; i < RATES; i++) {
        struct limiter *limiter = limiter_new(rates[i]);
        assert_non_null(limiter);
        size_t count = grants_at_random(limiter, times, NOW + 2000 * CLOCK_S);
        assert_true(count > 200);
        /* Grant n is the last of n - a + 1 grants since grant a, for each a before it. */
        double rate = rates[i], least = 0, late = rate * 0.02;
        double burst = rate * 0.05 > 1 + late ? rate * 0.05 : 1 + late;
        for (size_t n = 0; n < count; n++) {
            double beyond = (double)n - (double)(times[n] - NOW) * 1e-9 * rate;
            least = n == 0 || beyond < least ? beyond : least;
            assert_true(beyond - least + 1 <= burst + 1e-3);
        }
        limiter_free(limiter);
    }
    free(times);
}

static void limiter_does_not_exceed_a_rate_that_is_no_part_of_a_second(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(30000);
    assert_non_null(limiter);
    int count = granted(limiter, NOW, NOW + 100 * CLOCK_S, 1, 0);
    assert_in_range(count, 2997000, 3000000 + 1500);
    limiter_free(limiter);
}

static void limiter_grants_nothing_until_retry_after_is_over(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    assert_int_equal(limiter_take(limiter, NOW), 0);
    limiter_throttled(limiter, NOW, 7 * CLOCK_S, NOW + CLOCK_S);
    assert_int_equal(limiter_take(limiter, NOW + 2 * CLOCK_S), NOW + 8 * CLOCK_S);
    assert_true(limiter_pace(limiter, NOW + 2 * CLOCK_S) <= 0);
    limiter_throttled(limiter, NOW, 3 * CLOCK_S, NOW + 2 * CLOCK_S);
    assert_int_equal(limiter_take(limiter, NOW + 7 * CLOCK_S), NOW + 8 * CLOCK_S);
    limiter_throttled(limiter, NOW, 9 * CLOCK_S, NOW + 2 * CLOCK_S);
    assert_int_equal(limiter_take(limiter, NOW + 8 * CLOCK_S), NOW + 11 * CLOCK_S);
    assert_int_equal(limiter_take(limiter, NOW + 11 * CLOCK_S), 0);
    limiter_free(limiter);
}

static void limiter_without_retry_after_backs_off(void **state)
{
    (void)state;
    int64_t longest = 0;
    for (int round = 0; round < 200; round++) {
        struct limiter *limiter = limiter_new(0);
        assert_non_null(limiter);
        limiter_take(limiter, NOW);
        limiter_throttled(limiter, NOW, 0, NOW + 1);
        int64_t due = limiter_take(limiter, NOW + 2);
        assert_true(due >= NOW + 100 * CLOCK_MS && due <= NOW + 1 + CLOCK_S);
        limiter_throttled(limiter, due, 0, due);
        int64_t again = limiter_take(limiter, due);
        assert_true(again >= due + 100 * CLOCK_MS && again <= due + 2 * CLOCK_S);
        longest = again - due > longest ? again - due : longest;
        limiter_free(limiter);
    }
    assert_true(longest > CLOCK_S);
}

static void limiter_goes_on_with_half_of_what_was_sent_and_speeds_up(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    for (int64_t now = NOW; now < NOW + 3 * CLOCK_S; now += 2 * CLOCK_MS)
        assert_int_equal(limiter_take(limiter, now), 0);
    int64_t now = NOW + 3 * CLOCK_S;
    limiter_throttled(limiter, now - CLOCK_MS, CLOCK_S, now);
    int64_t open = now + CLOCK_S;
    assert_in_range(granted(limiter, now, open, 1, 0), 0, 0);
    assert_in_range(granted(limiter, open, open + CLOCK_S, 1, 0), 240, 280);
    assert_in_range(granted(limiter, open + 9 * CLOCK_S, open + 10 * CLOCK_S, 1, 0), 250 * 2.3, 250 * 2.8);
    assert_true(isinf(limiter_pace(limiter, open + 60 * CLOCK_S)));
    limiter_free(limiter);
}

static void limiter_speeds_up_to_the_set_rate_only(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(500);
    assert_non_null(limiter);
    granted(limiter, NOW, NOW + 3 * CLOCK_S, 1, 0);
    limiter_throttled(limiter, NOW + 3 * CLOCK_S, CLOCK_S, NOW + 3 * CLOCK_S);
    assert_in_range(granted(limiter, NOW + 4 * CLOCK_S, NOW + 5 * CLOCK_S, 1, 0), 230, 290);
    assert_in_range(granted(limiter, NOW + 30 * CLOCK_S, NOW + 40 * CLOCK_S, 1, 0), 4950, 5050);
    limiter_free(limiter);
}

static void limiter_takes_echoes_for_one_cut(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    for (int64_t now = NOW; now < NOW + 2 * CLOCK_S; now += CLOCK_MS)
        limiter_take(limiter, now);
    int64_t now = NOW + 2 * CLOCK_S;
    for (int i = 0; i < 1000; i++)
        limiter_throttled(limiter, now - 1 - i, CLOCK_S, now + i);
    double pace = limiter_pace(limiter, now + 2 * CLOCK_S);
    assert_true(pace > 450 && pace < 600);
    limiter_throttled(limiter, now + 2 * CLOCK_S, CLOCK_S, now + 2 * CLOCK_S);
    assert_true(limiter_pace(limiter, now + 4 * CLOCK_S) < pace);
    limiter_free(limiter);
}

/* One call each gap_ns. */
static void send_each(struct limiter *limiter, int64_t from_ns, int64_t until_ns, int64_t gap_ns)
{
    for (int64_t now = from_ns; now < until_ns; now += gap_ns)
        assert_int_equal(limiter_take(limiter, now), 0);
}

static void limiter_does_not_speed_up_while_an_echo_keeps_it_closed(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    send_each(limiter, NOW, NOW + 3 * CLOCK_S, 2 * CLOCK_MS);
    int64_t now = NOW + 3 * CLOCK_S, open = now + 2 * CLOCK_S + 60 * CLOCK_S;
    limiter_throttled(limiter, now - 1, CLOCK_S, now);
    limiter_throttled(limiter, now - 1, 60 * CLOCK_S, now + 2 * CLOCK_S);
    assert_true(limiter_take(limiter, open - 1) == open);
    assert_true(limiter_closed_until_ns(limiter, open - 1) == open);
    assert_true(limiter_closed_until_ns(limiter, open) == 0);
    double pace = limiter_pace(limiter, open);
    assert_true(pace > 250 && pace < 250 * 1.15);
    assert_in_range(granted(limiter, open, open + CLOCK_S, 1, 0), 240, 310);
    limiter_free(limiter);
}

static void limiter_halves_its_pace_when_throttled_soon_after_it_opens(void **state)
{
    (void)state;
    static const int64_t after_ns[] = {0, CLOCK_MS, 10 * CLOCK_MS, 500 * CLOCK_MS, 1500 * CLOCK_MS};
    for (size_t i = 0; i < sizeof after_ns / sizeof *after_ns; i++) {
        struct limiter *limiter = limiter_new(0);
        assert_non_null(limiter);
        send_each(limiter, NOW, NOW + 3 * CLOCK_S, 2 * CLOCK_MS);
        limiter_throttled(limiter, NOW + 3 * CLOCK_S - 1, 30 * CLOCK_S, NOW + 3 * CLOCK_S);
        int64_t open = NOW + 33 * CLOCK_S, now = open + after_ns[i];
        granted(limiter, open, now + 1, 1, 0);
        limiter_throttled(limiter, now, CLOCK_S, now);
        double pace = limiter_pace(limiter, now + CLOCK_S);
        assert_true(pace > 115 && pace < 150);
        limiter_free(limiter);
    }
}

static void limiter_cuts_to_what_is_sent_where_less_is_sent_than_allowed(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(500);
    assert_non_null(limiter);
    send_each(limiter, NOW, NOW + 5 * CLOCK_S, 50 * CLOCK_MS);
    limiter_throttled(limiter, NOW + 5 * CLOCK_S, CLOCK_S, NOW + 5 * CLOCK_S);
    double pace = limiter_pace(limiter, NOW + 6 * CLOCK_S);
    assert_true(pace > 9 && pace < 11);
    limiter_free(limiter);

    limiter = limiter_new(500);
    assert_non_null(limiter);
    limiter_take(limiter, NOW);
    limiter_throttled(limiter, NOW, CLOCK_S, NOW + 10 * CLOCK_S);
    pace = limiter_pace(limiter, NOW + 11 * CLOCK_S);
    assert_true(pace > 0.999 && pace < 1.001);
    limiter_free(limiter);
}

/* Whether some wait is longer than 1 s, the ceiling of the first, in as many rounds as make that all but
 * certain; each after several cuts, and gap_ns after it has opened again. */
static bool backs_off_further(int64_t retry_after_ns, int64_t gap_ns)
{
    bool longer = false;
    for (int round = 0; round < 100; round++) {
        struct limiter *limiter = limiter_new(0);
        assert_non_null(limiter);
        int64_t now = NOW;
        for (int i = 0; i < 5; i++) {
            limiter_throttled(limiter, now, retry_after_ns, now);
            now += retry_after_ns + gap_ns;
        }
        limiter_throttled(limiter, now, 0, now);
        int64_t wait = limiter_take(limiter, now) - now;
        assert_true(wait >= 100 * CLOCK_MS && wait <= 30 * CLOCK_S);
        longer |= wait > CLOCK_S;
        limiter_free(limiter);
    }
    return longer;
}

static void limiter_starts_its_backoff_over_after_a_minute_of_growth_alone(void **state)
{
    (void)state;
    assert_true(backs_off_further(CLOCK_S, 59 * CLOCK_S));
    assert_false(backs_off_further(CLOCK_S, 60 * CLOCK_S));
    /* Being closed for long is no minute of growth. */
    assert_true(backs_off_further(600 * CLOCK_S, CLOCK_S));
}

static void limiter_frees_itself_far_above_what_was_ever_sent_alone(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    send_each(limiter, NOW, NOW + 3 * CLOCK_S, CLOCK_MS);
    int64_t now = NOW + 3 * CLOCK_S;
    /* Again and again, so that what is sent goes down; 4 times 1000/s is what counts. */
    for (int i = 0; i < 6; i++) {
        limiter_throttled(limiter, now, CLOCK_S, now);
        now += CLOCK_S;
        granted(limiter, now, now + CLOCK_S, 1, 0);
        now += CLOCK_S;
    }
    double highest = 0;
    for (double pace; !isinf(pace = limiter_pace(limiter, now)); now += 10 * CLOCK_MS)
        highest = pace;
    assert_true(highest > 3900 && highest <= 4100);
    limiter_free(limiter);
}

static void limiter_never_stands_still(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    int64_t now = NOW;
    for (int i = 0; i < 100; i++) {
        now = limiter_take(limiter, now) ? limiter_take(limiter, now) : now;
        limiter_throttled(limiter, now, 0, now);
    }
    int64_t due = limiter_take(limiter, now);
    assert_true(due <= now + 31 * CLOCK_S);
    assert_true(granted(limiter, due, due + 10 * CLOCK_S, 1, 0) >= 10);
    limiter_free(limiter);
}

static void limiter_after_an_outage_starts_slowly_and_is_quick_soon(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    limiter_slow_start(limiter, NOW);
    assert_in_range(granted(limiter, NOW, NOW + CLOCK_S, 1, 0), 50, 110);
    limiter_slow_start(limiter, NOW + CLOCK_S);
    assert_in_range(granted(limiter, NOW + CLOCK_S, NOW + 2 * CLOCK_S, 1, 0), 100, 210);
    assert_true(granted(limiter, NOW + 2 * CLOCK_S, NOW + 12 * CLOCK_S, 1, 0) > 20000);
    assert_true(isinf(limiter_pace(limiter, NOW + 15 * CLOCK_S)));
    limiter_free(limiter);
}

static void limiter_throttled_in_a_slow_start_grows_slowly(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    limiter_slow_start(limiter, NOW);
    granted(limiter, NOW, NOW + 3 * CLOCK_S, 1, 0);
    limiter_throttled(limiter, NOW + 3 * CLOCK_S, CLOCK_S, NOW + 3 * CLOCK_S);
    double pace = limiter_pace(limiter, NOW + 4 * CLOCK_S);
    assert_true(pace < 250);
    assert_true(limiter_pace(limiter, NOW + 6 * CLOCK_S) < pace * 1.3);
    limiter_free(limiter);
}

static void limiter_lets_20000_events_through_within_12_seconds_of_an_outage(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    limiter_slow_start(limiter, NOW);
    assert_true(granted(limiter, NOW, NOW + 12 * CLOCK_S, 3, 0) > 20000);
    limiter_free(limiter);
}

static void limiter_after_an_outage_doubles_up_to_the_set_rate_only(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(1000);
    assert_non_null(limiter);
    limiter_slow_start(limiter, NOW);
    for (int s = 0; s <= 4; s++) {
        double pace = limiter_pace(limiter, NOW + s * CLOCK_S);
        assert_true(pace > (50 << s) - 0.01 && pace < (50 << s) + 0.01);
    }
    double pace = limiter_pace(limiter, NOW + 5 * CLOCK_S);
    assert_true(pace > 999.9 && pace < 1000.1);
    limiter_free(limiter);

    limiter = limiter_new(20);
    assert_non_null(limiter);
    limiter_slow_start(limiter, NOW);
    pace = limiter_pace(limiter, NOW);
    assert_true(pace > 19.9 && pace < 20.1);
    limiter_free(limiter);
}

static void limiter_that_is_free_again_is_limited_again(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    for (int64_t now = NOW; now < NOW + 1000 * CLOCK_S; now += 200 * CLOCK_S) {
        send_each(limiter, now, now + 3 * CLOCK_S, CLOCK_MS);
        assert_true(isinf(limiter_pace(limiter, now + 3 * CLOCK_S)));
        int64_t cut = now + 3 * CLOCK_S, open = cut + CLOCK_S;
        limiter_throttled(limiter, cut - 1, CLOCK_S, cut);
        assert_true(limiter_take(limiter, cut) == open);
        double pace = limiter_pace(limiter, open);
        assert_true(pace > 490 && pace < 510);
    }
    limiter_free(limiter);
}

#define THREADS 4
#define HAMMERED (CLOCK_S / 2)

static void *hammer(void *context)
{
    intptr_t count = 0;
    int64_t end = clock_ns() + HAMMERED;
    for (int64_t now; (now = clock_ns()) < end;)
        count += !limiter_take(context, now);
    return (void *)count;
}

/* Calls granted to all threads; elapsed_ns: how long they took at the most. */
static intptr_t hammered(struct limiter *limiter, int64_t *elapsed_ns)
{
    pthread_t threads[THREADS];
    intptr_t sum = 0;
    int64_t start = clock_ns();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, limiter), 0);
    for (int i = 0; i < THREADS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += (intptr_t)count;
    }
    *elapsed_ns = clock_ns() - start;
    return sum;
}

static void limiter_shared_by_threads_stays_within_the_rate(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(2000);
    assert_non_null(limiter);
    int64_t elapsed;
    intptr_t sum = hammered(limiter, &elapsed);
    int64_t most = 2000 * elapsed / CLOCK_S + 100 + 1;
    /* How few depends on what else the machine does. */
    assert_in_range(sum, 100, most);
    limiter_free(limiter);
}

static void *throttle(void *context)
{
    int64_t end = clock_ns() + HAMMERED / 2;
    for (int64_t now; (now = clock_ns()) < end;)
        limiter_pace(context, now);
    limiter_throttled(context, clock_ns(), 10 * CLOCK_S, clock_ns());
    return NULL;
}

static void limiter_without_a_rate_is_closed_for_all_threads_by_one(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new(0);
    assert_non_null(limiter);
    pthread_t thread;
    int64_t elapsed;
    assert_int_equal(pthread_create(&thread, NULL, throttle, limiter), 0);
    assert_true(hammered(limiter, &elapsed) > 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(limiter_take(limiter, clock_ns()) > 0);
    limiter_free(limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limiter_without_a_rate_grants_everything),
        cmocka_unit_test(limiter_keeps_the_rate_within_a_hundredth),
        cmocka_unit_test(limiter_saves_up_no_more_than_a_moment),
        cmocka_unit_test(limiter_grants_no_more_than_rate_and_burst_in_any_window),
        cmocka_unit_test(limiter_does_not_exceed_a_rate_that_is_no_part_of_a_second),
        cmocka_unit_test(limiter_grants_nothing_until_retry_after_is_over),
        cmocka_unit_test(limiter_without_retry_after_backs_off),
        cmocka_unit_test(limiter_goes_on_with_half_of_what_was_sent_and_speeds_up),
        cmocka_unit_test(limiter_speeds_up_to_the_set_rate_only),
        cmocka_unit_test(limiter_takes_echoes_for_one_cut),
        cmocka_unit_test(limiter_does_not_speed_up_while_an_echo_keeps_it_closed),
        cmocka_unit_test(limiter_halves_its_pace_when_throttled_soon_after_it_opens),
        cmocka_unit_test(limiter_cuts_to_what_is_sent_where_less_is_sent_than_allowed),
        cmocka_unit_test(limiter_starts_its_backoff_over_after_a_minute_of_growth_alone),
        cmocka_unit_test(limiter_frees_itself_far_above_what_was_ever_sent_alone),
        cmocka_unit_test(limiter_never_stands_still),
        cmocka_unit_test(limiter_after_an_outage_starts_slowly_and_is_quick_soon),
        cmocka_unit_test(limiter_throttled_in_a_slow_start_grows_slowly),
        cmocka_unit_test(limiter_lets_20000_events_through_within_12_seconds_of_an_outage),
        cmocka_unit_test(limiter_after_an_outage_doubles_up_to_the_set_rate_only),
        cmocka_unit_test(limiter_that_is_free_again_is_limited_again),
        cmocka_unit_test(limiter_shared_by_threads_stays_within_the_rate),
        cmocka_unit_test(limiter_without_a_rate_is_closed_for_all_threads_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
