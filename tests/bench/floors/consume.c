/* Records of all partitions, taken in batches and dropped. */
#include "tests/bench/floors/floor.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>

static rd_kafka_t *consume_open(const char *brokers)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "group.id", "impcert-floor", why, sizeof why) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "impcert-floor: %s\n", why);
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!consumer)
        fprintf(stderr, "impcert-floor: %s\n", why);
    return consumer;
}

static bool consume_assign(rd_kafka_t *consumer, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer, topic, NULL);
    rd_kafka_resp_err_t result = rd_kafka_metadata(consumer, 0, handle, &metadata, 10000);
    rd_kafka_topic_destroy(handle);
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "impcert-floor: %s\n", rd_kafka_err2str(result));
        return false;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    result = rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    return result == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool consume_run(rd_kafka_t *consumer, size_t count, size_t at_once)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t **messages = calloc(at_once, sizeof *messages);
    size_t done = 0;
    ssize_t got = 0;
    while (messages && done < count && got >= 0) {
        got = rd_kafka_consume_batch_queue(queue, 10000, messages, at_once);
        for (ssize_t i = 0; i < got; i++) {
            done += messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    free(messages);
    rd_kafka_queue_destroy(queue);
    return done >= count;
}

bool floor_consume(const char *brokers, const char *topic, size_t count, size_t at_once)
{
    rd_kafka_t *consumer = consume_open(brokers);
    if (!consumer)
        return false;
    bool fine = consume_assign(consumer, topic) && consume_run(consumer, count, at_once);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return fine;
}
