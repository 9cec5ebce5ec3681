/* impcert-latency BROKERS TOPIC MONGODB_URI DATABASE COLLECTION RATE SECONDS
 *
 * Publishes events at a steady rate, by librdkafka's own defaults, watches documents that they become, and
 * prints how long these took from the call that published the event, in milliseconds, as a line of JSON. The
 * first tenth is a warm-up and not counted. */
#include "tests/bench/latency/seen.h"

#include <librdkafka/rdkafka.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define PATIENCE (30 * SECOND)

struct published {
    rd_kafka_t *producer;
    rd_kafka_topic_t *topic;
    int64_t *at; /* by event */
    size_t count;
    double rate;
};

static bool published_open(struct published *published, const char *brokers, const char *topic)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        fprintf(stderr, "impcert-latency: %s\n", why);
        return false;
    }
    published->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    published->topic = rd_kafka_topic_new(published->producer, topic, NULL);
    published->at = calloc(published->count, sizeof *published->at);
    return published->topic && published->at;
}

static bool published_send(struct published *published, size_t event)
{
    char imp_uid[32], value[64];
    int key = snprintf(imp_uid, sizeof imp_uid, "%s%012zu", event % SEEN_EVERY ? "lat_" : SEEN_PREFIX, event);
    int size = snprintf(value, sizeof value, "{\"imp_uid\": \"%s\"}", imp_uid);
    published->at[event] = seen_clock_ns();
    return rd_kafka_produce(published->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, (size_t)size,
               imp_uid, (size_t)key, NULL) == 0;
}

/* Once a millisecond, all that are due. */
static bool published_run(struct published *published)
{
    int64_t begun = seen_clock_ns();
    const struct timespec tick = {.tv_nsec = 1000000};
    for (size_t event = 0; event < published->count;) {
        size_t due = (size_t)((double)(seen_clock_ns() - begun) / 1e9 * published->rate) + 1;
        for (; event < due && event < published->count; event++)
            if (!published_send(published, event))
                return false;
        rd_kafka_poll(published->producer, 0);
        nanosleep(&tick, NULL);
    }
    return rd_kafka_flush(published->producer, 30000) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void published_close(struct published *published)
{
    if (published->topic)
        rd_kafka_topic_destroy(published->topic);
    if (published->producer)
        rd_kafka_destroy(published->producer);
    free(published->at);
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static double ms_at(const int64_t *sorted, size_t count, double share)
{
    return (double)sorted[(size_t)((double)(count - 1) * share)] / 1e6;
}

static bool tell(const struct published *published, const struct seen *seen)
{
    size_t counted = 0;
    int64_t *took = calloc(published->count, sizeof *took);
    if (!took)
        return false;
    for (size_t event = 0; event < published->count; event += SEEN_EVERY)
        if (event >= published->count / 10)
            took[counted++] = seen_at(seen, event) - published->at[event];
    qsort(took, counted, sizeof *took, compare);
    printf(
        "{\"events\": %zu, \"rate\": %.0f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"most\": %.2f}\n",
        counted, published->rate, ms_at(took, counted, 0.5), ms_at(took, counted, 0.99),
        ms_at(took, counted, 0.999), ms_at(took, counted, 1));
    free(took);
    return true;
}

int main(int count, char **arguments)
{
    if (count != 8 || strtod(arguments[6], NULL) <= 0 || strtod(arguments[7], NULL) <= 0) {
        fputs("usage: impcert-latency BROKERS TOPIC MONGODB_URI DATABASE COLLECTION RATE SECONDS\n", stderr);
        return 2;
    }
    struct published published = {.rate = strtod(arguments[6], NULL)};
    published.count = (size_t)(published.rate * strtod(arguments[7], NULL)) + 1;
    mongoc_init();
    struct seen *seen = seen_open(arguments[3], arguments[4], arguments[5], published.count);
    bool fine = seen && published_open(&published, arguments[1], arguments[2]) && published_run(&published);
    fine = fine && seen_wait(seen, PATIENCE) && tell(&published, seen);
    published_close(&published);
    seen_close(seen);
    mongoc_cleanup();
    return fine ? 0 : 1;
}
