/* The configuration of the producers of events. Any thread. */
#include "producer/producer_conf.h"

#include "common/kafka.h"

static const struct kafka_property producer_defaults[] = {{"compression.codec", "lz4"},
    /* A consumer gets a batch whole: large ones keep its other partitions waiting. */
    {"batch.num.messages", "1000"}, {"linger.ms", "1"}, {"message.timeout.ms", "30000"},
    {"queue.buffering.max.messages", "100000"}, {"queue.buffering.max.kbytes", "65536"},
    {"topic.metadata.propagation.max.ms", "5000"},
    {"reconnect.backoff.max.ms", "1000"}, /* a broker that is back is used at once: callers wait */
    {"partitioner", "murmur2_random"}, /* as Java clients do: one imp_uid, one partition, whoever publishes */
    {NULL, NULL}};

static const struct kafka_property producer_fixed[] = {
    {"enable.idempotence", "true"}, {"acks", "all"}, {"delivery.report.only.error", "false"}, {NULL, NULL}};

rd_kafka_conf_t *producer_conf_new(const struct settings *settings, struct error *error)
{
    return kafka_conf_new(settings, producer_defaults, producer_fixed, error);
}

void producer_conf_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, producer_defaults, producer_fixed, faults);
}

bool producer_conf_topic_missing(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}
