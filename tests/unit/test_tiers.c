/* The retry tiers: their topics, and an event's way through them. */
#include "worker/tiers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void tiers_of(const char *delays, struct tiers *tiers)
{
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL};
    int exit_code;
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "127.0.0.1:1", 1);
    setenv("IMPCERT_TOPIC", "events", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://127.0.0.1", 1);
    if (delays)
        setenv("IMPCERT_RETRY_DELAYS", delays, 1);
    struct settings *settings = settings_start(&program, 1, argv, &exit_code);
    assert_non_null(settings);
    tiers_init(tiers, settings);
    settings_free(settings);
}

static void tiers_by_default_are_three(void **state)
{
    (void)state;
    struct tiers tiers;
    tiers_of(NULL, &tiers);
    assert_int_equal(tiers.count, 3);
    assert_string_equal(tiers.list[0].topic, "events.retry.30s");
    assert_int_equal(tiers.list[0].delay_ms, 30000);
    assert_string_equal(tiers.list[1].topic, "events.retry.5m");
    assert_int_equal(tiers.list[1].delay_ms, 300000);
    assert_string_equal(tiers.list[2].topic, "events.retry.1h");
    assert_int_equal(tiers.list[2].delay_ms, 3600000);
}

static void tiers_are_named_as_their_delays_are_written(void **state)
{
    (void)state;
    struct tiers tiers;
    tiers_of("1500ms, 60s ,2h", &tiers);
    assert_int_equal(tiers.count, 3);
    assert_string_equal(tiers.list[0].topic, "events.retry.1500ms");
    assert_string_equal(tiers.list[1].topic, "events.retry.60s");
    assert_string_equal(tiers.list[2].topic, "events.retry.2h");
}

static void tiers_set_to_nothing_are_none(void **state)
{
    (void)state;
    struct tiers tiers;
    tiers_of("", &tiers);
    assert_int_equal(tiers.count, 0);
    assert_int_equal(tiers_next(&tiers, TIER_MAIN), TIER_NONE);
}

static void tiers_lead_from_the_main_topic_to_the_last(void **state)
{
    (void)state;
    struct tiers tiers;
    tiers_of("1s,2s", &tiers);
    assert_int_equal(tiers_next(&tiers, TIER_MAIN), 0);
    assert_int_equal(tiers_next(&tiers, 0), 1);
    assert_int_equal(tiers_next(&tiers, 1), TIER_NONE);
}

static void tiers_are_found_by_their_topics(void **state)
{
    (void)state;
    struct tiers tiers;
    tiers_of("1s,2s", &tiers);
    assert_int_equal(tiers_find(&tiers, "events"), TIER_MAIN);
    assert_int_equal(tiers_find(&tiers, "events.retry.1s"), 0);
    assert_int_equal(tiers_find(&tiers, "events.retry.2s"), 1);
    assert_int_equal(tiers_find(&tiers, "events.retry.2"), TIER_MAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiers_by_default_are_three),
        cmocka_unit_test(tiers_are_named_as_their_delays_are_written),
        cmocka_unit_test(tiers_set_to_nothing_are_none),
        cmocka_unit_test(tiers_lead_from_the_main_topic_to_the_last),
        cmocka_unit_test(tiers_are_found_by_their_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
