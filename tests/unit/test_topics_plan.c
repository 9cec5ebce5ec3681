/* What is missing, how it is to be created, and the commands that do it. */
#include "worker/topics_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAIN "certifications"
#define DLQ "certifications.dlq"
#define RETRY "certifications.retry.30s"
#define COUNT(array) (sizeof array / sizeof array[0])

static const char *const names[] = {RETRY, DLQ};

static struct rd_kafka_metadata_partition main_partitions[] = {
    {.id = 1, .replica_cnt = 2}, {.id = 0, .replica_cnt = 3}, {.id = 2, .replica_cnt = 2}};

static struct rd_kafka_metadata_topic topic(const char *name)
{
    return (struct rd_kafka_metadata_topic){
        .topic = (char *)(uintptr_t)name,
        .partition_cnt = COUNT(main_partitions),
        .partitions = main_partitions,
    };
}

static struct topics_plan plan;
static struct buf text;

static int open_plan(void **state)
{
    (void)state;
    buf_init(&text, 4096);
    return topics_plan_init(&plan, COUNT(names)) ? 0 : -1;
}

static int close_plan(void **state)
{
    (void)state;
    topics_plan_cleanup(&plan);
    buf_cleanup(&text);
    return 0;
}

static bool look(struct rd_kafka_metadata_topic *topics, int count)
{
    struct rd_kafka_metadata metadata = {.topics = topics, .topic_cnt = count};
    return topics_plan_look(&plan, &metadata, MAIN, names, COUNT(names));
}

static bool look_at_main_alone(void)
{
    struct rd_kafka_metadata_topic topics[] = {topic("other"), topic(MAIN)};
    return look(topics, COUNT(topics));
}

static void topics_plan_has_nothing_to_do_when_all_are_there(void **state)
{
    (void)state;
    struct rd_kafka_metadata_topic topics[] = {topic(DLQ), topic(MAIN), topic(RETRY)};
    assert_true(look(topics, COUNT(topics)));
    assert_int_equal(plan.count, 0);
}

static void topics_plan_takes_partitions_and_replicas_from_the_main_topic(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.partitions, 3);
    assert_int_equal(plan.replicas, 3);
    assert_int_equal(plan.message_bytes, 0);
}

static void topics_plan_is_none_without_the_main_topic(void **state)
{
    (void)state;
    struct rd_kafka_metadata_topic topics[] = {topic(DLQ)};
    assert_false(look(topics, COUNT(topics)));
    assert_int_equal(plan.count, 0);
    struct rd_kafka_metadata_topic deleted[] = {topic(MAIN)};
    deleted[0].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    assert_false(look(deleted, COUNT(deleted)));
    struct rd_kafka_metadata_topic empty[] = {topic(MAIN)};
    empty[0].partition_cnt = 0;
    assert_false(look(empty, COUNT(empty)));
}

static void topics_plan_leaves_alone_a_topic_without_a_leader(void **state)
{
    (void)state;
    struct rd_kafka_metadata_topic topics[] = {topic(MAIN), topic(DLQ), topic(RETRY)};
    topics[1].err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    assert_true(look(topics, COUNT(topics)));
    assert_int_equal(plan.count, 0);
}

static void topics_plan_creates_a_name_that_is_given_twice_once(void **state)
{
    (void)state;
    static const char *const twice[] = {DLQ, DLQ};
    struct rd_kafka_metadata_topic topics[] = {topic(MAIN)};
    struct rd_kafka_metadata metadata = {.topics = topics, .topic_cnt = 1};
    assert_true(topics_plan_look(&plan, &metadata, MAIN, twice, COUNT(twice)));
    assert_int_equal(plan.count, 1);
}

static void topics_plan_leaves_room_for_headers_behind_the_largest_event(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    topics_plan_limit(&plan, "1048588");
    assert_int_equal(plan.message_bytes, 1048588 + 65536);
    topics_plan_limit(&plan, "2147483647");
    assert_int_equal(plan.message_bytes, INT32_MAX);
}

static void topics_plan_takes_no_limit_from_what_is_no_number(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    static const char *const bad[] = {"", "x", "-1", "0", "12x"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        topics_plan_limit(&plan, bad[i]);
        assert_int_equal(plan.message_bytes, 0);
    }
}

static void topics_plan_forgets_what_was_created(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    topics_plan_created(&plan, "other");
    assert_int_equal(plan.count, 2);
    topics_plan_created(&plan, RETRY);
    assert_int_equal(plan.count, 1);
    assert_string_equal(plan.missing[0], DLQ);
    topics_plan_created(&plan, DLQ);
    assert_int_equal(plan.count, 0);
}

static void topics_plan_commands_are_ready_for_a_shell(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    topics_plan_limit(&plan, "1000000");
    assert_true(topics_plan_commands(&plan, " k1:9092, k2:9092 ", &text));
    assert_string_equal(text.data,
        "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic " RETRY
        " --partitions 3 --replication-factor 3 --config max.message.bytes=1065536; "
        "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --create --topic " DLQ
        " --partitions 3 --replication-factor 3 --config max.message.bytes=1065536");
}

static void topics_plan_commands_say_nothing_of_an_unknown_limit(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    topics_plan_created(&plan, RETRY);
    assert_true(topics_plan_commands(&plan, "k1:9092", &text));
    assert_string_equal(text.data, "kafka-topics.sh --bootstrap-server k1:9092 --create --topic " DLQ
                                   " --partitions 3 --replication-factor 3");
}

static void topics_plan_names_what_is_missing(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    assert_true(topics_plan_names(&plan, &text));
    assert_string_equal(text.data, RETRY ", " DLQ);
}

static void topics_plan_says_when_a_text_does_not_fit(void **state)
{
    (void)state;
    assert_true(look_at_main_alone());
    text.limit = 60;
    assert_false(topics_plan_commands(&plan, "k1:9092", &text));
    text.limit = 30;
    buf_reset(&text, 0);
    assert_false(topics_plan_names(&plan, &text));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_plan, close_plan)
    const struct CMUnitTest tests[] = {
        TEST(topics_plan_has_nothing_to_do_when_all_are_there),
        TEST(topics_plan_takes_partitions_and_replicas_from_the_main_topic),
        TEST(topics_plan_is_none_without_the_main_topic),
        TEST(topics_plan_leaves_alone_a_topic_without_a_leader),
        TEST(topics_plan_creates_a_name_that_is_given_twice_once),
        TEST(topics_plan_leaves_room_for_headers_behind_the_largest_event),
        TEST(topics_plan_takes_no_limit_from_what_is_no_number),
        TEST(topics_plan_forgets_what_was_created),
        TEST(topics_plan_commands_are_ready_for_a_shell),
        TEST(topics_plan_commands_say_nothing_of_an_unknown_limit),
        TEST(topics_plan_names_what_is_missing),
        TEST(topics_plan_says_when_a_text_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
