/* Reads librdkafka's statistics. Pure, any thread. */
#include "common/kafka_statistics.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));
    return number > 0 ? (uint64_t)number : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The entry of that name, made where there is none; NULL where there are too many. */
static struct kafka_broker *broker_of(struct kafka_statistics *statistics, const char *name)
{
    for (size_t i = 0; i < statistics->broker_count; i++)
        if (strcmp(statistics->brokers[i].name, name) == 0)
            return &statistics->brokers[i];
    if (statistics->broker_count == KAFKA_BROKERS_MOST)
        return NULL;
    struct kafka_broker *broker = &statistics->brokers[statistics->broker_count++];
    *broker = (struct kafka_broker){.up = false};
    snprintf(broker->name, sizeof broker->name, "%s", name);
    return broker;
}

static void broker_add(struct kafka_statistics *statistics, const struct kafka_broker *one)
{
    struct kafka_broker *broker = broker_of(statistics, one->name);
    if (!broker)
        return;
    broker->up = broker->up || one->up;
    if (one->round_trip_us > broker->round_trip_us)
        broker->round_trip_us = one->round_trip_us;
}

/* A broker has several entries: the address it was first asked by, itself, and as a group's coordinator.
 * Those that no connection was needed to are in the state INIT. */
static void read_broker(struct kafka_statistics *statistics, const json_t *entry)
{
    statistics->request_errors += number_of(entry, "txerrs") + number_of(entry, "rxerrs");
    statistics->request_timeouts += number_of(entry, "req_timeouts");
    const char *state = text_of(entry, "state"), *address = text_of(entry, "nodename");
    if (strcmp(state, "INIT") == 0 || strcmp(text_of(entry, "source"), "internal") == 0 || !*address)
        return;
    struct kafka_broker broker = {
        .up = strcmp(state, "UP") == 0,
        .round_trip_us = (int64_t)number_of(json_object_get(entry, "rtt"), "avg"),
    };
    snprintf(broker.name, sizeof broker.name, "%s", address);
    broker_add(statistics, &broker);
}

static void read_topic(struct kafka_statistics *statistics, json_t *topic)
{
    const char *id;
    json_t *partition;
    json_object_foreach (json_object_get(topic, "partitions"), id, partition) {
        statistics->fetched_records += number_of(partition, "fetchq_cnt");
        statistics->fetched_bytes += number_of(partition, "fetchq_size");
    }
}

bool kafka_statistics_read(struct kafka_statistics *statistics, const char *text, size_t size)
{
    json_t *all = json_loadb(text, size, 0, NULL);
    if (!json_is_object(all)) {
        json_decref(all);
        return false;
    }
    memset(statistics, 0, sizeof *statistics);
    snprintf(statistics->group_state, sizeof statistics->group_state, "%s",
        text_of(json_object_get(all, "cgrp"), "state"));
    statistics->sent_bytes = number_of(all, "tx_bytes");
    statistics->received_bytes = number_of(all, "rx_bytes");
    const char *name;
    json_t *entry;
    json_object_foreach (json_object_get(all, "brokers"), name, entry)
        read_broker(statistics, entry);
    json_object_foreach (json_object_get(all, "topics"), name, entry)
        read_topic(statistics, entry);
    json_decref(all);
    return true;
}

void kafka_statistics_add(struct kafka_statistics *sum, const struct kafka_statistics *one)
{
    sum->sent_bytes += one->sent_bytes;
    sum->received_bytes += one->received_bytes;
    sum->request_errors += one->request_errors;
    sum->request_timeouts += one->request_timeouts;
    sum->fetched_records += one->fetched_records;
    sum->fetched_bytes += one->fetched_bytes;
    for (size_t i = 0; i < one->broker_count; i++)
        broker_add(sum, &one->brokers[i]);
}
