/* Transactions (rdkafka.h, "Transactional producer API"). Main thread. */
#include "replay/send.h"

#include "common/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INIT_MS 30000
#define COMMIT_MS 60000
#define COMMIT_TRIES 3
#define ABORT_MS 10000
#define POLL_MS 100
/* Kafka's limit of a transactional id is that of a string; a topic's name has at most 249 characters. */
#define ID_SIZE 300

struct send {
    rd_kafka_t *client;
    const char *topic; /* the main one */
    const char *dlq;
    bool open; /* a transaction is */
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

/* What an error of a transaction means; it is destroyed. */
static enum send_result send_judge(
    struct send *send, rd_kafka_error_t *why, const char *doing, struct error *error)
{
    if (!why)
        return SEND_OK;
    rd_kafka_resp_err_t code = rd_kafka_error_code(why);
    enum send_result result = SEND_FAILED;
    error_set(error, "%s: %s", doing, rd_kafka_error_string(why));
    if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
        code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH ||
        rd_kafka_fatal_error(send->client, NULL, 0) == RD_KAFKA_RESP_ERR__FENCED)
        result = SEND_FENCED;
    else if (rd_kafka_error_txn_requires_abort(why) || rd_kafka_error_is_retriable(why))
        result = SEND_ABORTED;
    rd_kafka_error_destroy(why);
    if (result == SEND_FENCED)
        error_set(error, "another impcert-replay works on %s now", send->dlq);
    if (result == SEND_ABORTED)
        send_abort(send);
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
    struct send *send = calloc(1, sizeof *send);
    rd_kafka_conf_t *conf = send ? send_conf(settings, error) : NULL;
    if (!conf) {
        free(send);
        return NULL;
    }
    send->topic = settings_text(settings, SETTING_TOPIC);
    send->dlq = settings_text(settings, SETTING_DLQ_TOPIC);
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
    free(send);
}

void send_abort(struct send *send)
{
    if (!send->open)
        return;
    send->open = false;
    rd_kafka_error_t *why = rd_kafka_abort_transaction(send->client, ABORT_MS);
    if (why)
        rd_kafka_error_destroy(why);
}

enum send_result send_begin(struct send *send, struct error *error)
{
    enum send_result result =
        send_judge(send, rd_kafka_begin_transaction(send->client), "beginning a transaction", error);
    send->open = result == SEND_OK;
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

/* A commit without an answer may have taken place: it must not be aborted, and only the same call can learn
 * of it. */
enum send_result send_commit(struct send *send, struct error *error)
{
    rd_kafka_error_t *why = rd_kafka_commit_transaction(send->client, COMMIT_MS);
    for (int tries = 1; why && rd_kafka_error_is_retriable(why) && tries < COMMIT_TRIES; tries++) {
        rd_kafka_error_destroy(why);
        why = rd_kafka_commit_transaction(send->client, COMMIT_MS);
    }
    if (!why)
        send->open = false;
    if (!why || !rd_kafka_error_is_retriable(why))
        return send_judge(send, why, "committing a transaction", error);
    error_set(error,
        "no broker says whether the last transaction is committed (%s): run again, what is done is marked",
        rd_kafka_error_string(why));
    rd_kafka_error_destroy(why);
    return SEND_FAILED;
}
