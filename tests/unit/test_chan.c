/* The queue that crosses threads: order, deadlines and closing, and that no item and no wake-up is ever lost.
 * Threads of a test never assert: they bring back what they saw. */
#include "common/chan.h"
#include "common/clock.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct parcel {
    struct chan_item item; /* first, so that an item is its parcel */
    int giver;
    int number; /* of its giver, from 0 */
};

static struct parcel *take(struct chan *chan, int64_t until_ns)
{
    return (struct parcel *)(void *)chan_take(chan, until_ns);
}

/* A deadline that only a lost wake-up reaches. */
static int64_t soon(void)
{
    return clock_ns() + 10 * CLOCK_S;
}

static void start(pthread_t *thread, void *(*run)(void *), void *context)
{
    assert_int_equal(pthread_create(thread, NULL, run, context), 0);
}

static void *joined(pthread_t thread)
{
    void *result;
    assert_int_equal(pthread_join(thread, &result), 0);
    return result;
}

static void chan_gives_in_the_order_it_took(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    struct parcel parcels[5];
    for (int i = 0; i < 5; i++)
        chan_give(chan, &parcels[i].item);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(take(chan, CLOCK_NEVER), &parcels[i]);
    assert_null(take(chan, 0));
    chan_free(chan);
}

static void chan_item_can_be_given_again(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1), *other = chan_new(-1);
    assert_true(chan && other);
    struct parcel parcel;
    for (int i = 0; i < 3; i++) {
        chan_give(chan, &parcel.item);
        assert_ptr_equal(take(chan, CLOCK_NEVER), &parcel);
        chan_give(other, &parcel.item);
        assert_ptr_equal(take(other, CLOCK_NEVER), &parcel);
    }
    chan_free(chan);
    chan_free(other);
}

static void chan_free_of_none_is_fine(void **state)
{
    (void)state;
    chan_free(NULL);
}

static void chan_take_ends_at_its_deadline(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    int64_t until = clock_ns() + 20 * CLOCK_MS;
    assert_null(take(chan, until));
    assert_true(clock_ns() >= until);
    assert_null(take(chan, 0));
    assert_null(take(chan, INT64_MIN));
    chan_free(chan);
}

static void chan_take_gives_what_is_there_even_behind_the_deadline(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    struct parcel parcel;
    chan_give(chan, &parcel.item);
    assert_ptr_equal(take(chan, 0), &parcel);
    chan_free(chan);
}

static void chan_closed_still_gives_what_is_inside(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    struct parcel parcels[2];
    chan_give(chan, &parcels[0].item);
    chan_close(chan);
    chan_give(chan, &parcels[1].item);
    assert_ptr_equal(take(chan, CLOCK_NEVER), &parcels[0]);
    assert_ptr_equal(take(chan, CLOCK_NEVER), &parcels[1]);
    assert_null(take(chan, CLOCK_NEVER));
    assert_null(take(chan, CLOCK_NEVER));
    chan_free(chan);
}

static void chan_wait_closed_tells_whether_it_is_closed(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    assert_false(chan_wait_closed(chan, 0));
    int64_t until = clock_ns() + 20 * CLOCK_MS;
    assert_false(chan_wait_closed(chan, until));
    assert_true(clock_ns() >= until);
    chan_close(chan);
    assert_true(chan_wait_closed(chan, 0));
    assert_true(chan_wait_closed(chan, CLOCK_NEVER));
    chan_free(chan);
}

static void *take_one(void *chan)
{
    return chan_take(chan, soon());
}

static void *wait_for_close(void *chan)
{
    static int closed;
    return chan_wait_closed(chan, soon()) ? &closed : NULL;
}

static void chan_close_ends_all_waiting(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    pthread_t takers[3], waiters[3];
    int64_t until = soon();
    for (int i = 0; i < 3; i++) {
        start(&takers[i], take_one, chan);
        start(&waiters[i], wait_for_close, chan);
    }
    chan_close(chan);
    for (int i = 0; i < 3; i++) {
        assert_null(joined(takers[i]));
        assert_non_null(joined(waiters[i]));
    }
    assert_true(clock_ns() < until);
    chan_free(chan);
}

static void chan_give_wakes_a_taker_that_waits(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct chan *chan = chan_new(-1);
        assert_non_null(chan);
        struct parcel parcels[2];
        pthread_t takers[2];
        start(&takers[0], take_one, chan);
        start(&takers[1], take_one, chan);
        chan_give(chan, &parcels[0].item);
        chan_give(chan, &parcels[1].item);
        const void *first = joined(takers[0]), *second = joined(takers[1]);
        assert_true((first == &parcels[0] && second == &parcels[1]) ||
                    (first == &parcels[1] && second == &parcels[0]));
        chan_free(chan);
    }
}

struct echo {
    struct chan *to, *back;
};

static void *echo_run(void *context)
{
    const struct echo *echo = context;
    struct chan_item *item;
    while ((item = chan_take(echo->to, CLOCK_NEVER)))
        chan_give(echo->back, item);
    return NULL;
}

/* A store thread that pauses between two tries waits on the queue that the others take from. */
static void chan_give_wakes_the_taker_though_others_wait_for_the_close(void **state)
{
    (void)state;
    struct echo echo = {.to = chan_new(-1), .back = chan_new(-1)};
    assert_true(echo.to && echo.back);
    pthread_t waiter, taker;
    start(&waiter, wait_for_close, echo.to);
    start(&taker, echo_run, &echo);
    struct parcel parcel;
    int rounds = 0;
    int64_t until = clock_ns() + 5 * CLOCK_S;
    for (; rounds < 10000; rounds++) {
        chan_give(echo.to, &parcel.item);
        if (!take(echo.back, until))
            break;
    }
    chan_close(echo.to);
    joined(taker);
    bool waited = joined(waiter);
    take(echo.back, 0);
    chan_free(echo.to);
    chan_free(echo.back);
    if (rounds < 10000)
        fail_msg("the item of round %d was not taken in time", rounds);
    assert_true(waited);
}

static void chan_signals_the_eventfd_at_each_give(void **state)
{
    (void)state;
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct chan *chan = chan_new(wake_fd);
    assert_non_null(chan);
    struct pollfd readable = {.fd = wake_fd, .events = POLLIN};
    struct parcel parcels[3];
    uint64_t wakes;
    assert_int_equal(poll(&readable, 1, 0), 0);
    for (int i = 0; i < 3; i++)
        chan_give(chan, &parcels[i].item);
    assert_int_equal(poll(&readable, 1, 0), 1);
    assert_int_equal(read(wake_fd, &wakes, sizeof wakes), sizeof wakes);
    assert_int_equal(wakes, 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(take(chan, 0), &parcels[i]);
    assert_int_equal(poll(&readable, 1, 0), 0);
    chan_free(chan);
    close(wake_fd);
}

static void wake_signal_that_finds_no_room_does_not_block(void **state)
{
    (void)state;
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t full = UINT64_MAX - 1, wakes;
    assert_int_equal(write(wake_fd, &full, sizeof full), sizeof full);
    wake_signal(wake_fd);
    assert_int_equal(read(wake_fd, &wakes, sizeof wakes), sizeof wakes);
    assert_true(wakes == full);
    close(wake_fd);
}

enum { GIVERS = 3, TAKERS = 3, PARCELS = 5000 };

struct giver {
    struct chan *chan;
    struct parcel *parcels;
};

static void *give_all(void *context)
{
    const struct giver *giver = context;
    for (int i = 0; i < PARCELS; i++)
        chan_give(giver->chan, &giver->parcels[i].item);
    return NULL;
}

struct taker {
    struct chan *chan;
    int last[GIVERS]; /* the number taken last */
    int taken[GIVERS];
    bool in_order;
};

static void *take_all(void *context)
{
    struct taker *taker = context;
    const struct parcel *parcel;
    while ((parcel = take(taker->chan, CLOCK_NEVER))) {
        taker->in_order = taker->in_order && parcel->number > taker->last[parcel->giver];
        taker->last[parcel->giver] = parcel->number;
        taker->taken[parcel->giver]++;
    }
    return NULL;
}

static void start_giver(pthread_t *thread, struct giver *giver, struct chan *chan, int index)
{
    giver->chan = chan;
    giver->parcels = calloc(PARCELS, sizeof *giver->parcels);
    assert_non_null(giver->parcels);
    for (int i = 0; i < PARCELS; i++) {
        giver->parcels[i].giver = index;
        giver->parcels[i].number = i;
    }
    start(thread, give_all, giver);
}

/* What a taker sees of one giver rises, so that nothing came twice; the sums say that nothing was lost. */
static void chan_loses_and_doubles_nothing_between_many_threads(void **state)
{
    (void)state;
    struct chan *chan = chan_new(-1);
    assert_non_null(chan);
    struct giver givers[GIVERS];
    struct taker takers[TAKERS] = {{.chan = NULL}};
    pthread_t giving[GIVERS], taking[TAKERS];
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.chan = chan, .last = {-1, -1, -1}, .in_order = true};
        start(&taking[i], take_all, &takers[i]);
    }
    for (int i = 0; i < GIVERS; i++)
        start_giver(&giving[i], &givers[i], chan, i);
    for (int i = 0; i < GIVERS; i++)
        joined(giving[i]);
    chan_close(chan);
    for (int i = 0; i < TAKERS; i++) {
        joined(taking[i]);
        assert_true(takers[i].in_order);
    }
    for (int i = 0; i < GIVERS; i++) {
        assert_int_equal(takers[0].taken[i] + takers[1].taken[i] + takers[2].taken[i], PARCELS);
        free(givers[i].parcels);
    }
    chan_free(chan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chan_gives_in_the_order_it_took),
        cmocka_unit_test(chan_item_can_be_given_again),
        cmocka_unit_test(chan_free_of_none_is_fine),
        cmocka_unit_test(chan_take_ends_at_its_deadline),
        cmocka_unit_test(chan_take_gives_what_is_there_even_behind_the_deadline),
        cmocka_unit_test(chan_closed_still_gives_what_is_inside),
        cmocka_unit_test(chan_wait_closed_tells_whether_it_is_closed),
        cmocka_unit_test(chan_close_ends_all_waiting),
        cmocka_unit_test(chan_give_wakes_a_taker_that_waits),
        cmocka_unit_test(chan_give_wakes_the_taker_though_others_wait_for_the_close),
        cmocka_unit_test(chan_signals_the_eventfd_at_each_give),
        cmocka_unit_test(wake_signal_that_finds_no_room_does_not_block),
        cmocka_unit_test(chan_loses_and_doubles_nothing_between_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
