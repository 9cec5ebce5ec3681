/* Which dead letters are meant, by what the options say. */
#include "replay/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000123004) /* 2023-11-14T22:15:23.004Z */

static struct dead *dead_new(const char *key, enum reason reason, int64_t failed_ms, int replays)
{
    struct dead *dead = calloc(1, sizeof *dead + strlen(key) + 1);
    assert_non_null(dead);
    memcpy(dead->key, key, strlen(key));
    dead->key_size = (uint32_t)strlen(key);
    dead->reason = (uint8_t)reason;
    dead->failed_ms = failed_ms;
    dead->replay_count = (uint8_t)replays;
    return dead;
}

static bool matches(const struct filter *filter, const char *key, enum reason reason, int64_t failed_ms)
{
    struct dead *dead = dead_new(key, reason, failed_ms, 0);
    bool match = filter_match(filter, dead);
    free(dead);
    return match;
}

static bool hopeless(const struct filter *filter, enum reason reason, int replays)
{
    struct dead *dead = dead_new("imp_1", reason, 1, replays);
    bool found = filter_hopeless(filter, dead);
    free(dead);
    return found;
}

static void filter_takes_all_unless_told(void **state)
{
    (void)state;
    struct filter filter;
    filter_init(&filter);
    for (enum reason reason = REASON_NONE; reason < REASON_COUNT; reason++)
        assert_true(matches(&filter, "imp_1", reason, 0));
    filter_cleanup(&filter);
}

static void filter_chooses_by_reason(void **state)
{
    (void)state;
    struct filter filter;
    struct error why;
    filter_init(&filter);
    assert_true(filter_add_reasons(&filter, "not_found,refused", &why));
    assert_true(filter_add_reasons(&filter, "unavailable", &why));
    assert_true(matches(&filter, "imp_1", REASON_NOT_FOUND, 0));
    assert_true(matches(&filter, "imp_1", REASON_REFUSED, 0));
    assert_true(matches(&filter, "imp_1", REASON_UNAVAILABLE, 0));
    assert_false(matches(&filter, "imp_1", REASON_NOT_CERTIFIED, 0));
    assert_false(matches(&filter, "imp_1", REASON_NONE, 0));
    filter_cleanup(&filter);
}

static void filter_names_what_is_no_reason_and_what_is(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "none", "sad", "not_found,", ",refused", "not_found, refused",
        "not_found_not_found_not_found_not_found_not_found"};
    struct filter filter;
    struct error why;
    filter_init(&filter);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(filter_add_reasons(&filter, wrong[i], &why));
        assert_non_null(strstr(why.text, "store_rejected"));
    }
    filter_cleanup(&filter);
}

static void filter_chooses_by_imp_uid(void **state)
{
    (void)state;
    struct filter filter;
    struct error why;
    filter_init(&filter);
    assert_false(filter_add_imp_uid(&filter, "", &why));
    assert_true(filter_add_imp_uid(&filter, "imp_1", &why));
    assert_true(filter_add_imp_uid(&filter, "imp_2", &why));
    assert_true(matches(&filter, "imp_2", REASON_REFUSED, 0));
    assert_false(matches(&filter, "imp_", REASON_REFUSED, 0));
    assert_false(matches(&filter, "imp_12", REASON_REFUSED, 0));
    for (int i = 2; i < FILTER_IMP_UIDS_MOST; i++)
        assert_true(filter_add_imp_uid(&filter, "imp_x", &why));
    assert_false(filter_add_imp_uid(&filter, "imp_x", &why));
    filter_cleanup(&filter);
}

static void filter_chooses_by_time_from_and_up_to(void **state)
{
    (void)state;
    struct filter filter;
    filter_init(&filter);
    filter.since_ms = 1000;
    filter.until_ms = 2000;
    assert_false(matches(&filter, "imp_1", REASON_REFUSED, 999));
    assert_true(matches(&filter, "imp_1", REASON_REFUSED, 1000));
    assert_true(matches(&filter, "imp_1", REASON_REFUSED, 1999));
    assert_false(matches(&filter, "imp_1", REASON_REFUSED, 2000));
    filter_cleanup(&filter);
}

static void filter_reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t wall_ms;
    } times[] = {{"2023-11-14T22:15:23.004Z", NOW_MS}, {"2023-11-14T22:15:23Z", NOW_MS - 4},
        {"2023-11-14", INT64_C(1699920000000)}, {"30s", NOW_MS - 30000}, {"30m", NOW_MS - 1800000},
        {"2h", NOW_MS - 7200000}, {"7d", NOW_MS - 604800000}, {"0s", NOW_MS}};
    static const char *const wrong[] = {"", "7", "d", "-1h", "1w", "1h ", "2023-13-01", "2023-11-14T22:15Z",
        "2023-11-14T22:15:23+09:00", "2023-11-14T22:15:23h", "2023-11-14T22:15:23z", "yesterday",
        "2023-11-14T22:15:23.004Zx", "9999999999d"};
    struct error why;
    int64_t wall_ms;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_true(filter_time(times[i].text, NOW_MS, &wall_ms, &why));
        assert_int_equal(wall_ms, times[i].wall_ms);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (filter_time(wrong[i], NOW_MS, &wall_ms, &why))
            fail_msg("\"%s\" is taken", wrong[i]);
        assert_non_null(strstr(why.text, "2h"));
    }
}

static void filter_leaves_the_hopeless_alone(void **state)
{
    (void)state;
    struct filter filter;
    struct error why;
    filter_init(&filter);
    assert_true(hopeless(&filter, REASON_INVALID_EVENT, 0));
    assert_false(hopeless(&filter, REASON_REFUSED, 4));
    assert_true(hopeless(&filter, REASON_REFUSED, 5));
    filter.max_replays = 2;
    assert_false(hopeless(&filter, REASON_REFUSED, 1));
    assert_true(hopeless(&filter, REASON_REFUSED, 2));
    assert_true(filter_add_reasons(&filter, "invalid_event", &why));
    assert_false(hopeless(&filter, REASON_INVALID_EVENT, 0));
    assert_true(hopeless(&filter, REASON_INVALID_EVENT, 2));
    filter_cleanup(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_takes_all_unless_told),
        cmocka_unit_test(filter_chooses_by_reason),
        cmocka_unit_test(filter_names_what_is_no_reason_and_what_is),
        cmocka_unit_test(filter_chooses_by_imp_uid),
        cmocka_unit_test(filter_chooses_by_time_from_and_up_to),
        cmocka_unit_test(filter_reads_times),
        cmocka_unit_test(filter_leaves_the_hopeless_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
