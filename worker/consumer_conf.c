/* The configuration of a worker's consumers. */
#include "worker/consumer_conf.h"

#include "common/kafka.h"
#include "worker/prefetch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(value) #value
#define TEXT_OF(macro) TEXT(macro)

#define FETCH_WAIT_MS "10"

static const struct kafka_property consumer_defaults[] = {
    {"auto.offset.reset", "earliest"}, /* without a committed offset no event may be passed over */
    {"session.timeout.ms", "45000"},
    {"heartbeat.interval.ms", "1000"}, /* how soon members notice a rebalance, for which all others wait */
    /* Records fetched ahead cost librdkafka about 500 bytes each, so fewer are than by default. A batch
     * larger than what is fetched of a partition comes alone: behind such batches other partitions' such
     * batches wait, since librdkafka begins with the first partition each time that it has run out. */
    {"queued.min.messages", TEXT_OF(PREFETCH_RECORDS)},
    {"queued.max.messages.kbytes", "2048"},
    {"max.partition.fetch.bytes", "16384"},
    {"fetch.max.bytes", "1000000"},
    /* Fetches cost the broker more than records do: without a backlog, those of ten milliseconds come at
       once. */
    {"fetch.min.bytes", "8192"},
    {"fetch.wait.max.ms", FETCH_WAIT_MS},
    {"topic.metadata.refresh.interval.ms", "10000"},
    {NULL, NULL},
};

/* What the guarantees hang on. */
static const struct kafka_property consumer_fixed[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"isolation.level", "read_committed"}, /* what a replay has not committed is not there */
    {"enable.partition.eof", "true"},      /* says where records end that are none: see intake_pass */
    {"partition.assignment.strategy", "cooperative-sticky"},
    {"statistics.interval.ms", "2000"},
    {"group.id", "from IMPCERT_GROUP"}, /* set by consumer_conf_set_names */
    {NULL, NULL},
};

void consumer_conf_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, consumer_defaults, consumer_fixed, faults);
}

static bool consumer_conf_set_name(rd_kafka_conf_t *conf, const char *property, struct error *error,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static bool consumer_conf_set_name(
    rd_kafka_conf_t *conf, const char *property, struct error *error, const char *format, ...)
{
    char name[512], why[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof name)
        return error_set(error, "%s is too long", property);
    return rd_kafka_conf_set(conf, property, name, why, sizeof why) == RD_KAFKA_CONF_OK ||
           error_set(error, "%s: %s", property, why);
}

/* Members of a group need different names, and each consumer is one. */
static bool consumer_conf_set_names(rd_kafka_conf_t *conf, const struct settings *settings,
    const char *suffix, size_t number, struct error *error)
{
    const char *process = settings_text(settings, SETTING_INSTANCE_ID);
    if (process && !consumer_conf_set_name(conf, "group.instance.id", error, "%s-%zu", process, number))
        return false;
    return consumer_conf_set_name(
        conf, "group.id", error, "%s%s", settings_text(settings, SETTING_GROUP), suffix);
}

/* Only later releases of librdkafka know it; before, fetching is woken (prefetch.h). */
static void consumer_conf_fetch_soon(rd_kafka_conf_t *conf)
{
    char value[32], why[256];
    size_t size = sizeof value;
    if (rd_kafka_conf_get(conf, "fetch.queue.backoff.ms", value, &size) == RD_KAFKA_CONF_OK &&
        strcmp(value, "1000") == 0)
        rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "20", why, sizeof why);
}

/* librdkafka wants a fetch to be no smaller than the largest message, whose size the file may set, as for the
 * producer. */
static void consumer_conf_fetch_enough(rd_kafka_conf_t *conf)
{
    char message[32], fetch[32], why[256];
    size_t message_size = sizeof message, fetch_size = sizeof fetch;
    if (rd_kafka_conf_get(conf, "message.max.bytes", message, &message_size) == RD_KAFKA_CONF_OK &&
        rd_kafka_conf_get(conf, "fetch.max.bytes", fetch, &fetch_size) == RD_KAFKA_CONF_OK &&
        strtoll(message, NULL, 10) > strtoll(fetch, NULL, 10))
        rd_kafka_conf_set(conf, "fetch.max.bytes", message, why, sizeof why);
}

/* Nobody is in a hurry for records of the retry topics, and fetches that find nothing cost something, too. */
static void consumer_conf_fetch_seldom(rd_kafka_conf_t *conf)
{
    char value[32], why[256];
    size_t size = sizeof value;
    if (rd_kafka_conf_get(conf, "fetch.wait.max.ms", value, &size) == RD_KAFKA_CONF_OK &&
        strcmp(value, FETCH_WAIT_MS) == 0)
        rd_kafka_conf_set(conf, "fetch.wait.max.ms", "250", why, sizeof why);
}

rd_kafka_conf_t *consumer_conf_new(
    const struct settings *settings, const char *suffix, size_t number, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(settings, consumer_defaults, consumer_fixed, error);
    if (!conf)
        return NULL;
    consumer_conf_fetch_soon(conf);
    consumer_conf_fetch_enough(conf);
    if (*suffix)
        consumer_conf_fetch_seldom(conf);
    if (consumer_conf_set_names(conf, settings, suffix, number, error))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}
