/* Transactions (rdkafka.h, "Transactional producer API"). Main thread. */
#include "replay/send.h"

#include "common/clock.h"
#include "common/kafka.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INIT_MS 30000
/* What is left of the transaction's own time, as rdkafka.h recommends. */
#define REST_MS (-1)
#define END_TRIES 3
#define FLUSH_MS 30000
#define POLL_MS 100
#define SETTLE_MS 3000
#define SETTLE_NAP_MS 10
/* Kafka's limit of a transactional id is that of a string; a topic's name has at most 249 characters. */
#define ID_SIZE 300

struct send {
    rd_kafka_t *client;
    const char *topic; /* the main one */
    const char *dlq;
    bool open;     /* a transaction is */
    bool refused;  /* a record of it was, for what it is */
    bool doubtful; /* a record of it is reported as written, but may not be: see kafka_acknowledged */
    struct {
        int64_t *last; /* by partition: the newest record's offset; -1: none */
        int32_t count;
    } written[2]; /* the main topic, the queue */
};

static const struct kafka_property send_defaults[] = {{"compression.codec", "lz4"},
    {"batch.num.messages", "1000"}, {"linger.ms", "5"},
    {"transaction.timeout.ms", "30000"}, /* how long consumers wait for what a killed replay has begun */
    {"message.timeout.ms", "25000"}, {"message.max.bytes", "1000000000"}, /* the broker's limit decides */
    {"partitioner", "murmur2_random"},                                    /* as those do that publish */
    {NULL, NULL}};

static const struct kafka_property send_fixed[] = {{"enable.idempotence", "true"}, {"acks", "all"},
    {"transactional.id", "from IMPCERT_DLQ_TOPIC"}, /* set by send_conf */
    {NULL, NULL}};

void send_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, send_defaults, send_fixed, faults);
}

static rd_kafka_conf_t *send_conf(const struct settings *settings, struct error *error)
{
    char id[ID_SIZE], why[256];
    rd_kafka_conf_t *conf = kafka_conf_new(settings, send_defaults, send_fixed, error);
    if (!conf)
        return NULL;
    snprintf(id, sizeof id, "impcert-replay.%s", settings_text(settings, SETTING_DLQ_TOPIC));
    if (rd_kafka_conf_set(conf, "transactional.id", id, why, sizeof why) == RD_KAFKA_CONF_OK)
        return conf;
    error_set(error, "%s", why);
    rd_kafka_conf_destroy(conf);
    return NULL;
}

/* Without memory nothing is waited for. */
static void send_note(struct send *send, const rd_kafka_message_t *message)
{
    bool dlq = strcmp(rd_kafka_topic_name(message->rkt), send->dlq) == 0;
    int32_t count = send->written[dlq].count;
    if (message->partition >= count) {
        size_t wanted = (size_t)message->partition + 1;
        int64_t *grown = realloc(send->written[dlq].last, wanted * sizeof *grown);
        if (!grown)
            return;
        for (; count <= message->partition; count++)
            grown[count] = -1;
        send->written[dlq].last = grown;
        send->written[dlq].count = count;
    }
    if (message->offset > send->written[dlq].last[message->partition])
        send->written[dlq].last[message->partition] = message->offset;
}

static void send_on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context)
{
    (void)client;
    struct send *send = context;
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (kafka_acknowledged(message))
            send_note(send, message);
        else
            send->doubtful = true;
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
        send->refused = true;
        break;
    default:
        break;
    }
}

/* What went wrong shows in what a call returns; this keeps it from the log. */
static void send_on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
    (void)client, (void)code, (void)context;
    log_debug("kafka error", LOG_TEXT("error", reason));
}

/* False where the broker does not say that it is aborted: it ends it by itself, but here no other can begin.
 */
static bool send_abort(struct send *send)
{
    rd_kafka_error_t *why = NULL;
    bool again = send->open;
    send->open = false;
    for (int tries = 0; again && tries < END_TRIES; tries++) {
        if (why)
            rd_kafka_error_destroy(why);
        why = rd_kafka_abort_transaction(send->client, REST_MS);
        again = why && rd_kafka_error_is_retriable(why);
    }
    if (why)
        rd_kafka_error_destroy(why);
    return !why;
}

static bool send_is_fenced(const struct send *send, rd_kafka_resp_err_t code)
{
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(send->client, NULL, 0);
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           fatal == RD_KAFKA_RESP_ERR__FENCED || fatal == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           fatal == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* What an error of a transaction means; it is destroyed. A transaction that must be aborted is. A record that
 * is not taken by a transaction that has failed meanwhile is answered with the bare __STATE. A producer that
 * was fenced may learn so only when it aborts. */
static enum send_result send_judge(
    struct send *send, rd_kafka_error_t *why, const char *doing, struct error *error)
{
    if (!why)
        return SEND_OK;
    rd_kafka_resp_err_t code = rd_kafka_error_code(why);
    enum send_result result = SEND_FAILED;
    error_set(error, "%s: %s", doing, rd_kafka_error_string(why));
    bool abort = rd_kafka_error_txn_requires_abort(why) || rd_kafka_error_is_retriable(why) ||
                 (code == RD_KAFKA_RESP_ERR__STATE && send->open);
    rd_kafka_error_destroy(why);
    if (abort && send_abort(send))
        result = send->refused ? SEND_REFUSED : SEND_ABORTED;
    if (send_is_fenced(send, code)) {
        error_set(error, "another impcert-replay works on %s now", send->dlq);
        result = SEND_FENCED;
    }
    return result;
}

static enum send_result send_init(struct send *send, struct error *error)
{
    rd_kafka_error_t *why;
    for (int tries = 0; (why = rd_kafka_init_transactions(send->client, INIT_MS)) && tries < 2 &&
                        rd_kafka_error_is_retriable(why);
         tries++)
        rd_kafka_error_destroy(why);
    return send_judge(send, why, "no transaction can be had", error);
}

struct send *send_open(const struct settings *settings, struct error *error)
{
    rd_kafka_conf_t *conf = send_conf(settings, error);
    struct send *send = conf ? calloc(1, sizeof *send) : NULL;
    if (!send) {
        if (conf) {
            rd_kafka_conf_destroy(conf);
            error_set(error, "out of memory");
        }
        return NULL;
    }
    send->topic = settings_text(settings, SETTING_TOPIC);
    send->dlq = settings_text(settings, SETTING_DLQ_TOPIC);
    rd_kafka_conf_set_opaque(conf, send);
    rd_kafka_conf_set_dr_msg_cb(conf, send_on_delivery);
    rd_kafka_conf_set_error_cb(conf, send_on_error);
    send->client = kafka_open(RD_KAFKA_PRODUCER, conf, error);
    if (send->client && send_init(send, error) == SEND_OK)
        return send;
    send_close(send);
    return NULL;
}

void send_close(struct send *send)
{
    if (!send)
        return;
    if (send->client) {
        send_abort(send);
        rd_kafka_destroy(send->client);
    }
    free(send->written[0].last);
    free(send->written[1].last);
    free(send);
}

enum send_result send_begin(struct send *send, struct error *error)
{
    enum send_result result =
        send_judge(send, rd_kafka_begin_transaction(send->client), "beginning a transaction", error);
    send->open = result == SEND_OK;
    send->refused = send->doubtful = false;
    return result;
}

static enum send_result send_produce(struct send *send, const rd_kafka_vu_t *parts, size_t count,
    rd_kafka_headers_t *headers, struct error *error)
{
    rd_kafka_error_t *why;
    while ((why = rd_kafka_produceva(send->client, parts, count)) &&
           rd_kafka_error_code(why) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_error_destroy(why);
        rd_kafka_poll(send->client, POLL_MS);
    }
    rd_kafka_poll(send->client, 0);
    if (why)
        rd_kafka_headers_destroy(headers); /* taken only with the record */
    return send_judge(send, why, "producing", error);
}

enum send_result send_event(struct send *send, const void *key, size_t key_size, const void *value,
    size_t value_size, rd_kafka_headers_t *headers, struct error *error)
{
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = send->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)key, key_size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)value, value_size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    return send_produce(send, parts, sizeof parts / sizeof *parts, headers, error);
}

enum send_result send_mark(struct send *send, int32_t partition, const void *key, size_t key_size,
    rd_kafka_headers_t *headers, struct error *error)
{
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = send->dlq},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)key, key_size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    return send_produce(send, parts, sizeof parts / sizeof *parts, headers, error);
}

/* Hears what became of each record; what has failed shows in the commit. */
static bool send_written(struct send *send)
{
    rd_kafka_flush(send->client, FLUSH_MS);
    return !send->doubtful;
}

/* A commit without an answer may have taken place: it must not be aborted, and only the same call can learn
 * of it. */
enum send_result send_commit(struct send *send, struct error *error)
{
    if (!send_written(send)) {
        error_set(error, "Kafka does not say where a record was written");
        return send_abort(send) ? SEND_ABORTED : SEND_FAILED;
    }
    rd_kafka_error_t *why = rd_kafka_commit_transaction(send->client, REST_MS);
    for (int tries = 1; why && rd_kafka_error_is_retriable(why) && tries < END_TRIES; tries++) {
        rd_kafka_error_destroy(why);
        why = rd_kafka_commit_transaction(send->client, REST_MS);
    }
    bool unknown = why && rd_kafka_error_is_retriable(why);
    if (!why || unknown)
        send->open = false;
    if (!unknown)
        return send_judge(send, why, "committing a transaction", error);
    error_set(error,
        "no broker says whether the last transaction is committed (%s): run again, what is done is marked",
        rd_kafka_error_string(why));
    rd_kafka_error_destroy(why);
    return SEND_FAILED;
}

/* The client asks for the end of what is committed: isolation.level is read_committed unless set. */
static bool send_settled(struct send *send, const char *topic, int32_t partition, int64_t offset)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(send->client, topic, partition, &low, &high, SETTLE_MS);
    return code || high > offset;
}

void send_settle(struct send *send)
{
    const char *const topics[] = {send->topic, send->dlq};
    int64_t until_ns = clock_ns() + SETTLE_MS * CLOCK_MS;
    for (size_t topic = 0; topic < 2; topic++)
        for (int32_t i = 0; i < send->written[topic].count; i++) {
            int64_t last = send->written[topic].last[i];
            while (last >= 0 && clock_ns() < until_ns && !send_settled(send, topics[topic], i, last))
                rd_kafka_poll(send->client, SETTLE_NAP_MS);
        }
}
