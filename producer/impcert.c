/* A handle of the library: its producer, and the thread that hears from it. Callers' threads produce; the
 * handle's thread alone takes delivery reports and calls back. They share the events on their way
 * (impcert_flight.c). */
#include "producer/include/impcert.h"

#include "common/clock.h"
#include "common/kafka.h"
#include "common/kafka_trouble.h"
#include "producer/impcert_flight.h"
#include "producer/impcert_handle.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 100
#define FLUSH_MS 20
/* After a purge librdkafka has all reports ready but for those of requests that its threads are just serving.
 */
#define PURGE_WAIT_MS 10000

struct impcert {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *events; /* delivery reports, errors and log lines */
    pthread_t thread;
    _Atomic bool closing;  /* what is left is given up, nothing more is taken */
    _Atomic bool stopping; /* the thread is to end */
    void (*log)(void *context, int level, const char *text);
    void *log_context;
    struct flight flight;
    pthread_mutex_t fault_lock;
    char fault[KAFKA_TROUBLE_SIZE]; /* of the last connection that failed */
};

/* The record's headers are taken only with the record. Thread: any. */
static rd_kafka_error_t *impcert_produce(
    struct impcert *impcert, const struct impcert_record *record, struct flight_event *event)
{
    /* Not rd_kafka_producev, whose macros are no standard C. */
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = impcert->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)record->imp_uid, strlen(record->imp_uid)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)record->value, record->value_size}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = event},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = record->headers},
    };
    return rd_kafka_produceva(
        impcert->client, parts, sizeof parts / sizeof *parts - (record->headers ? 0 : 1));
}

/* ---- the handle's thread ---- */

static bool impcert_has_failed(struct impcert *impcert)
{
    char text[8];
    return rd_kafka_fatal_error(impcert->client, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* After a fatal error librdkafka itself purges its queue, though nobody closes. */
static enum impcert_status impcert_end_of(struct impcert *impcert, rd_kafka_resp_err_t error)
{
    enum impcert_status status = impcert_status_of(error);
    if (status == IMPCERT_CLOSED && !atomic_load(&impcert->closing))
        return IMPCERT_FAILED;
    if (status == IMPCERT_UNAVAILABLE && impcert_has_failed(impcert))
        return IMPCERT_FAILED;
    return status;
}

static void impcert_call(
    const struct flight_event *event, enum impcert_status status, rd_kafka_resp_err_t error)
{
    bool own_words = status == IMPCERT_OK || status == IMPCERT_CLOSED || status == IMPCERT_FAILED;
    if (event->call)
        event->call(
            event->context, status, own_words ? impcert_status_text(status) : rd_kafka_err2str(error));
}

/* The error that the event comes to its end with; false where it is sent again instead, since it is reported
 * as acknowledged but may not be. Where that fails callers are told the same: it may be on the topic. */
static bool impcert_ends(
    struct impcert *impcert, const rd_kafka_message_t *message, rd_kafka_resp_err_t *error)
{
    *error = message->err;
    if (message->err || kafka_acknowledged(message))
        return true;
    struct impcert_record record = {.value = message->payload, .value_size = message->len};
    memcpy(record.imp_uid, message->key, message->key_len);
    rd_kafka_message_detach_headers((rd_kafka_message_t *)message, &record.headers);
    rd_kafka_error_t *why = impcert_produce(impcert, &record, message->_private);
    if (!why)
        return false;
    if (record.headers)
        rd_kafka_headers_destroy(record.headers);
    rd_kafka_error_destroy(why);
    *error = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;
    return true;
}

static void impcert_reports(struct impcert *impcert, rd_kafka_event_t *reports)
{
    const rd_kafka_message_t *message;
    struct flight_ended ended = STAILQ_HEAD_INITIALIZER(ended);
    uint64_t lost = 0;
    while ((message = rd_kafka_event_message_next(reports))) {
        struct flight_event *event = message->_private;
        rd_kafka_resp_err_t error;
        if (!impcert_ends(impcert, message, &error))
            continue;
        impcert_call(event, impcert_end_of(impcert, error), error);
        STAILQ_INSERT_TAIL(&ended, event, ended);
        lost += error ? 1 : 0;
    }
    flight_end(&impcert->flight, &ended, lost);
}

/* Those whose report did not come even after a purge. */
static void impcert_end_rest(struct impcert *impcert)
{
    struct flight_ended rest;
    const struct flight_event *event;
    uint64_t lost = flight_rest(&impcert->flight, &rest);
    STAILQ_FOREACH (event, &rest, ended)
        impcert_call(event, IMPCERT_CLOSED, RD_KAFKA_RESP_ERR_NO_ERROR);
    flight_end(&impcert->flight, &rest, lost);
}

static void impcert_tell(struct impcert *impcert, int level, const char *text)
{
    if (impcert->log)
        impcert->log(impcert->log_context, level, text);
}

static void impcert_note_fault(struct impcert *impcert, const char *reason)
{
    pthread_mutex_lock(&impcert->fault_lock);
    kafka_trouble(reason, impcert->fault, sizeof impcert->fault);
    pthread_mutex_unlock(&impcert->fault_lock);
}

static void impcert_failure(struct impcert *impcert, rd_kafka_event_t *event)
{
    enum { LEVEL_CRITICAL = 2, LEVEL_ERROR = 3 };
    char text[512];
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            impcert_note_fault(impcert, rd_kafka_event_error_string(event));
        impcert_tell(impcert, LEVEL_ERROR, rd_kafka_event_error_string(event));
        return;
    }
    rd_kafka_fatal_error(impcert->client, text, sizeof text);
    impcert_tell(impcert, LEVEL_CRITICAL, text);
}

static void impcert_serve(struct impcert *impcert, rd_kafka_event_t *event)
{
    const char *facility, *text;
    int level;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        impcert_reports(impcert, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        impcert_failure(impcert, event);
        break;
    case RD_KAFKA_EVENT_LOG:
        if (rd_kafka_event_log(event, &facility, &text, &level) == 0 &&
            !kafka_is_told_elsewhere(facility, text))
            impcert_tell(impcert, level, text);
        break;
    default:
        break;
    }
}

static void *impcert_thread(void *context)
{
    struct impcert *impcert = context;
    while (!atomic_load(&impcert->stopping)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(impcert->events, POLL_MS);
        if (!event)
            continue;
        impcert_serve(impcert, event);
        rd_kafka_event_destroy(event);
    }
    impcert_end_rest(impcert);
    return NULL;
}

/* ---- opening and closing ---- */

/* Signals are the caller's: its own threads get them. */
static bool impcert_thread_start(struct impcert *impcert)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&impcert->thread, NULL, impcert_thread, impcert) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void impcert_destroy(struct impcert *impcert)
{
    if (impcert->events)
        rd_kafka_queue_destroy(impcert->events);
    if (impcert->topic)
        rd_kafka_topic_destroy(impcert->topic);
    if (impcert->client)
        rd_kafka_destroy(impcert->client);
    flight_cleanup(&impcert->flight);
    pthread_mutex_destroy(&impcert->fault_lock);
    free(impcert);
}

static bool impcert_open_producer(
    struct impcert *impcert, rd_kafka_conf_t *conf, const char *topic, struct impcert_error *error)
{
    struct error why;
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set(conf, "log.queue", "true", NULL, 0);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    impcert->flight.bytes_most = impcert_options_bytes(conf);
    impcert->client = kafka_open(RD_KAFKA_PRODUCER, conf, &why);
    if (!impcert->client) {
        bool no_thread = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        impcert_error_set(error, no_thread ? IMPCERT_NO_MEMORY : IMPCERT_INVALID, "%s", why.text);
        return false;
    }
    impcert->events = rd_kafka_queue_get_main(impcert->client);
    rd_kafka_set_log_queue(impcert->client, impcert->events);
    impcert->topic = rd_kafka_topic_new(impcert->client, topic, NULL);
    if (!impcert->topic) {
        impcert_error_set(
            error, IMPCERT_INVALID, "topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
        return false;
    }
    if (impcert_thread_start(impcert))
        return true;
    impcert_error_set(error, IMPCERT_NO_MEMORY, "the producer's thread could not be started");
    return false;
}

struct impcert *impcert_open(const struct impcert_options *given, struct impcert_error *error)
{
    struct impcert_options options;
    char *topic;
    if (!impcert_options_copy(given, &options, error))
        return NULL;
    rd_kafka_conf_t *conf = impcert_options_conf(&options, &topic, error);
    if (!conf)
        return NULL;
    struct impcert *impcert = calloc(1, sizeof *impcert);
    if (!impcert) {
        rd_kafka_conf_destroy(conf);
        free(topic);
        impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
        return NULL;
    }
    flight_init(&impcert->flight);
    pthread_mutex_init(&impcert->fault_lock, NULL);
    impcert->log = options.log;
    impcert->log_context = options.log_context;
    if (!impcert_open_producer(impcert, conf, topic, error)) {
        impcert_destroy(impcert);
        impcert = NULL;
    }
    free(topic);
    return impcert;
}

/* ---- events ---- */

static enum impcert_status impcert_full(struct impcert_error *error)
{
    return impcert_error_set(
        error, IMPCERT_QUEUE_FULL, "the queue is full: events come in faster than the brokers take them");
}

static enum impcert_status impcert_not_taken(rd_kafka_error_t *why, struct impcert_error *error)
{
    enum impcert_status status =
        rd_kafka_error_is_fatal(why) ? IMPCERT_FAILED : impcert_status_of(rd_kafka_error_code(why));
    if (status == IMPCERT_QUEUE_FULL)
        impcert_full(error);
    else
        impcert_error_set(error, status, "%s", rd_kafka_error_string(why));
    rd_kafka_error_destroy(why);
    return status;
}

/* Takes the event, or leaves it to the caller, as the record's headers. */
static enum impcert_status impcert_send(struct impcert *impcert, const struct impcert_record *record,
    struct flight_event *event, struct impcert_error *error)
{
    if (event->bytes > impcert->flight.bytes_most)
        return impcert_error_set(error, IMPCERT_INVALID,
            "the event takes %zu bytes of memory, more than the queue has: %zu", event->bytes,
            impcert->flight.bytes_most);
    /* Before its end can be reported. */
    if (!flight_enter(&impcert->flight, event))
        return impcert_full(error);
    rd_kafka_error_t *why = impcert_produce(impcert, record, event);
    if (!why)
        return IMPCERT_OK;
    flight_leave(&impcert->flight, event);
    return impcert_not_taken(why, error);
}

enum impcert_status impcert_publish(struct impcert *impcert, const struct impcert_event *given,
    impcert_delivery call, void *context, struct impcert_error *error)
{
    struct impcert_record record;
    if (atomic_load_explicit(&impcert->closing, memory_order_relaxed))
        return impcert_error_set(error, IMPCERT_CLOSED, "the handle is being closed");
    enum impcert_status status = impcert_record_make(&record, given, error);
    if (status != IMPCERT_OK)
        return status;
    struct flight_event *event = malloc(sizeof *event);
    if (event) {
        *event = (struct flight_event){.call = call, .context = context, .bytes = record.bytes};
        status = impcert_send(impcert, &record, event, error);
    } else {
        status = impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
    }
    if (status == IMPCERT_OK)
        return status;
    free(event);
    if (record.headers)
        rd_kafka_headers_destroy(record.headers); /* taken only with the record */
    return status;
}

size_t impcert_in_flight(struct impcert *impcert)
{
    return flight_count(&impcert->flight);
}

/* ---- waiting ---- */

static int64_t impcert_deadline_ns(int wait_ms)
{
    return wait_ms < 0 ? CLOCK_NEVER : clock_ns() + wait_ms * CLOCK_MS;
}

/* False where some events with lower numbers than before are left at until_ns. librdkafka sends at once what
 * lingers while it flushes, but waits for events that come later, too, which on a busy handle has no end: so
 * it flushes again and again, and only as long as needed. */
static bool impcert_flush_until(struct impcert *impcert, uint64_t before, int64_t until_ns)
{
    for (;;) {
        int64_t now = clock_ns(), left = until_ns - now;
        int64_t slice = clock_earlier(left > 0 ? left : 0, FLUSH_MS * CLOCK_MS);
        rd_kafka_flush(impcert->client, (int)(slice / CLOCK_MS));
        if (flight_wait(&impcert->flight, before, now + slice))
            return true;
        if (slice == 0)
            return false;
    }
}

enum impcert_status impcert_flush(struct impcert *impcert, int wait_ms, struct impcert_error *error)
{
    int64_t until_ns = impcert_deadline_ns(wait_ms);
    if (impcert_flush_until(impcert, flight_now(&impcert->flight), until_ns))
        return IMPCERT_OK;
    return impcert_error_set(
        error, IMPCERT_TIMEOUT, "%zu events are still on their way", impcert_in_flight(impcert));
}

/* Again and again: what a broker's thread has just in hand may come back to the queue. */
static void impcert_purge(struct impcert *impcert)
{
    const int flags = RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING;
    int64_t until_ns = impcert_deadline_ns(PURGE_WAIT_MS);
    do
        rd_kafka_purge(impcert->client, flags);
    while (!flight_wait(&impcert->flight, FLIGHT_ALL, impcert_deadline_ns(POLL_MS)) && clock_ns() < until_ns);
}

enum impcert_status impcert_close(struct impcert *impcert, int wait_ms)
{
    if (!impcert)
        return IMPCERT_OK;
    bool ended = impcert_flush_until(impcert, FLIGHT_ALL, impcert_deadline_ns(wait_ms));
    atomic_store(&impcert->closing, true);
    if (!ended)
        impcert_purge(impcert);
    atomic_store(&impcert->stopping, true);
    rd_kafka_queue_yield(impcert->events);
    pthread_join(impcert->thread, NULL);
    enum impcert_status status = impcert->flight.lost ? IMPCERT_CLOSED : IMPCERT_OK;
    impcert_destroy(impcert);
    return status;
}

/* ---- readiness ---- */

static rd_kafka_resp_err_t impcert_topic_state(const struct rd_kafka_metadata *metadata)
{
    if (metadata->topic_cnt != 1)
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    if (topic->err)
        return topic->err;
    for (int i = 0; i < topic->partition_cnt; i++)
        if (topic->partitions[i].err && topic->partitions[i].err != RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE)
            return topic->partitions[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What went wrong with a connection says more than that no answer came. */
static enum impcert_status impcert_no_answer(
    struct impcert *impcert, rd_kafka_resp_err_t state, struct impcert_error *error)
{
    pthread_mutex_lock(&impcert->fault_lock);
    impcert_error_set(error, IMPCERT_UNAVAILABLE, "no broker answers: %s",
        impcert->fault[0] ? impcert->fault : rd_kafka_err2str(state));
    pthread_mutex_unlock(&impcert->fault_lock);
    return IMPCERT_UNAVAILABLE;
}

/* A fault of before is none of the next outage's. */
static void impcert_forget_fault(struct impcert *impcert)
{
    pthread_mutex_lock(&impcert->fault_lock);
    impcert->fault[0] = '\0';
    pthread_mutex_unlock(&impcert->fault_lock);
}

enum impcert_status impcert_check(struct impcert *impcert, int wait_ms, struct impcert_error *error)
{
    char text[256];
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_fatal_error(impcert->client, text, sizeof text))
        return impcert_error_set(error, IMPCERT_FAILED, "%s", text);
    rd_kafka_resp_err_t state =
        rd_kafka_metadata(impcert->client, 0, impcert->topic, &metadata, wait_ms < 0 ? 60000 : wait_ms);
    if (state)
        return impcert_no_answer(impcert, state, error);
    impcert_forget_fault(impcert);
    state = impcert_topic_state(metadata);
    rd_kafka_metadata_destroy(metadata);
    if (!state)
        return IMPCERT_OK;
    return impcert_error_set(error, impcert_status_of(state), "topic %s: %s",
        rd_kafka_topic_name(impcert->topic), rd_kafka_err2str(state));
}
