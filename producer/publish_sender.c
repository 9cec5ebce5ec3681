/* The producer of impcert-publish. Main thread: librdkafka's delivery reports and errors come in its polls.
 * It owns the client, and counts every event from acceptance to acknowledgement. */
#include "producer/publish_sender.h"

#include "common/interrupt.h"
#include "common/kafka.h"
#include "common/kafka_trouble.h"
#include "producer/producer_conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 100
#define TOLD_MOST 16

struct sender {
    rd_kafka_t *client;                /* owned */
    rd_kafka_topic_t *topic;           /* owned */
    struct report *report;             /* borrowed */
    const char *brokers;               /* borrowed from the settings */
    const rd_kafka_headers_t *headers; /* borrowed, may be NULL */
    struct sender_counts counts;
    bool gave_up;
    bool told_topic_missing;
    bool told_all_down;
    int64_t timeout_ms;       /* of an event, 0: none */
    uint64_t told[TOLD_MOST]; /* hashes of the errors told so far */
    unsigned told_count;
};

/* A record's opaque pointer holds its place: number and, in the lowest bit, the kind. */
static void *pack(struct place place)
{
    return (void *)(uintptr_t)(place.number << 1 | place.operand);
}

static struct place unpack(const void *opaque)
{
    uintptr_t bits = (uintptr_t)opaque;
    return (struct place){.operand = bits & 1, .number = bits >> 1};
}

/* Faults of one record; with any other the next ones would fail too. */
static bool is_of_one_record(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
           error == RD_KAFKA_RESP_ERR__BAD_MSG;
}

static void note_failure(
    struct sender *sender, struct place place, const char *imp_uid, int length, rd_kafka_resp_err_t error)
{
    sender->counts.failed++;
    if (!is_of_one_record(error))
        sender->gave_up = true;
    if (producer_conf_topic_missing(error) && !sender->told_topic_missing) {
        sender->told_topic_missing = true;
        report_message(sender->report, "topic %s does not exist: create it, or correct IMPCERT_TOPIC",
            rd_kafka_topic_name(sender->topic));
    }
    report_at(sender->report, place, "%.*s not acknowledged: %s", length, imp_uid, rd_kafka_err2str(error));
}

static rd_kafka_resp_err_t produce(
    struct sender *sender, struct place place, const struct publish_event *event)
{
    rd_kafka_headers_t *headers = sender->headers ? rd_kafka_headers_copy(sender->headers) : NULL;
    /* Not rd_kafka_producev, whose macros are no standard C. */
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = sender->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)event->imp_uid, event->imp_uid_length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)event->value, event->value_length}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = pack(place)},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t parts = sizeof record / sizeof *record - (headers ? 0 : 1);
    rd_kafka_error_t *error = rd_kafka_produceva(sender->client, record, parts);
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers)
        rd_kafka_headers_destroy(headers); /* taken only with the record */
    return code;
}

/* Sends an event again that is reported as acknowledged but may not be. */
static rd_kafka_resp_err_t produce_again(struct sender *sender, const rd_kafka_message_t *message)
{
    struct publish_event event = {
        .imp_uid_length = message->key_len, .value = message->payload, .value_length = message->len};
    memcpy(event.imp_uid, message->key, message->key_len);
    return produce(sender, unpack(message->_private), &event);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct sender *sender = opaque;
    rd_kafka_resp_err_t error = message->err;
    if (kafka_acknowledged(message))
        sender->counts.acknowledged++;
    else if (error || (error = produce_again(sender, message)))
        note_failure(sender, unpack(message->_private), message->key, (int)message->key_len, error);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(const char *text, size_t length)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    return value;
}

/* Whether an error is new: librdkafka repeats them with each attempt, for each broker. */
static bool is_news(struct sender *sender, const char *text, size_t length)
{
    uint64_t value = hash(text, length);
    for (unsigned i = 0; i < sender->told_count; i++)
        if (sender->told[i] == value)
            return false;
    if (sender->told_count == TOLD_MOST)
        return false;
    sender->told[sender->told_count++] = value;
    return true;
}

static void tell_all_down(struct sender *sender)
{
    if (sender->told_all_down)
        return;
    sender->told_all_down = true;
    if (sender->timeout_ms)
        report_message(sender->report, "no broker of %s can be reached; each event waits up to %.3g s",
            sender->brokers, (double)sender->timeout_ms / 1000);
    else
        report_message(sender->report, "no broker of %s can be reached; waiting", sender->brokers);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct sender *sender = opaque;
    char text[512];
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        tell_all_down(sender);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_fatal_error(client, text, sizeof text);
        report_message(sender->report, "Kafka: %s", text);
        sender->gave_up = true;
        return;
    }
    kafka_trouble(reason, text, sizeof text);
    if (!is_news(sender, text, strlen(text)))
        return;
    report_message(sender->report, "Kafka: %s", text);
}

static int64_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK)
        return 0;
    return strtoll(text, NULL, 10);
}

struct sender *sender_open(const struct settings *settings, const rd_kafka_headers_t *headers,
    struct report *report, struct error *error)
{
    struct sender *sender = calloc(1, sizeof *sender);
    rd_kafka_conf_t *conf = sender ? producer_conf_new(settings, error) : NULL;
    if (!conf) {
        if (!sender)
            error_set(error, "out of memory");
        free(sender);
        return NULL;
    }
    sender->report = report;
    sender->headers = headers;
    sender->brokers = settings_text(settings, SETTING_KAFKA_BROKERS);
    sender->timeout_ms = number_of(conf, "message.timeout.ms");
    rd_kafka_conf_set_opaque(conf, sender);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    sender->client = kafka_open(RD_KAFKA_PRODUCER, conf, error);
    if (!sender->client) {
        free(sender);
        return NULL;
    }
    sender->topic = rd_kafka_topic_new(sender->client, settings_text(settings, SETTING_TOPIC), NULL);
    if (!sender->topic) {
        error_set(error, "topic %s: %s", settings_text(settings, SETTING_TOPIC),
            rd_kafka_err2str(rd_kafka_last_error()));
        sender_close(sender);
        return NULL;
    }
    return sender;
}

void sender_close(struct sender *sender)
{
    if (!sender)
        return;
    if (sender->topic)
        rd_kafka_topic_destroy(sender->topic);
    rd_kafka_destroy(sender->client);
    free(sender);
}

bool sender_send(struct sender *sender, struct place place, const struct publish_event *event)
{
    for (;;) {
        if (sender->gave_up || interrupt_requested())
            return false;
        rd_kafka_resp_err_t error = produce(sender, place, event);
        if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            rd_kafka_poll(sender->client, WAIT_MS);
            continue;
        }
        sender->counts.accepted++;
        if (error)
            note_failure(sender, place, event->imp_uid, (int)event->imp_uid_length, error);
        return true;
    }
}

void sender_poll(struct sender *sender)
{
    rd_kafka_poll(sender->client, 0);
}

bool sender_flush(struct sender *sender)
{
    return rd_kafka_flush(sender->client, WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool sender_gave_up(const struct sender *sender)
{
    return sender->gave_up;
}

struct sender_counts sender_counts(const struct sender *sender)
{
    return sender->counts;
}
