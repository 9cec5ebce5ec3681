/* What is read of librdkafka's statistics, and how several clients' are summed up. */
#include "common/kafka_statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* As version 2.0.2 writes it (STATISTICS.md), with the members that matter. */
static const char sample[] =
    "{\"name\":\"rdkafka#consumer-1\",\"client_id\":\"impcert\",\"type\":\"consumer\",\"tx\":12,\"tx_bytes\":"
    "3456,"
    "\"rx\":11,\"rx_bytes\":98765,\"brokers\":{"
    "\"kafka-1:9092/bootstrap\":{\"name\":\"kafka-1:9092/"
    "bootstrap\",\"nodeid\":-1,\"nodename\":\"kafka-1:9092\","
    "\"source\":\"configured\",\"state\":\"UP\",\"txerrs\":1,\"rxerrs\":2,\"req_timeouts\":3,"
    "\"rtt\":{\"avg\":0}},"
    "\"kafka-1:9092/1\":{\"name\":\"kafka-1:9092/1\",\"nodeid\":1,\"nodename\":\"kafka-1:9092\","
    "\"source\":\"learned\",\"state\":\"UP\",\"txerrs\":0,\"rxerrs\":0,\"req_timeouts\":1,"
    "\"rtt\":{\"min\":100,\"avg\":1500,\"p99\":9000}},"
    "\"kafka-2:9092/2\":{\"name\":\"kafka-2:9092/2\",\"nodeid\":2,\"nodename\":\"kafka-2:9092\","
    "\"source\":\"learned\",\"state\":\"CONNECT\",\"txerrs\":4,\"rxerrs\":0,\"req_timeouts\":0,"
    "\"rtt\":{\"avg\":0}},"
    "\"kafka-3:9092/3\":{\"name\":\"kafka-3:9092/3\",\"nodeid\":3,\"nodename\":\"kafka-3:9092\","
    "\"source\":\"learned\",\"state\":\"INIT\",\"rtt\":{\"avg\":0}},"
    "\":0/internal\":{\"name\":\":0/internal\",\"nodeid\":-1,\"nodename\":\":0\",\"source\":\"internal\","
    "\"state\":\"UP\",\"rtt\":{\"avg\":0}}},"
    "\"topics\":{\"certifications\":{\"topic\":\"certifications\",\"partitions\":{"
    "\"0\":{\"partition\":0,\"fetchq_cnt\":7,\"fetchq_size\":700},"
    "\"-1\":{\"partition\":-1,\"fetchq_cnt\":0,\"fetchq_size\":0},"
    "\"1\":{\"partition\":1,\"fetchq_cnt\":3,\"fetchq_size\":250}}}},"
    "\"cgrp\":{\"state\":\"up\",\"stateage\":100}}";

static void kafka_statistics_are_read(void **state)
{
    (void)state;
    struct kafka_statistics statistics;
    assert_true(kafka_statistics_read(&statistics, sample, strlen(sample)));
    assert_string_equal(statistics.group_state, "up");
    assert_int_equal(statistics.sent_bytes, 3456);
    assert_int_equal(statistics.received_bytes, 98765);
    assert_int_equal(statistics.request_errors, 7);
    assert_int_equal(statistics.request_timeouts, 4);
    assert_int_equal(statistics.fetched_records, 10);
    assert_int_equal(statistics.fetched_bytes, 950);
}

static void kafka_statistics_have_each_broker_once(void **state)
{
    (void)state;
    struct kafka_statistics statistics;
    assert_true(kafka_statistics_read(&statistics, sample, strlen(sample)));
    assert_int_equal(statistics.broker_count, 2);
    assert_string_equal(statistics.brokers[0].name, "kafka-1:9092");
    assert_true(statistics.brokers[0].up);
    assert_int_equal(statistics.brokers[0].round_trip_us, 1500);
    assert_string_equal(statistics.brokers[1].name, "kafka-2:9092");
    assert_false(statistics.brokers[1].up);
}

static void kafka_statistics_of_other_shapes_are_refused_or_empty(void **state)
{
    (void)state;
    static const char *const refused[] = {"", "[]", "{", "\"x\"", "null"};
    static const char *const empty[] = {"{}", "{\"brokers\":[],\"topics\":7,\"cgrp\":null,\"tx_bytes\":-1}",
        "{\"brokers\":{\"a\":3,\"b\":{\"state\":7}},\"topics\":{\"t\":{\"partitions\":[1]}}}"};
    struct kafka_statistics statistics;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(kafka_statistics_read(&statistics, refused[i], strlen(refused[i])));
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_true(kafka_statistics_read(&statistics, empty[i], strlen(empty[i])));
        assert_int_equal(statistics.broker_count, 0);
        assert_int_equal(statistics.sent_bytes, 0);
        assert_string_equal(statistics.group_state, "");
    }
}

static void kafka_statistics_of_clients_add_up(void **state)
{
    (void)state;
    struct kafka_statistics sum = {.sent_bytes = 1}, one;
    assert_true(kafka_statistics_read(&one, sample, strlen(sample)));
    kafka_statistics_add(&sum, &one);
    one.brokers[0].up = false;
    one.brokers[1].up = true;
    one.brokers[1].round_trip_us = 77;
    kafka_statistics_add(&sum, &one);
    assert_int_equal(sum.sent_bytes, 1 + 2 * 3456);
    assert_int_equal(sum.fetched_records, 20);
    assert_int_equal(sum.broker_count, 2);
    assert_true(sum.brokers[0].up && sum.brokers[1].up);
    assert_int_equal(sum.brokers[0].round_trip_us, 1500);
    assert_int_equal(sum.brokers[1].round_trip_us, 77);
}

static void kafka_statistics_of_too_many_brokers_are_cut(void **state)
{
    (void)state;
    struct kafka_statistics sum = {.sent_bytes = 0}, one = {.broker_count = 1};
    for (int i = 0; i < 2 * KAFKA_BROKERS_MOST; i++) {
        snprintf(one.brokers[0].name, sizeof one.brokers[0].name, "kafka-%d:9092", i);
        kafka_statistics_add(&sum, &one);
    }
    assert_int_equal(sum.broker_count, KAFKA_BROKERS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_statistics_are_read),
        cmocka_unit_test(kafka_statistics_have_each_broker_once),
        cmocka_unit_test(kafka_statistics_of_other_shapes_are_refused_or_empty),
        cmocka_unit_test(kafka_statistics_of_clients_add_up),
        cmocka_unit_test(kafka_statistics_of_too_many_brokers_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
