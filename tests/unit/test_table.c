/* The dead letter queue as a table: the newest record of a key counts, a mark ends it. */
#include "replay/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void put(struct table *table, const char *key, int32_t partition, int64_t offset, int replays)
{
    const struct letter_failure failure = {
        .reason = REASON_NOT_FOUND, .failed_ms = 1000 + offset, .replay_count = replays};
    assert_true(table_put(table, key, strlen(key), partition, offset, &failure));
}

static void table_keeps_the_newest_of_a_key(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    put(&table, "imp_1", 2, 10, 0);
    put(&table, "imp_2", 0, 1, 0);
    put(&table, "imp_1", 2, 15, 3);
    assert_int_equal(table_count(&table), 2);
    const struct dead *dead = table_find(&table, "imp_1", 5);
    assert_non_null(dead);
    assert_int_equal(dead->offset, 15);
    assert_int_equal(dead->partition, 2);
    assert_int_equal(dead->replay_count, 3);
    assert_int_equal(dead->failed_ms, 1015);
    assert_int_equal(dead->reason, REASON_NOT_FOUND);
    assert_string_equal(dead->key, "imp_1");
    assert_int_equal(dead->key_size, 5);
    table_cleanup(&table);
}

static void table_forgets_what_is_marked_until_it_fails_again(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    table_remove(&table, "imp_1", 5);
    put(&table, "imp_1", 0, 1, 0);
    table_remove(&table, "imp_1", 5);
    assert_null(table_find(&table, "imp_1", 5));
    assert_int_equal(table_count(&table), 0);
    put(&table, "imp_1", 0, 3, 1);
    assert_int_equal(table_find(&table, "imp_1", 5)->offset, 3);
    table_cleanup(&table);
}

static void table_takes_any_key(void **state)
{
    (void)state;
    static char long_key[70000];
    char shown[TABLE_KEY_SHOWN];
    const struct letter_failure failure = {.reason = REASON_NONE};
    struct table table;
    table_init(&table);
    memset(long_key, 'k', sizeof long_key);
    assert_true(table_put(&table, long_key, sizeof long_key, 0, 0, &failure));
    assert_int_equal(table_find(&table, long_key, sizeof long_key)->key_size, sizeof long_key);
    assert_true(table_put(&table, "", 0, 0, 1, &failure));
    assert_int_equal(table_find(&table, "", 0)->offset, 1);
    assert_true(table_put(&table, "a\0\x1b", 3, 0, 2, &failure));
    assert_null(table_find(&table, "a", 1));
    table_show_key(table_find(&table, "a\0\x1b", 3), shown);
    assert_null(strchr(shown, '\x1b'));
    table_show_key(table_find(&table, long_key, sizeof long_key), shown);
    assert_string_equal(shown + strlen(shown) - 3, "...");
    table_cleanup(&table);
}

static void table_counts_replays_up_to_255(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    put(&table, "imp_1", 0, 0, 999999);
    assert_int_equal(table_find(&table, "imp_1", 5)->replay_count, 255);
    table_cleanup(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_keeps_the_newest_of_a_key),
        cmocka_unit_test(table_forgets_what_is_marked_until_it_fails_again),
        cmocka_unit_test(table_takes_any_key),
        cmocka_unit_test(table_counts_replays_up_to_255),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
