/* The finished run: whatever the order in which jobs end, the position never passes one that has not. */
#include "worker/offsets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Plays a script of "+5" (5 is begun), "-5" (5 is done), "=5" (the position is 5) and "~5" (the span is 5);
 * "@5" (the position is restored as 5), "#5" (5 is restored as finished) and "*5" (5 comes, and is finished);
 * ">5" (all before 5 has come). */
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
            ok = offsets_begin(&offsets, number) == OFFSETS_BEGUN;
        else if (action == '*')
            ok = offsets_begin(&offsets, number) == OFFSETS_FINISHED;
        else if (action == '@')
            ok = offsets_restore(&offsets, number);
        else if (action == '#')
            ok = offsets_restore_finished(&offsets, number, number + 1);
        else if (action == '>')
            offsets_pass(&offsets, number);
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

static void offsets_pass_the_end_of_a_transaction(void **state)
{
    (void)state;
    play("+5 -5 =6 >7 =7 ~0 +7 =7 -7 =8");
    play("@6 >7 =7 +9 =9 -9 =10");
    play("@6 >600 =600 +700 -700 =701 >700 =701");
}

static void offsets_pass_nothing_that_is_in_flight(void **state)
{
    (void)state;
    play("+5 +6 >9 =5 ~4 -6 =5 -5 =9");
    play("+5 >6 =5 +7 >9 =5 -5 =7 -7 =9");
    play("+5 >700 +700 =5 -5 =700 -700 =701");
}

static void offsets_pass_to_a_first_position(void **state)
{
    (void)state;
    play(">0 =0 ~0 +0 =0 -0 =1");
    play(">7 =7 ~0 >7 =7 +8 =8 -8 =9");
}

static void offsets_pass_only_forward(void **state)
{
    (void)state;
    play("+5 +6 >5 =5 -5 =6 >6 =6 -6 =7 >3 =7");
    play("@5 #7 >6 =6 +6 *7 =6 -6 =8");
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
    assert_int_equal(offsets_begin(&offsets, 5), OFFSETS_BEGUN);
    assert_int_equal(offsets_begin(&offsets, 8), OFFSETS_BEGUN);
    for (int64_t offset = 0; offset <= 8; offset++)
        assert_int_equal(offsets_begin(&offsets, offset), OFFSETS_REPEATED);
    assert_int_equal(offsets.in_flight, 2);
    offsets_done(&offsets, 5);
    assert_int_equal(offsets.base, 8);
    offsets_done(&offsets, 8);
    assert_int_equal(offsets_begin(&offsets, 8), OFFSETS_REPEATED);
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
            assert_int_equal(offsets_begin(&offsets, offset), OFFSETS_BEGUN);
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
    assert_int_equal(offsets_begin(&offsets, FIRST), OFFSETS_BEGUN);
    size_t words = offsets.words;
    for (int64_t offset = FIRST + 1; offset < FIRST + COUNT; offset++) {
        assert_int_equal(offsets_begin(&offsets, offset), OFFSETS_BEGUN);
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
    assert_int_equal(offsets_begin(&offsets, 100), OFFSETS_BEGUN);
    offsets_cleanup(&offsets);
    assert_int_equal(offsets.base, -1);
    assert_int_equal(offsets_span(&offsets), 0);
    assert_int_equal(offsets_begin(&offsets, 3), OFFSETS_BEGUN);
    assert_int_equal(offsets.base, 3);
    offsets_cleanup(&offsets);
}

static void offsets_restored_go_on_at_their_position(void **state)
{
    (void)state;
    play("@7 =7 ~0 +7 =7 -7 =8");
    play("@7 +9 =9 -9 =10");
    play("@0 #1 +0 =0 ~2 *1 =0 -0 =2 ~0");
}

static void offsets_restored_as_finished_are_not_begun(void **state)
{
    (void)state;
    play("@7 #9 #10 ~4 +7 +8 *9 *10 +11 -7 =8 -8 =11 -11 =12 ~0");
    play("@7 #7 #8 *7 =8 *8 =9 ~0 +9 -9 =10");
    play("@7 #8 +7 -7 =8 ~1 *8 =9 ~0");
    play("@7 #8 #200 +7 *8 +9 -9 -7 =10 ~191 +10 *200 =10 -10 =201 ~0");
}

static void offsets_restored_count_gaps_as_finished(void **state)
{
    (void)state;
    play("@7 #12 +7 *12 =7 ~6 -7 =13 ~0");
    play("@7 #12 +7 +13 =7 -7 =13 -13 =14 ~0");
    play("@7 #12 +7 +10 -10 =7 -7 =11 *12 =13 ~0");
}

static void offsets_restored_forget_only_what_is_below_when_they_start_over(void **state)
{
    (void)state;
    play("@7 #9 #12 +10 =10 ~3 -10 =11 +11 *12 -11 =13 ~0");
    play("@7 #9 #12 *12 =13 ~0 +13 -13 =14");
    play("@7 #9 +4000000000000 =4000000000000 ~1 -4000000000000 =4000000000001 ~0");
    play("@7 #9 #900 +800 ~101 +864 +865 -865 -864 =800 *900 -800 =901 ~0");
}

static void offsets_are_restored_anew(void **state)
{
    (void)state;
    play("@7 #9 #10 @7 ~0 +7 +8 +9 +10 -10 -9 -8 =7 -7 =11");
    play("@100 #102 @7 #8 +7 *8 -7 =9 ~0");
}

static void offsets_are_not_restored_without_a_position(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_false(offsets_restore(&offsets, -1));
    assert_false(offsets_restore(&offsets, -1001));
    assert_int_equal(offsets.base, -1);
    assert_int_equal(offsets.next, -1);
    offsets_cleanup(&offsets);
}

static void offsets_are_restored_up_to_a_bound(void **state)
{
    (void)state;
    const int64_t bases[] = {0, 5, INT64_C(1) << 40, INT64_MAX - 3};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        struct offsets offsets;
        offsets_init(&offsets);
        int64_t base = bases[i], left = INT64_MAX - base;
        assert_true(offsets_restore(&offsets, base));
        assert_true(offsets_restore_finished(&offsets, base + 1, INT64_MAX));
        assert_int_equal(offsets_span(&offsets), left < OFFSETS_RESTORED_MAX ? left : OFFSETS_RESTORED_MAX);
        if (left > OFFSETS_RESTORED_MAX)
            assert_true(offsets_restore_finished(&offsets, base + OFFSETS_RESTORED_MAX, INT64_MAX));
        assert_true(offsets_restore_finished(&offsets, base + 2, base + 2));
        assert_int_equal(offsets_span(&offsets), left < OFFSETS_RESTORED_MAX ? left : OFFSETS_RESTORED_MAX);
        assert_int_equal(offsets_begin(&offsets, base), OFFSETS_BEGUN);
        assert_int_equal(offsets_begin(&offsets, base + 1), OFFSETS_FINISHED);
        offsets_cleanup(&offsets);
    }
}

static void offsets_restore_nothing_that_was_begun(void **state)
{
    (void)state;
    play("@7 +7 +8 #8 #9 =7 -8 =7 *9 -7 =10");
}

static void offsets_restored_in_a_long_run_are_taken_quickly(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_restore(&offsets, 3));
    assert_true(offsets_restore_finished(&offsets, 3, 3 + OFFSETS_RESTORED_MAX));
    for (int64_t offset = 3; offset < 3 + OFFSETS_RESTORED_MAX; offset++)
        assert_int_equal(offsets_begin(&offsets, offset), OFFSETS_FINISHED);
    assert_int_equal(offsets.base, 3 + OFFSETS_RESTORED_MAX);
    assert_int_equal(offsets_span(&offsets), 0);
    offsets_cleanup(&offsets);
}

static void offsets_tell_of_each_completion(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_restore(&offsets, 7));
    assert_true(offsets_restore_finished(&offsets, 9, 10));
    uint64_t before = offsets.done;
    for (int64_t offset = 7; offset <= 10; offset++)
        assert_int_equal(offsets_begin(&offsets, offset), offset == 9 ? OFFSETS_FINISHED : OFFSETS_BEGUN);
    assert_int_equal(offsets.done, before);
    offsets_done(&offsets, 10);
    assert_int_equal(offsets.base, 7);
    assert_int_not_equal(offsets.done, before);
    offsets_cleanup(&offsets);
}

/* As text: "x" is finished, "." is not. */
static void runs_are(const struct offsets *offsets, const char *wanted)
{
    char text[200] = "";
    size_t length = 0;
    for (int64_t at = offsets->base; at < offsets->end;) {
        bool finished;
        int64_t end = offsets_run_end(offsets, at, &finished);
        assert_in_range(end, at + 1, offsets->end);
        for (; at < end; at++)
            text[length++] = finished ? 'x' : '.';
        text[length++] = '|';
    }
    text[length] = '\0';
    assert_string_equal(text, wanted);
}

static void offsets_show_their_runs(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    runs_are(&offsets, "");
    assert_true(offsets_restore(&offsets, 60));
    runs_are(&offsets, "");
    assert_true(offsets_restore_finished(&offsets, 62, 66));
    assert_true(offsets_restore_finished(&offsets, 70, 71));
    runs_are(&offsets, "..|xxxx|....|x|");
    assert_int_equal(offsets_begin(&offsets, 60), OFFSETS_BEGUN);
    assert_int_equal(offsets_begin(&offsets, 69), OFFSETS_BEGUN);
    runs_are(&offsets, ".|xxxxxxxx|.|x|");
    offsets_done(&offsets, 60);
    runs_are(&offsets, ".|x|");
    assert_int_equal(offsets_begin(&offsets, 72), OFFSETS_BEGUN);
    runs_are(&offsets, ".|xx|.|");
    offsets_done(&offsets, 69);
    offsets_done(&offsets, 72);
    runs_are(&offsets, "");
    offsets_cleanup(&offsets);
}

static void offsets_show_a_long_run_at_once(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_restore(&offsets, 61));
    assert_true(offsets_restore_finished(&offsets, 62, 500000));
    assert_true(offsets_restore_finished(&offsets, 900001, 900002));
    bool finished;
    assert_int_equal(offsets_run_end(&offsets, 61, &finished), 62);
    assert_false(finished);
    for (int round = 0; round < 2000; round++)
        assert_int_equal(offsets_run_end(&offsets, 62, &finished), 500000);
    assert_true(finished);
    assert_int_equal(offsets_run_end(&offsets, 500000, &finished), 900001);
    assert_false(finished);
    assert_int_equal(offsets_run_end(&offsets, 900001, &finished), 900002);
    offsets_cleanup(&offsets);
}

enum { RESTORED = 8000 };

/* The naive model: the offsets in flight as they were begun, in rising order, and what was restored. */
struct model {
    int64_t in_flight[4096];
    size_t count;
    int64_t next; /* one past the newest begun */
    int64_t first;
    bool restored[RESTORED]; /* as finished, from first on */
};

static bool model_is_restored(const struct model *model, int64_t offset)
{
    return offset - model->first < RESTORED && model->restored[offset - model->first];
}

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
        bool restored = model_is_restored(model, offset);
        assert_int_equal(offsets_begin(offsets, offset), restored ? OFFSETS_FINISHED : OFFSETS_BEGUN);
        if (!restored)
            model->in_flight[model->count++] = offset;
        model->next = offset + 1;
        return;
    }
    offsets_done(offsets, model_take(model, life_pick(life, model)));
}

static void restore(struct life *life, struct model *model, struct offsets *offsets)
{
    assert_true(offsets_restore(offsets, model->first));
    long most = life_draw(life, 2) ? 3 : 700;
    for (int64_t from = 0, to; from < RESTORED; from = to + life_draw(life, most)) {
        to = from + 1 + life_draw(life, most);
        if (to > RESTORED)
            to = RESTORED;
        assert_true(offsets_restore_finished(offsets, model->first + from, model->first + to));
        for (int64_t i = from; i < to; i++)
            model->restored[i] = true;
    }
}

static void live(unsigned seed, bool restored)
{
    struct life life = life_of(seed);
    struct model model = {.next = life_draw(&life, 2) ? 0 : INT64_C(1) << 40 | life_draw(&life, 5000)};
    struct offsets offsets;
    offsets_init(&offsets);
    model.first = model.next;
    if (restored)
        restore(&life, &model, &offsets);
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
        live(seed, false);
}

static void offsets_restored_agree_with_a_naive_model(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 60; seed++)
        live(seed, true);
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
        cmocka_unit_test(offsets_pass_the_end_of_a_transaction),
        cmocka_unit_test(offsets_pass_nothing_that_is_in_flight),
        cmocka_unit_test(offsets_pass_to_a_first_position),
        cmocka_unit_test(offsets_pass_only_forward),
        cmocka_unit_test(offsets_begin_anywhere_in_a_word),
        cmocka_unit_test(offsets_refuse_what_was_begun_before),
        cmocka_unit_test(offsets_remember_what_was_done_while_they_grow),
        cmocka_unit_test(offsets_need_memory_for_the_span_alone),
        cmocka_unit_test(offsets_cleaned_up_are_like_new),
        cmocka_unit_test(offsets_restored_go_on_at_their_position),
        cmocka_unit_test(offsets_restored_as_finished_are_not_begun),
        cmocka_unit_test(offsets_restored_count_gaps_as_finished),
        cmocka_unit_test(offsets_restored_forget_only_what_is_below_when_they_start_over),
        cmocka_unit_test(offsets_are_restored_anew),
        cmocka_unit_test(offsets_are_not_restored_without_a_position),
        cmocka_unit_test(offsets_are_restored_up_to_a_bound),
        cmocka_unit_test(offsets_restore_nothing_that_was_begun),
        cmocka_unit_test(offsets_restored_in_a_long_run_are_taken_quickly),
        cmocka_unit_test(offsets_tell_of_each_completion),
        cmocka_unit_test(offsets_show_their_runs),
        cmocka_unit_test(offsets_show_a_long_run_at_once),
        cmocka_unit_test(offsets_agree_with_a_naive_model),
        cmocka_unit_test(offsets_restored_agree_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
