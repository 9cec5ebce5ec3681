/* The finished run: whatever the order in which jobs end, the position never passes one that has not. */
#include "worker/offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Plays a script of "+5" (5 is begun), "-5" (5 is done), "=5" (the position is 5) and "~5" (the span is 5).
 */
static void play(const char *script)
{
    struct offsets offsets;
    offsets_init(&offsets);
    for (const char *at = script; *at;) {
        char *end;
        char action = *at;
        int64_t number = strtoll(at + 1, &end, 10);
        bool ok = true;
        if (action == '+')
            ok = offsets_begin(&offsets, number);
        else if (action == '-')
            offsets_done(&offsets, number);
        else if (action == '=')
            ok = offsets.base == number;
        else
            ok = offsets_span(&offsets) == number;
        if (!ok)
            fail_msg("\"%s\" at \"%s\": position %lld", script, at, (long long)offsets.base);
        at = end + (*end == ' ');
    }
    offsets_cleanup(&offsets);
}

static void offsets_unused_have_no_position(void **state)
{
    (void)state;
    play("=-1 ~0");
}

static void offsets_begun_are_not_finished(void **state)
{
    (void)state;
    play("+0 =0 ~1");
    play("+7 =7 ~1 +8 =7 ~2");
}

static void offsets_follow_jobs_that_end_in_order(void **state)
{
    (void)state;
    play("+0 -0 =1 ~0");
    play("+7 +8 +9 -7 =8 -8 =9 -9 =10 ~0");
    play("+7 -7 =8 +8 -8 =9 +9 =9 -9 =10");
}

static void offsets_hold_back_behind_a_gap(void **state)
{
    (void)state;
    play("+7 +8 +9 -9 =7 -8 =7 ~3 -7 =10 ~0");
    play("+7 +8 +9 -8 =7 -7 =9 -9 =10");
    play("+7 +8 +9 +10 -10 -8 =7 -7 =9 +11 +12 -12 =9 -9 =11 -11 =13");
}

static void offsets_that_do_not_exist_count_as_finished(void **state)
{
    (void)state;
    play("+7 +9 =7 -7 =9 -9 =10");
    play("+7 +9 -9 =7 -7 =10");
    play("+7 +1000 +1003 -1003 =7 -7 =1000 -1000 =1004");
}

static void offsets_start_over_after_a_gap_with_nothing_in_flight(void **state)
{
    (void)state;
    play("+7 -7 =8 +20 =20 ~1 -20 =21");
    play("+7 -7 +4000000000000 =4000000000000 ~1 -4000000000000 =4000000000001 ~0");
}

static void offsets_begin_anywhere_in_a_word(void **state)
{
    (void)state;
    play("+63 +64 +65 -64 =63 -63 =65 -65 =66");
    play("+1022 +1023 +1024 +1025 -1024 -1025 -1023 =1022 -1022 =1026");
    play("+4294967295 +4294967296 -4294967296 =4294967295 -4294967295 =4294967297");
    play("+9223372036854775800 +9223372036854775802 -9223372036854775802 =9223372036854775800");
}

static void offsets_refuse_what_was_begun_before(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_begin(&offsets, 5));
    assert_true(offsets_begin(&offsets, 8));
    for (int64_t offset = 0; offset <= 8; offset++)
        assert_false(offsets_begin(&offsets, offset));
    assert_int_equal(offsets.in_flight, 2);
    offsets_done(&offsets, 5);
    assert_int_equal(offsets.base, 8);
    offsets_done(&offsets, 8);
    assert_false(offsets_begin(&offsets, 8));
    assert_int_equal(offsets.base, 9);
    assert_int_equal(offsets.in_flight, 0);
    offsets_cleanup(&offsets);
}

static void offsets_remember_what_was_done_while_they_grow(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    for (int64_t first = 1; first < 200; first += 31) {
        struct offsets offsets;
        offsets_init(&offsets);
        for (int64_t offset = first; offset < first + COUNT; offset++) {
            assert_true(offsets_begin(&offsets, offset));
            if (offset % 2)
                offsets_done(&offsets, offset);
        }
        assert_int_equal(offsets.in_flight, COUNT / 2);
        for (int64_t offset = first; offset < first + COUNT; offset++)
            if (offset % 2 == 0) {
                assert_in_range(offsets.base, offset - 1, offset);
                offsets_done(&offsets, offset);
            }
        assert_int_equal(offsets.base, first + COUNT);
        offsets_cleanup(&offsets);
    }
}

static void offsets_need_memory_for_the_span_alone(void **state)
{
    (void)state;
    enum { FIRST = 5, COUNT = 1000000, WINDOW = 900 };
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_begin(&offsets, FIRST));
    size_t words = offsets.words;
    for (int64_t offset = FIRST + 1; offset < FIRST + COUNT; offset++) {
        assert_true(offsets_begin(&offsets, offset));
        if (offset - WINDOW >= FIRST)
            offsets_done(&offsets, offset - WINDOW);
    }
    assert_int_equal(offsets.in_flight, WINDOW);
    assert_int_equal(offsets_span(&offsets), WINDOW);
    assert_int_equal(offsets.words, words);
    offsets_cleanup(&offsets);
}

static void offsets_cleaned_up_are_like_new(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    offsets_cleanup(&offsets);
    assert_true(offsets_begin(&offsets, 100));
    offsets_cleanup(&offsets);
    assert_int_equal(offsets.base, -1);
    assert_int_equal(offsets_span(&offsets), 0);
    assert_true(offsets_begin(&offsets, 3));
    assert_int_equal(offsets.base, 3);
    offsets_cleanup(&offsets);
}

/* The naive model: the offsets in flight as they were begun, in rising order. */
struct model {
    int64_t in_flight[4096];
    size_t count;
    int64_t next; /* one past the newest begun */
};

static int64_t model_position(const struct model *model)
{
    return model->count ? model->in_flight[0] : model->next;
}

static int64_t model_take(struct model *model, size_t at)
{
    int64_t offset = model->in_flight[at];
    memmove(
        model->in_flight + at, model->in_flight + at + 1, (--model->count - at) * sizeof *model->in_flight);
    return offset;
}

enum ends { ENDS_ANY, ENDS_NEWEST, ENDS_ANY_BUT_OLDEST };

/* One seed is one kind of life: how many are in flight, how often offsets are missing, who ends first. */
struct life {
    unsigned short random[3];
    size_t window;
    long gap_every, gap_most;
    enum ends ends;
};

static long life_draw(struct life *life, long below)
{
    return nrand48(life->random) % below;
}

static struct life life_of(unsigned seed)
{
    static const size_t windows[] = {1, 2, 63, 64, 65, 300, 1024, 4096};
    struct life life = {.random = {(unsigned short)seed, 0x330e, 77}};
    life.window = windows[life_draw(&life, sizeof windows / sizeof *windows)];
    life.gap_every = 1 + life_draw(&life, 50);
    life.gap_most = 1 + life_draw(&life, life_draw(&life, 2) ? 3 : 500);
    life.ends = (enum ends)life_draw(&life, 3);
    return life;
}

static size_t life_pick(struct life *life, const struct model *model)
{
    if (life->ends == ENDS_NEWEST)
        return model->count - 1;
    if (life->ends == ENDS_ANY_BUT_OLDEST && model->count > 1 && life_draw(life, 500))
        return 1 + (size_t)life_draw(life, (long)model->count - 1);
    return (size_t)life_draw(life, (long)model->count);
}

static void life_step(struct life *life, struct model *model, struct offsets *offsets)
{
    /* Mostly full and now and then empty: both ends of the window matter. */
    bool begin = model->count < life->window && (!model->count || life_draw(life, 100) < 55);
    if (begin) {
        int64_t offset =
            model->next + (life_draw(life, life->gap_every) ? 0 : life_draw(life, life->gap_most));
        assert_true(offsets_begin(offsets, offset));
        model->in_flight[model->count++] = offset;
        model->next = offset + 1;
        return;
    }
    offsets_done(offsets, model_take(model, life_pick(life, model)));
}

static void live(unsigned seed)
{
    struct life life = life_of(seed);
    struct model model = {.next = life_draw(&life, 2) ? 0 : INT64_C(1) << 40 | life_draw(&life, 5000)};
    struct offsets offsets;
    offsets_init(&offsets);
    int64_t last = 0;
    for (int step = 0; step < 20000 || model.count; step++) {
        if (step >= 20000)
            life.window = 0; /* to the end: nothing new */
        life_step(&life, &model, &offsets);
        if (offsets.base != model_position(&model) || offsets.next != model.next ||
            offsets.in_flight != model.count || offsets.base < last)
            fail_msg("seed %u, step %d: position %lld, expected %lld", seed, step, (long long)offsets.base,
                (long long)model_position(&model));
        last = offsets.base;
    }
    offsets_cleanup(&offsets);
}

static void offsets_agree_with_a_naive_model(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 60; seed++)
        live(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_unused_have_no_position),
        cmocka_unit_test(offsets_begun_are_not_finished),
        cmocka_unit_test(offsets_follow_jobs_that_end_in_order),
        cmocka_unit_test(offsets_hold_back_behind_a_gap),
        cmocka_unit_test(offsets_that_do_not_exist_count_as_finished),
        cmocka_unit_test(offsets_start_over_after_a_gap_with_nothing_in_flight),
        cmocka_unit_test(offsets_begin_anywhere_in_a_word),
        cmocka_unit_test(offsets_refuse_what_was_begun_before),
        cmocka_unit_test(offsets_remember_what_was_done_while_they_grow),
        cmocka_unit_test(offsets_need_memory_for_the_span_alone),
        cmocka_unit_test(offsets_cleaned_up_are_like_new),
        cmocka_unit_test(offsets_agree_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
