/* Timers: what is due comes out in the order of its due time, whatever the order it went in. */
#include "common/clock.h"
#include "common/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void heap_empty_has_nothing_due(void **state)
{
    (void)state;
    struct heap heap = {0};
    assert_true(heap_due_ns(&heap) == CLOCK_NEVER);
    assert_null(heap_pop_due(&heap, CLOCK_NEVER));
    heap_cleanup(&heap);
}

static void heap_gives_nothing_before_it_is_due(void **state)
{
    (void)state;
    struct heap heap = {0};
    int item;
    assert_true(heap_push(&heap, 100, &item));
    assert_int_equal(heap_due_ns(&heap), 100);
    assert_null(heap_pop_due(&heap, 99));
    assert_ptr_equal(heap_pop_due(&heap, 100), &item);
    assert_null(heap_pop_due(&heap, CLOCK_NEVER));
    assert_true(heap_due_ns(&heap) == CLOCK_NEVER);
    heap_cleanup(&heap);
}

static void heap_orders_every_permutation(void **state)
{
    (void)state;
    enum { ITEMS = 6, PERMUTATIONS = 720 };
    int items[ITEMS];
    for (int permutation = 0; permutation < PERMUTATIONS; permutation++) {
        struct heap heap = {0};
        int left[ITEMS] = {0, 1, 2, 3, 4, 5};
        int rest = permutation;
        for (int count = ITEMS; count; count--) {
            int at = rest % count;
            rest /= count;
            assert_true(heap_push(&heap, left[at], &items[left[at]]));
            memmove(left + at, left + at + 1, (size_t)(count - at - 1) * sizeof *left);
        }
        for (int i = 0; i < ITEMS; i++)
            assert_ptr_equal(heap_pop_due(&heap, ITEMS), &items[i]);
        heap_cleanup(&heap);
    }
}

static void heap_keeps_each_of_equal_due_times(void **state)
{
    (void)state;
    enum { ITEMS = 200 };
    struct heap heap = {0};
    bool seen[ITEMS] = {false};
    for (int i = 0; i < ITEMS; i++)
        assert_true(heap_push(&heap, i / 50, &seen[i]));
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(heap_due_ns(&heap), i / 50);
        bool *item = heap_pop_due(&heap, i / 50);
        assert_false(*item);
        *item = true;
    }
    assert_int_equal(heap.count, 0);
    heap_cleanup(&heap);
}

/* Due times of a naive model: a plain array that is searched. */
struct model {
    int64_t due[2000];
    size_t count;
};

static int64_t model_first(const struct model *model)
{
    int64_t first = CLOCK_NEVER;
    for (size_t i = 0; i < model->count; i++)
        first = model->due[i] < first ? model->due[i] : first;
    return first;
}

static void model_remove(struct model *model, int64_t due)
{
    size_t at = 0;
    while (model->due[at] != due)
        at++;
    model->due[at] = model->due[--model->count];
}

static void heap_agrees_with_a_naive_model(void **state)
{
    (void)state;
    static int64_t items[2000]; /* each holds its due time */
    struct heap heap = {0};
    struct model model = {.count = 0};
    unsigned short seed[3] = {1, 2, 3};
    for (size_t pushed = 0; pushed < sizeof items / sizeof *items || model.count;) {
        int64_t now = nrand48(seed) % 1000;
        if (pushed < sizeof items / sizeof *items && nrand48(seed) % 3) {
            items[pushed] = nrand48(seed) % 1000;
            assert_true(heap_push(&heap, items[pushed], &items[pushed]));
            model.due[model.count++] = items[pushed++];
            continue;
        }
        int64_t first = model_first(&model);
        assert_true(heap_due_ns(&heap) == first);
        const int64_t *item = heap_pop_due(&heap, now);
        assert_int_equal(item != NULL, first <= now);
        if (!item)
            continue;
        assert_int_equal(*item, first);
        model_remove(&model, first);
    }
    assert_int_equal(heap.count, 0);
    heap_cleanup(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_empty_has_nothing_due),
        cmocka_unit_test(heap_gives_nothing_before_it_is_due),
        cmocka_unit_test(heap_orders_every_permutation),
        cmocka_unit_test(heap_keeps_each_of_equal_due_times),
        cmocka_unit_test(heap_agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
