/* The metadata of a commit: what comes back is what was finished, or less of it, but never anything else,
 * whatever the text. */
#include "worker/completions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_SIZE = COMPLETIONS_TEXT_MAX + 1 };

static struct offsets at_position(int64_t base)
{
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_restore(&offsets, base));
    return offsets;
}

/* Offsets of which every one is begun and finished whose letter is 'x'. */
static struct offsets of_pattern(int64_t base, const char *pattern)
{
    struct offsets offsets = at_position(base);
    for (int64_t i = 0; pattern[i]; i++)
        assert_int_equal(offsets_begin(&offsets, base + i), OFFSETS_BEGUN);
    for (int64_t i = 0; pattern[i]; i++)
        if (pattern[i] == 'x')
            offsets_done(&offsets, base + i);
    return offsets;
}

/* Every second one is finished, count of them. */
static struct offsets alternating(int64_t base, int64_t count)
{
    struct offsets offsets = at_position(base);
    for (int64_t i = 0; i < count; i++)
        assert_true(offsets_restore_finished(&offsets, base + 2 * i + 1, base + 2 * i + 2));
    return offsets;
}

static int64_t last_finished_end(const struct offsets *offsets)
{
    int64_t last = offsets->base;
    bool finished;
    for (int64_t at = offsets->base; at < offsets->end;) {
        at = offsets_run_end(offsets, at, &finished);
        if (finished)
            last = at;
    }
    return last;
}

/* Up to where back ends. */
static void assert_same(const struct offsets *offsets, const struct offsets *back)
{
    bool finished[2];
    for (int64_t at = back->base; at < back->end;) {
        int64_t end = offsets_run_end(offsets, at, &finished[0]);
        int64_t back_end = offsets_run_end(back, at, &finished[1]);
        if (finished[0] != finished[1])
            fail_msg("offset %lld, position %lld", (long long)at, (long long)back->base);
        at = end < back_end ? end : back_end;
    }
}

/* Encodes into size bytes, decodes, and returns how many offsets beyond the position the text tells of. Up to
 * there it must be the same, and beyond it nothing may be finished. */
static int64_t there_and_back(const struct offsets *offsets, size_t size, char *text)
{
    memset(text, '#', size);
    size_t length = completions_encode(offsets, text, size);
    assert_in_range(length, 0, size - 1);
    assert_int_equal(strlen(text), length);
    struct offsets back = at_position(offsets->base);
    assert_true(completions_decode(text, length, &back));
    assert_int_equal(back.next, offsets->base);
    assert_int_equal(back.end, last_finished_end(&back));
    assert_in_range(back.end, offsets->base, last_finished_end(offsets));
    assert_same(offsets, &back);
    int64_t told = back.end - back.base;
    assert_int_equal(told > 0, length > 0);
    offsets_cleanup(&back);
    return told;
}

/* Whether a text is refused, and then marks nothing. */
static bool is_refused(const char *text, size_t length, int64_t base)
{
    /* A copy of its own length: reading past the end is seen by the address sanitizer. */
    char *copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    struct offsets offsets = at_position(base);
    bool refused = !completions_decode(copy, length, &offsets);
    if (refused) {
        assert_int_equal(offsets.base, base);
        assert_int_equal(offsets.next, base);
        assert_int_equal(offsets.end, base);
        assert_int_equal(offsets_begin(&offsets, base + 1), OFFSETS_BEGUN);
    }
    offsets_cleanup(&offsets);
    free(copy);
    return refused;
}

static void completions_of_nothing_are_empty(void **state)
{
    (void)state;
    char text[TEXT_SIZE] = "#";
    struct offsets offsets;
    offsets_init(&offsets);
    assert_int_equal(completions_encode(&offsets, text, sizeof text), 0);
    assert_string_equal(text, "");
    static const char *const patterns[] = {"", ".", "....", "x", "xx", "x.", "xx.."};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        offsets = of_pattern(7, patterns[i]);
        assert_int_equal(there_and_back(&offsets, sizeof text, text), 0);
        offsets_cleanup(&offsets);
    }
    offsets = at_position(7);
    assert_true(completions_decode(NULL, 0, &offsets));
    assert_int_equal(offsets_span(&offsets), 0);
}

static void completions_come_back_as_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        int64_t told;
    } cases[] = {{".x", 2}, {".x.", 2}, {"..x.x..", 5}, {"xx.x", 2}, {".xxxxxxxxxxxx.xxxxxx.", 20},
        {".x.x.x.x.x.x.x.x.x.x.x.x.x.x.", 28}, {"........................................x", 41}};
    static const int64_t bases[] = {0, 1, 63, INT64_C(1) << 33, INT64_MAX - 60};
    char text[TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
            struct offsets offsets = of_pattern(bases[b], cases[i].pattern);
            assert_int_equal(there_and_back(&offsets, sizeof text, text), cases[i].told);
            offsets_cleanup(&offsets);
        }
}

/* Deployed workers must read each other's, so this text can't change under the same prefix. */
static void completions_keep_their_form(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    struct offsets offsets = of_pattern(1000, ".xx..x");
    there_and_back(&offsets, sizeof text, text);
    assert_string_equal(text, "1b:dB2O+SY");
    offsets_cleanup(&offsets);
    offsets = of_pattern(1000, ".xxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    there_and_back(&offsets, sizeof text, text);
    assert_string_equal(text, "1r:F1v7dQEc");
    offsets_cleanup(&offsets);
}

static void completions_behind_one_hole_are_a_few_bytes(void **state)
{
    (void)state;
    struct offsets offsets = at_position(123456789012);
    for (int64_t i = 0; i <= 20000; i++)
        assert_int_equal(offsets_begin(&offsets, 123456789012 + i), OFFSETS_BEGUN);
    for (int64_t i = 1; i <= 20000; i++)
        offsets_done(&offsets, 123456789012 + i);
    char text[TEXT_SIZE];
    assert_int_equal(there_and_back(&offsets, sizeof text, text), 20001);
    assert_in_range(strlen(text), 1, 19);
    offsets_cleanup(&offsets);
}

static void completions_in_the_worst_order_take_a_bit_each(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    struct offsets offsets = alternating(5, 10000);
    assert_int_equal(there_and_back(&offsets, sizeof text, text), 20000);
    assert_memory_equal(text, "1b:", 3);
    assert_in_range(strlen(text), 3300, 3400);
    offsets_cleanup(&offsets);
}

static void completions_that_do_not_fit_are_left_out_from_the_end(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    struct offsets offsets = alternating(5, 50000);
    /* 4000 characters less 3 are 2997 bytes, less 4 are 23,944 bits. */
    assert_int_equal(there_and_back(&offsets, sizeof text, text), 23944);
    assert_in_range(there_and_back(&offsets, 1001, text), 5900, 5980);
    offsets_cleanup(&offsets);
    offsets = alternating(5, 50000);
    assert_true(offsets_restore_finished(&offsets, 205, 50205));
    assert_in_range(there_and_back(&offsets, 401, text), 50200, 50300);
    assert_memory_equal(text, "1r:", 3);
    offsets_cleanup(&offsets);
}

static void completions_fit_into_any_size(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    struct offsets offsets = of_pattern(9, ".x..x.xxxxxxxxxxxxxxxxxxxx.xxx.x.x.x..xx...xx.xxxxxxxx.x");
    int64_t last = 0;
    for (size_t size = 1; size < 40; size++) {
        int64_t told = there_and_back(&offsets, size, text);
        assert_in_range(told, last, 56);
        last = told;
    }
    assert_int_equal(last, 56);
    offsets_cleanup(&offsets);
}

static void completions_are_sent_as_far_as_they_are_taken(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    struct offsets offsets = at_position(5);
    enum { COUNT = OFFSETS_RESTORED_MAX + 5000 };
    for (int64_t i = 0; i < COUNT; i++)
        assert_int_equal(offsets_begin(&offsets, 5 + i), OFFSETS_BEGUN);
    for (int64_t i = 1; i < COUNT; i++)
        if (i != OFFSETS_RESTORED_MAX + 2000)
            offsets_done(&offsets, 5 + i);
    assert_int_equal(there_and_back(&offsets, sizeof text, text), OFFSETS_RESTORED_MAX);
    offsets_cleanup(&offsets);
}

struct dice {
    unsigned short random[3];
};

static long draw(struct dice *dice, long below)
{
    return nrand48(dice->random) % below;
}

/* Runs of a random life: some restored, then some begun, and of those some done. */
static struct offsets random_offsets(struct dice *dice)
{
    static const int64_t bases[] = {0, 1, 64, 1000003, INT64_C(1) << 40, INT64_MAX - 200000};
    struct offsets offsets = at_position(bases[draw(dice, 6)] + draw(dice, 200));
    int64_t base = offsets.base;
    long run = 1 + draw(dice, draw(dice, 2) ? 4 : 900), hole = 1 + draw(dice, draw(dice, 2) ? 4 : 900);
    int64_t end = draw(dice, 2) ? base + draw(dice, 40000) : base + draw(dice, 100);
    for (int64_t at = base + draw(dice, hole); at < end;) {
        int64_t to = at + 1 + draw(dice, run);
        assert_true(offsets_restore_finished(&offsets, at, to));
        at = to + 1 + draw(dice, hole);
    }
    for (int64_t i = 0, begun = draw(dice, 600); i < begun; i++)
        if (offsets_begin(&offsets, base + i) == OFFSETS_BEGUN && draw(dice, 3))
            offsets_done(&offsets, base + i);
    return offsets;
}

static void completions_of_random_lives_come_back(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    for (unsigned short seed = 0; seed < 3000; seed++) {
        struct dice dice = {{seed, 0x330e, 5}};
        struct offsets offsets = random_offsets(&dice);
        int64_t all = last_finished_end(&offsets) - offsets.base;
        int64_t told = there_and_back(&offsets, sizeof text, text);
        if (told != all && strlen(text) < COMPLETIONS_TEXT_MAX - 20)
            fail_msg("seed %u: %lld of %lld", seed, (long long)told, (long long)all);
        there_and_back(&offsets, 1 + (size_t)draw(&dice, 300), text);
        offsets_cleanup(&offsets);
    }
}

static const char *some_text(size_t which, char *text)
{
    struct offsets offsets =
        which ? alternating(1000, 100) : of_pattern(1000, ".xxxxxxxxxxxx..xxxxxxxxxxxxx");
    completions_encode(&offsets, text, TEXT_SIZE);
    offsets_cleanup(&offsets);
    assert_int_equal(text[1], which ? 'b' : 'r');
    assert_false(is_refused(text, strlen(text), 1000));
    return text;
}

static void completions_of_another_position_are_refused(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    for (size_t which = 0; which < 2; which++) {
        some_text(which, text);
        for (int64_t base = 0; base < 3000; base++)
            assert_int_equal(is_refused(text, strlen(text), base), base != 1000);
        assert_true(is_refused(text, strlen(text), 1000 + (INT64_C(1) << 40)));
    }
}

static void completions_cut_off_or_changed_are_refused(void **state)
{
    (void)state;
    char text[TEXT_SIZE + 1], changed[TEXT_SIZE + 1];
    for (size_t which = 0; which < 2; which++) {
        size_t length = strlen(some_text(which, text));
        for (size_t cut = 1; cut < length; cut++) {
            assert_true(is_refused(text, cut, 1000));
            assert_true(is_refused(text + cut, length - cut, 1000));
        }
        for (size_t at = 0; at < length; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                memcpy(changed, text, length);
                changed[at] = (char)byte;
                assert_int_equal(is_refused(changed, length, 1000), changed[at] != text[at]);
            }
        assert_true(is_refused(text, length + 1, 1000)); /* with its end mark */
        for (const char *more = "A=\n :"; *more; more++) {
            text[length] = *more;
            assert_true(is_refused(text, length + 1, 1000));
        }
    }
}

static void completions_of_others_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"1", "1r", "1r:", "1b:", "1r:=", "1r:A", "1b:AAAAAA", "2r:AAAAAAAAAA",
        "1x:AAAAAAAAAA", "r:AAAA", "metadata", "{\"a\": 1}", "1r:\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "consumer-group-1-7f3c0d7e-4a54-4e0b-8f1c-0b0f5a3e2d11", " 1r:AAAAAAAAAAA"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(is_refused(texts[i], strlen(texts[i]), 1000));
    static char much[100000];
    memset(much, 'A', sizeof much);
    memcpy(much, "1r:", 3);
    for (size_t length = COMPLETIONS_TEXT_MAX - 5; length < COMPLETIONS_TEXT_MAX + 100; length++)
        assert_true(is_refused(much, length, 1000));
    assert_true(is_refused(much, sizeof much, 1000));
}

static void completions_of_random_bytes_are_refused(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct dice dice = {{1, 2, 3}};
    char text[COMPLETIONS_TEXT_MAX];
    for (int round = 0; round < 20000; round++) {
        size_t length = 4 + (size_t)draw(&dice, draw(&dice, 20) ? 60 : COMPLETIONS_TEXT_MAX - 4);
        memcpy(text, draw(&dice, 2) ? "1r:" : "1b:", 3);
        bool digits_only = draw(&dice, 4);
        for (size_t i = 3; i < length; i++)
            text[i] = digits_only ? digits[draw(&dice, 64)] : (char)draw(&dice, 256);
        assert_true(is_refused(text, length, 1000));
    }
}

/* A text with the checksum that is due, whatever the bytes say. */
static size_t forge(char kind, int64_t base, const unsigned char *bytes, size_t count, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t sum = UINT32_C(2166136261);
    for (unsigned i = 0; i < 8; i++)
        sum = (sum ^ (unsigned char)((uint64_t)base >> 8 * i)) * UINT32_C(16777619);
    sum = (sum ^ (unsigned char)kind) * UINT32_C(16777619);
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * UINT32_C(16777619);
    unsigned char all[3000];
    for (size_t i = 0; i < 4; i++)
        all[i] = (unsigned char)(sum >> 8 * i);
    if (count)
        memcpy(all + 4, bytes, count);
    size_t length = (size_t)sprintf(text, "1%c:", kind);
    for (size_t bit = 0; bit < (count + 4) * 8; bit += 6) {
        unsigned value = 0;
        for (size_t b = bit; b < bit + 6; b++)
            value = value << 1 | (b < (count + 4) * 8 ? (unsigned)all[b / 8] >> (7 - b % 8) & 1 : 0);
        text[length++] = digits[value];
    }
    return length;
}

#define FORGED_AT(kind, base, ...)                                                                           \
    forge(kind, base, (const unsigned char[]){__VA_ARGS__}, sizeof(const unsigned char[]){__VA_ARGS__}, text)
#define FORGED(kind, ...) FORGED_AT(kind, 1000, __VA_ARGS__)

static void completions_forged_are_checked_in_full(void **state)
{
    (void)state;
    char text[TEXT_SIZE + 100];
    assert_false(is_refused(text, FORGED('r', 1, 2, 3, 4), 1000));
    assert_false(is_refused(text, FORGED('r', 0, 2), 1000));
    assert_true(is_refused(text, FORGED('r', 1), 1000));          /* no finished run after it */
    assert_true(is_refused(text, FORGED('r', 1, 2, 3), 1000));    /* the same, later */
    assert_true(is_refused(text, FORGED('r', 1, 0), 1000));       /* empty runs */
    assert_true(is_refused(text, FORGED('r', 1, 2, 0, 2), 1000)); /* two that are one */
    assert_true(is_refused(text, FORGED('r', 1, 0x82), 1000));    /* a varint that does not end */
    assert_true(is_refused(text, FORGED('r', 1, 0x82, 0), 1000)); /* one that is too long for what it is */
    assert_true(is_refused(text, FORGED('r', 1, 255, 255, 255, 255, 255, 1), 1000));
    assert_true(is_refused(text, FORGED_AT('r', INT64_MAX - 5, 1, 6), INT64_MAX - 5));
    assert_false(is_refused(text, FORGED_AT('r', INT64_MAX - 5, 1, 4), INT64_MAX - 5));
    assert_false(is_refused(text, FORGED('b', 2), 1000));
    assert_true(is_refused(text, FORGED('b', 2, 0), 1000)); /* says no more than without its end */
    assert_true(is_refused(text, FORGED_AT('b', INT64_MAX - 5, 2), INT64_MAX - 5));
    assert_true(is_refused(text, forge('b', 1000, NULL, 0, text), 1000));
    assert_true(is_refused(text, forge('r', 1000, NULL, 0, text), 1000));
    assert_true(is_refused(text, FORGED('c', 2), 1000));
}

static void completions_forged_far_away_cost_little(void **state)
{
    (void)state;
    char text[TEXT_SIZE];
    unsigned char bytes[2990];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i % 5 == 4 ? 0x7f : 0xff; /* runs of 2^35 - 1 each */
    size_t length = forge('r', 1000, bytes, sizeof bytes, text);
    struct offsets offsets = at_position(1000);
    assert_true(completions_decode(text, length, &offsets));
    assert_int_equal(offsets_span(&offsets), 0);
    length = FORGED('r', 1, 0xff, 0xff, 0xff, 0xff, 0x7f);
    assert_true(completions_decode(text, length, &offsets));
    assert_int_equal(offsets_span(&offsets), OFFSETS_RESTORED_MAX);
    offsets_cleanup(&offsets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completions_of_nothing_are_empty),
        cmocka_unit_test(completions_come_back_as_they_were),
        cmocka_unit_test(completions_keep_their_form),
        cmocka_unit_test(completions_behind_one_hole_are_a_few_bytes),
        cmocka_unit_test(completions_in_the_worst_order_take_a_bit_each),
        cmocka_unit_test(completions_that_do_not_fit_are_left_out_from_the_end),
        cmocka_unit_test(completions_fit_into_any_size),
        cmocka_unit_test(completions_are_sent_as_far_as_they_are_taken),
        cmocka_unit_test(completions_of_random_lives_come_back),
        cmocka_unit_test(completions_of_another_position_are_refused),
        cmocka_unit_test(completions_cut_off_or_changed_are_refused),
        cmocka_unit_test(completions_of_others_are_refused),
        cmocka_unit_test(completions_of_random_bytes_are_refused),
        cmocka_unit_test(completions_forged_are_checked_in_full),
        cmocka_unit_test(completions_forged_far_away_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
