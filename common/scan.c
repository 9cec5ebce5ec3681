/* Reading a topic. Main thread; librdkafka's simple consumer, which needs no group. */
#include "common/scan.h"

#include "common/clock.h"
#include "common/interrupt.h"
#include "common/kafka.h"
#include "common/kafka_trouble.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000
#define POLL_MS 20
/* A broker that is away for so long while reading is given up. */
#define SILENCE (30 * CLOCK_S)
enum { BATCH = 1000 };

struct scan {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t partitions;
    int64_t length;
    bool *ended;                    /* by partition, of the scan under way */
    char fault[KAFKA_TROUBLE_SIZE]; /* what Kafka last complained of */
};

static const struct kafka_property scan_defaults[] = {
    /* Fast through a long queue, in bounded memory. */
    {"queued.min.messages", "5000"}, {"queued.max.messages.kbytes", "2048"}, /* of each partition */
    {"max.partition.fetch.bytes", "262144"}, {"fetch.wait.max.ms", "50"}, {NULL, NULL}};

static const struct kafka_property scan_fixed[] = {{"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"}, {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"}, {NULL, NULL}};

void scan_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, scan_defaults, scan_fixed, faults);
}

/* What went wrong with a broker is worth more than the sum "1/1 brokers are down" that follows it. */
static void scan_on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
    (void)client;
    struct scan *scan = context;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kafka_trouble(reason, scan->fault, sizeof scan->fault);
}

/* Returns false with the reason, for which it has what the client complained of meanwhile. */
static bool scan_no_answer(struct scan *scan, const char *otherwise, struct error *error)
{
    rd_kafka_poll(scan->client, 0);
    return error_set(error, "no broker answers: %s", scan->fault[0] ? scan->fault : otherwise);
}

static bool scan_find_partitions(
    struct scan *scan, rd_kafka_topic_t *topic, int32_t *partitions, bool *absent, struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    const char *name = rd_kafka_topic_name(topic);
    rd_kafka_resp_err_t code = rd_kafka_metadata(scan->client, 0, topic, &metadata, ANSWER_MS);
    if (code)
        return scan_no_answer(scan, rd_kafka_err2str(code), error);
    if (metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    *partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    *absent = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (*absent)
        return error_set(error, "topic %s does not exist: correct IMPCERT_DLQ_TOPIC or IMPCERT_TOPIC", name);
    if (code || !*partitions)
        return error_set(error, "topic %s: %s", name, code ? rd_kafka_err2str(code) : "it has no partitions");
    return true;
}

bool scan_has_topic(struct scan *scan, const char *name, struct error *error)
{
    int32_t partitions;
    bool absent = false;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(scan->client, name, NULL);
    if (!topic)
        return error_set(error, "topic %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
    bool found = scan_find_partitions(scan, topic, &partitions, &absent, error);
    rd_kafka_topic_destroy(topic);
    return found;
}

/* A partition whose leader is just elected has no answer: then the length is not known, and reading, which
 * librdkafka repeats, goes on without. */
static void scan_measure(struct scan *scan)
{
    for (int32_t i = 0; i < scan->partitions; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(
                scan->client, rd_kafka_topic_name(scan->topic), i, &low, &high, ANSWER_MS)) {
            scan->length = 0;
            return;
        }
        scan->length += high - low;
    }
}

static bool scan_connect(
    struct scan *scan, const struct settings *settings, const char *name, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(settings, scan_defaults, scan_fixed, error);
    if (!conf)
        return false;
    rd_kafka_conf_set_opaque(conf, scan);
    rd_kafka_conf_set_error_cb(conf, scan_on_error);
    scan->client = kafka_open(RD_KAFKA_CONSUMER, conf, error);
    if (!scan->client)
        return false;
    scan->queue = rd_kafka_queue_new(scan->client);
    scan->topic = rd_kafka_topic_new(scan->client, name, NULL);
    return scan->topic || error_set(error, "topic %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
}

struct scan *scan_open(const struct settings *settings, const char *topic, bool *absent, struct error *error)
{
    bool unknown = false;
    absent = absent ? absent : &unknown;
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan) {
        error_set(error, "out of memory");
        return NULL;
    }
    if (scan_connect(scan, settings, topic, error) &&
        scan_find_partitions(scan, scan->topic, &scan->partitions, absent, error)) {
        scan_measure(scan);
        scan->ended = calloc((size_t)scan->partitions, sizeof *scan->ended);
        if (scan->ended)
            return scan;
        error_set(error, "out of memory");
    }
    scan_close(scan);
    return NULL;
}

void scan_close(struct scan *scan)
{
    if (!scan)
        return;
    if (scan->queue)
        rd_kafka_queue_destroy(scan->queue);
    if (scan->topic)
        rd_kafka_topic_destroy(scan->topic);
    if (scan->client)
        rd_kafka_destroy(scan->client);
    free(scan->ended);
    free(scan);
}

int32_t scan_partitions(const struct scan *scan)
{
    return scan->partitions;
}

int64_t scan_length(const struct scan *scan)
{
    return scan->length;
}

/* Returns how many partitions are read; below 0 with the reason. */
static int scan_start(struct scan *scan, const int64_t *from, struct error *error)
{
    int started = 0;
    for (int32_t i = 0; i < scan->partitions; i++) {
        int64_t offset = from ? from[i] : RD_KAFKA_OFFSET_BEGINNING;
        scan->ended[i] = from && from[i] < 0;
        if (scan->ended[i])
            continue;
        if (rd_kafka_consume_start_queue(scan->topic, i, offset, scan->queue)) {
            error_set(error, "reading partition %d of %s: %s", i, rd_kafka_topic_name(scan->topic),
                rd_kafka_err2str(rd_kafka_last_error()));
            return -1;
        }
        started++;
    }
    return started;
}

static void scan_stop(struct scan *scan, const int64_t *from)
{
    for (int32_t i = 0; i < scan->partitions; i++)
        if (!from || from[i] >= 0)
            rd_kafka_consume_stop(scan->topic, i);
    rd_kafka_message_t *rest;
    while ((rest = rd_kafka_consume_queue(scan->queue, 0)))
        rd_kafka_message_destroy(rest);
}

/* A broker's thread of librdkafka that had enough, or nothing to fetch, sleeps for up to a second. Any
 * request wakes it: the ends of the logs are asked for, and with no time to wait the answer goes unheard. */
static void scan_wake(struct scan *scan)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(scan->partitions);
    for (int32_t i = 0; i < scan->partitions; i++)
        if (!scan->ended[i])
            rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(scan->topic), i)->offset =
                RD_KAFKA_OFFSET_END;
    rd_kafka_offsets_for_times(scan->client, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Takes one of what came; false with the reason where the scan can't go on. */
static bool scan_take(struct scan *scan, const rd_kafka_message_t *message, int *left, scan_visit visit,
    void *context, struct error *error)
{
    if (!message->err)
        return scan->ended[message->partition] || visit(context, message, error);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        *left -= scan->ended[message->partition] ? 0 : 1;
        scan->ended[message->partition] = true;
        return true;
    }
    return error_set(
        error, "reading %s: %s", rd_kafka_topic_name(scan->topic), rd_kafka_message_errstr(message));
}

static bool scan_loop(struct scan *scan, int left, scan_visit visit, void *context, struct error *error)
{
    rd_kafka_message_t *messages[BATCH];
    int64_t heard_ns = clock_ns();
    bool ok = true;
    while (ok && left) {
        if (interrupt_requested())
            return false;
        rd_kafka_poll(scan->client, 0);
        ssize_t count = rd_kafka_consume_batch_queue(scan->queue, POLL_MS, messages, BATCH);
        if (count <= 0 && clock_ns() - heard_ns > SILENCE)
            return scan_no_answer(scan, "no word for too long", error);
        for (ssize_t i = 0; i < count; i++) {
            ok = ok && scan_take(scan, messages[i], &left, visit, context, error);
            rd_kafka_message_destroy(messages[i]);
        }
        /* A visit may take its time, which is no silence of the broker's. */
        if (count > 0)
            heard_ns = clock_ns();
        if (count < BATCH && ok && left)
            scan_wake(scan);
    }
    return ok;
}

bool scan_read(struct scan *scan, const int64_t *from, scan_visit visit, void *context, struct error *error)
{
    error->text[0] = '\0';
    int left = scan_start(scan, from, error);
    bool ok = left >= 0 && scan_loop(scan, left, visit, context, error);
    scan_stop(scan, from);
    return ok;
}
