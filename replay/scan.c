/* Reading the dead letter queue. Main thread; librdkafka's simple consumer, which needs no group. */
#include "replay/scan.h"

#include "common/clock.h"
#include "common/kafka.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000
#define POLL_MS 100
/* A broker that is away for so long while reading is given up. */
#define SILENCE (30 * CLOCK_S)
enum { BATCH = 1000 };

struct scan {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t partitions;
    int64_t length;
    bool *ended; /* by partition, of the scan under way */
};

static const struct kafka_property scan_defaults[] = {
    /* Fast through a long queue, in bounded memory. */
    {"queued.min.messages", "20000"}, {"queued.max.messages.kbytes", "8192"},
    {"max.partition.fetch.bytes", "1048576"}, {"fetch.wait.max.ms", "50"}, {NULL, NULL}};

static const struct kafka_property scan_fixed[] = {{"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"}, {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"}, {NULL, NULL}};

void scan_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, scan_defaults, scan_fixed, faults);
}

static bool scan_find_partitions(struct scan *scan, struct error *error)
{
    const struct rd_kafka_metadata *metadata;
    const char *name = rd_kafka_topic_name(scan->topic);
    rd_kafka_resp_err_t code = rd_kafka_metadata(scan->client, 0, scan->topic, &metadata, ANSWER_MS);
    if (code)
        return error_set(error, "no broker answers: %s", rd_kafka_err2str(code));
    if (metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    scan->partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return error_set(error, "topic %s does not exist: correct IMPCERT_DLQ_TOPIC or IMPCERT_TOPIC", name);
    if (code || !scan->partitions)
        return error_set(error, "topic %s: %s", name, code ? rd_kafka_err2str(code) : "it has no partitions");
    return true;
}

static bool scan_measure(struct scan *scan, struct error *error)
{
    for (int32_t i = 0; i < scan->partitions; i++) {
        int64_t low, high;
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
            scan->client, rd_kafka_topic_name(scan->topic), i, &low, &high, ANSWER_MS);
        if (code)
            return error_set(
                error, "the length of partition %d can't be read: %s", i, rd_kafka_err2str(code));
        scan->length += high - low;
    }
    return true;
}

struct scan *scan_open(const struct settings *settings, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(settings, scan_defaults, scan_fixed, error);
    struct scan *scan = conf ? calloc(1, sizeof *scan) : NULL;
    if (!scan) {
        if (conf)
            rd_kafka_conf_destroy(conf);
        return NULL;
    }
    scan->client = kafka_open(RD_KAFKA_CONSUMER, conf, error);
    if (scan->client)
        scan->topic = rd_kafka_topic_new(scan->client, settings_text(settings, SETTING_DLQ_TOPIC), NULL);
    if (scan->topic && scan_find_partitions(scan, error) && scan_measure(scan, error)) {
        scan->queue = rd_kafka_queue_new(scan->client);
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

/* Returns how many partitions are read. */
static int scan_start(struct scan *scan, const int64_t *from)
{
    int started = 0;
    for (int32_t i = 0; i < scan->partitions; i++) {
        int64_t offset = from ? from[i] : RD_KAFKA_OFFSET_BEGINNING;
        scan->ended[i] = from && from[i] < 0;
        if (!scan->ended[i] && rd_kafka_consume_start_queue(scan->topic, i, offset, scan->queue) == 0)
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

static bool scan_loop(struct scan *scan, int left, const volatile int *stop, scan_visit visit, void *context,
    struct error *error)
{
    rd_kafka_message_t *messages[BATCH];
    int64_t heard_ns = clock_ns();
    bool ok = true;
    while (ok && left) {
        if (*stop)
            return false;
        rd_kafka_poll(scan->client, 0);
        ssize_t count = rd_kafka_consume_batch_queue(scan->queue, POLL_MS, messages, BATCH);
        if (count > 0)
            heard_ns = clock_ns();
        else if (clock_ns() - heard_ns > SILENCE)
            return error_set(error, "no broker answers");
        for (ssize_t i = 0; i < count; i++) {
            ok = ok && scan_take(scan, messages[i], &left, visit, context, error);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    return ok;
}

bool scan_read(struct scan *scan, const int64_t *from, const volatile int *stop, scan_visit visit,
    void *context, struct error *error)
{
    error->text[0] = '\0';
    int left = scan_start(scan, from);
    bool ok = scan_loop(scan, left, stop, visit, context, error);
    scan_stop(scan, from);
    return ok;
}
