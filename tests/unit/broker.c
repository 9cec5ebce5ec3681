/* A broker within a test. */
#include "tests/unit/broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void broker_open(struct broker *broker)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    broker->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!broker->host)
        fail_msg("%s", why);
    broker->cluster = rd_kafka_mock_cluster_new(broker->host, 1);
    assert_non_null(broker->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(broker->cluster, "certifications", 4, 1), 0);
}

void broker_close(struct broker *broker)
{
    rd_kafka_mock_cluster_destroy(broker->cluster);
    rd_kafka_destroy(broker->host);
}

unsigned broker_records(const struct broker *broker)
{
    enum { PARTITIONS = 4 };
    char why[256];
    unsigned found = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "reader", NULL, 0);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    rd_kafka_conf_set(conf, "bootstrap.servers", broker_address(broker), why, sizeof why);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!reader)
        fail_msg("%s", why);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(all, "certifications", i)->offset = 0;
    rd_kafka_assign(reader, all);
    for (int ended = 0; ended < PARTITIONS;) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(reader, DEADLINE_MS);
        assert_non_null(record);
        if (record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            ended++;
        else if (!record->err)
            found |= 1U << (((const char *)record->payload)[record->len - 2] - '0');
        rd_kafka_message_destroy(record);
    }
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_consumer_close(reader);
    rd_kafka_destroy(reader);
    return found;
}

const char *broker_address(const struct broker *broker)
{
    return rd_kafka_mock_cluster_bootstraps(broker->cluster);
}
