/* A handle of the library: its producer, and the thread that hears from it. Callers' threads produce; the
 * handle's thread alone takes delivery reports and calls back. They share the count of open events, under the
 * mutex. */
#include "producer/include/impcert.h"

#include "common/clock.h"
#include "common/kafka.h"
#include "producer/impcert_handle.h"
#include "producer/producer_conf.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 100
/* After a purge librdkafka has all reports ready but for those of requests that its threads are just serving.
 */
#define PURGE_WAIT_MS 10000

struct impcert {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *events; /* delivery reports, errors and log lines */
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic bool failed; /* for good: a fatal error of the producer */
    void (*log)(void *context, int level, const char *text);
    void *log_context;

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an event came to its end */
    size_t open;            /* events taken whose end is still open */
    uint64_t lost;          /* events that came to another end than IMPCERT_OK */
};

/* An event on its way: the record's opaque pointer. */
struct delivery {
    impcert_delivery call;
    void *context;
};

const char *impcert_version(void)
{
    return IMPCERT_VERSION;
}

const char *impcert_status_text(enum impcert_status status)
{
    static const char *const texts[] = {"ok", "invalid argument", "queue full",
        "no broker acknowledged in time", "refused by the broker", "still on its way", "closed",
        "the producer can't go on", "out of memory"};
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "unknown status";
}

enum impcert_status impcert_error_set(
    struct impcert_error *error, enum impcert_status status, const char *format, ...)
{
    if (!error)
        return status;
    error->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- the handle's thread ---- */

static enum impcert_status impcert_status_of(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return IMPCERT_OK;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        return IMPCERT_CLOSED;
    case RD_KAFKA_RESP_ERR__FATAL:
        return IMPCERT_FAILED;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return IMPCERT_QUEUE_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return IMPCERT_REFUSED;
    default:
        return producer_conf_topic_missing(error) ? IMPCERT_REFUSED : IMPCERT_UNAVAILABLE;
    }
}

static void impcert_deliver(const rd_kafka_message_t *message)
{
    struct delivery *delivery = message->_private;
    if (delivery->call)
        delivery->call(delivery->context, impcert_status_of(message->err),
            message->err ? rd_kafka_err2str(message->err) : "acknowledged");
    free(delivery);
}

static void impcert_reports(struct impcert *impcert, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    size_t ended = 0, lost = 0;
    while ((message = rd_kafka_event_message_next(event))) {
        ended++;
        lost += message->err ? 1 : 0;
        impcert_deliver(message);
    }
    pthread_mutex_lock(&impcert->mutex);
    impcert->open -= ended;
    impcert->lost += lost;
    pthread_cond_broadcast(&impcert->changed);
    pthread_mutex_unlock(&impcert->mutex);
}

static void impcert_tell(struct impcert *impcert, int level, const char *text)
{
    if (impcert->log)
        impcert->log(impcert->log_context, level, text);
}

static void impcert_failure(struct impcert *impcert, rd_kafka_event_t *event)
{
    enum { LEVEL_CRITICAL = 2, LEVEL_ERROR = 3 };
    char text[512];
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__FATAL) {
        impcert_tell(impcert, LEVEL_ERROR, rd_kafka_event_error_string(event));
        return;
    }
    rd_kafka_fatal_error(impcert->client, text, sizeof text);
    atomic_store(&impcert->failed, true);
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
        if (rd_kafka_event_log(event, &facility, &text, &level) == 0)
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
    pthread_cond_destroy(&impcert->changed);
    pthread_mutex_destroy(&impcert->mutex);
    free(impcert);
}

static bool impcert_open_producer(
    struct impcert *impcert, rd_kafka_conf_t *conf, const char *topic, struct impcert_error *error)
{
    struct error why;
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set(conf, "log.queue", "true", NULL, 0);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    impcert->client = kafka_open(RD_KAFKA_PRODUCER, conf, &why);
    if (!impcert->client) {
        impcert_error_set(error, IMPCERT_INVALID, "%s", why.text);
        return false;
    }
    impcert->events = rd_kafka_queue_get_main(impcert->client);
    rd_kafka_set_log_queue(impcert->client, impcert->events);
    impcert->topic = rd_kafka_topic_new(impcert->client, topic, NULL);
    if (impcert->topic && impcert_thread_start(impcert))
        return true;
    impcert_error_set(error, IMPCERT_NO_MEMORY, "the producer's thread could not be started");
    return false;
}

static struct impcert *impcert_new(const struct impcert_options *options)
{
    struct impcert *impcert = calloc(1, sizeof *impcert);
    if (!impcert)
        return NULL;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&impcert->mutex, NULL);
    pthread_cond_init(&impcert->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (options &&
        options->size >= offsetof(struct impcert_options, log_context) + sizeof options->log_context) {
        impcert->log = options->log;
        impcert->log_context = options->log_context;
    }
    return impcert;
}

struct impcert *impcert_open(const struct impcert_options *options, struct impcert_error *error)
{
    char *topic;
    rd_kafka_conf_t *conf = impcert_options_conf(options, &topic, error);
    if (!conf)
        return NULL;
    struct impcert *impcert = impcert_new(options);
    if (!impcert) {
        rd_kafka_conf_destroy(conf);
        free(topic);
        impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (!impcert_open_producer(impcert, conf, topic, error)) {
        impcert_destroy(impcert);
        impcert = NULL;
    }
    free(topic);
    return impcert;
}

/* ---- events ---- */

static enum impcert_status impcert_not_taken(rd_kafka_error_t *why, struct impcert_error *error)
{
    enum impcert_status status = impcert_status_of(rd_kafka_error_code(why));
    if (status == IMPCERT_QUEUE_FULL)
        impcert_error_set(
            error, status, "the queue is full: events come in faster than the brokers take them");
    else
        impcert_error_set(error, status, "%s", rd_kafka_error_string(why));
    rd_kafka_error_destroy(why);
    return status;
}

static void impcert_count(struct impcert *impcert, bool taken)
{
    pthread_mutex_lock(&impcert->mutex);
    impcert->open += taken ? 1 : (size_t)-1;
    pthread_cond_broadcast(&impcert->changed);
    pthread_mutex_unlock(&impcert->mutex);
}

static rd_kafka_error_t *impcert_produce(
    struct impcert *impcert, const struct impcert_record *record, struct delivery *delivery)
{
    /* Not rd_kafka_producev, whose macros are no standard C. */
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = impcert->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)record->imp_uid, strlen(record->imp_uid)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)record->value, record->value_size}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = delivery},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = record->headers},
    };
    return rd_kafka_produceva(
        impcert->client, parts, sizeof parts / sizeof *parts - (record->headers ? 0 : 1));
}

enum impcert_status impcert_publish(struct impcert *impcert, const struct impcert_event *event,
    impcert_delivery call, void *context, struct impcert_error *error)
{
    struct impcert_record record;
    if (atomic_load_explicit(&impcert->failed, memory_order_relaxed))
        return impcert_error_set(
            error, IMPCERT_FAILED, "the producer has failed: close the handle and open another");
    enum impcert_status status = impcert_record_make(&record, event, error);
    if (status != IMPCERT_OK)
        return status;
    struct delivery *delivery = malloc(sizeof *delivery);
    if (!delivery) {
        if (record.headers)
            rd_kafka_headers_destroy(record.headers);
        return impcert_error_set(error, IMPCERT_NO_MEMORY, "out of memory");
    }
    *delivery = (struct delivery){.call = call, .context = context};
    impcert_count(impcert, true); /* before its end can be reported */
    rd_kafka_error_t *why = impcert_produce(impcert, &record, delivery);
    if (!why)
        return IMPCERT_OK;
    impcert_count(impcert, false);
    free(delivery);
    if (record.headers)
        rd_kafka_headers_destroy(record.headers); /* taken only with the record */
    return impcert_not_taken(why, error);
}

size_t impcert_in_flight(struct impcert *impcert)
{
    pthread_mutex_lock(&impcert->mutex);
    size_t open = impcert->open;
    pthread_mutex_unlock(&impcert->mutex);
    return open;
}

/* ---- waiting ---- */

static int64_t impcert_deadline_ns(int wait_ms)
{
    return wait_ms < 0 ? CLOCK_NEVER : clock_ns() + wait_ms * CLOCK_MS;
}

/* False at the deadline, with events still open. */
static bool impcert_wait_ended(struct impcert *impcert, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / CLOCK_S, .tv_nsec = until_ns % CLOCK_S};
    int result = 0;
    pthread_mutex_lock(&impcert->mutex);
    while (impcert->open && result != ETIMEDOUT)
        result = until_ns == CLOCK_NEVER ? pthread_cond_wait(&impcert->changed, &impcert->mutex)
                                         : pthread_cond_timedwait(&impcert->changed, &impcert->mutex, &until);
    bool ended = !impcert->open;
    pthread_mutex_unlock(&impcert->mutex);
    return ended;
}

enum impcert_status impcert_flush(struct impcert *impcert, int wait_ms, struct impcert_error *error)
{
    int64_t until_ns = impcert_deadline_ns(wait_ms);
    rd_kafka_flush(impcert->client, wait_ms); /* sends at once what lingers */
    if (impcert_wait_ended(impcert, until_ns))
        return IMPCERT_OK;
    return impcert_error_set(
        error, IMPCERT_TIMEOUT, "%zu events are still on their way", impcert_in_flight(impcert));
}

enum impcert_status impcert_close(struct impcert *impcert, int wait_ms)
{
    if (!impcert)
        return IMPCERT_OK;
    if (impcert_flush(impcert, wait_ms, NULL) != IMPCERT_OK) {
        rd_kafka_purge(impcert->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        impcert_wait_ended(impcert, impcert_deadline_ns(PURGE_WAIT_MS));
    }
    atomic_store(&impcert->stopping, true);
    rd_kafka_queue_yield(impcert->events);
    pthread_join(impcert->thread, NULL);
    enum impcert_status status = impcert->lost || impcert->open ? IMPCERT_CLOSED : IMPCERT_OK;
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

enum impcert_status impcert_check(struct impcert *impcert, int wait_ms, struct impcert_error *error)
{
    char text[256];
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_fatal_error(impcert->client, text, sizeof text))
        return impcert_error_set(error, IMPCERT_FAILED, "%s", text);
    rd_kafka_resp_err_t state =
        rd_kafka_metadata(impcert->client, 0, impcert->topic, &metadata, wait_ms < 0 ? 60000 : wait_ms);
    if (state)
        return impcert_error_set(
            error, IMPCERT_UNAVAILABLE, "no broker answers: %s", rd_kafka_err2str(state));
    state = impcert_topic_state(metadata);
    rd_kafka_metadata_destroy(metadata);
    if (!state)
        return IMPCERT_OK;
    return impcert_error_set(error, impcert_status_of(state), "topic %s: %s",
        rd_kafka_topic_name(impcert->topic), rd_kafka_err2str(state));
}
