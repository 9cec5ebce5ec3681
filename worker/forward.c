/* The producer of one worker, for retry topics and the dead letter queue. Loop thread: delivery reports run
 * inside our polls. Owns the producer, and the lists of jobs on their way, to be sent again, and handed over.
 */
#include "worker/forward.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/heap.h"
#include "common/kafka.h"
#include "common/log.h"
#include "worker/assignment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD_BACKOFF_BASE (100 * CLOCK_MS)
#define FORWARD_BACKOFF_MAX (10 * CLOCK_S)

struct forward {
    rd_kafka_t *producer;
    rd_kafka_queue_t *queue;
    const struct tiers *tiers;
    const char *main_topic, *dlq_topic;
    struct health_part *health;
    struct metrics *metrics;
    struct backoff backoff;
    struct job_list sent;
    struct heap again; /* jobs to send again, by due time; on no list */
    struct job_list done;
};

static const char *forward_topic(const struct forward *forward, const struct job *job)
{
    return job->to_tier == TIER_NONE ? forward->dlq_topic : forward->tiers->list[job->to_tier].topic;
}

/* What the record of a retry topic tells of its earlier hops is carried on. Headers of ours on the main topic
 * are nobody's word. */
static void forward_history(const struct job *job, struct letter *letter)
{
    struct letter_history history = {0};
    if (job->partition->tier != TIER_MAIN)
        letter_read(job->headers, &history);
    letter->attempts = history.attempts + job->attempts;
    letter->first_failed_ms = history.first_failed_ms ? history.first_failed_ms : job->first_failed_ms;
    if (history.origin[0])
        memcpy(letter->origin, history.origin, sizeof letter->origin);
    else
        letter_origin(job->partition->topic, job->partition->id, job->offset, letter->origin);
}

static void forward_letter(const struct forward *forward, const struct job *job, struct letter *letter)
{
    *letter = (struct letter){
        .reason = job->verdict.reason,
        .error = job->verdict.error,
        .http_status = job->verdict.http_status,
        .failed_ms = clock_wall_ms(),
        .topic = forward->main_topic,
    };
    if (job->to_tier != TIER_NONE)
        letter->not_before_ms = letter->failed_ms + forward->tiers->list[job->to_tier].delay_ms;
    forward_history(job, letter);
}

static void forward_again(struct forward *forward, struct job *job, const char *reason)
{
    metrics_add(forward->metrics, METRIC_FORWARD_FAILURES, 1);
    health_fail(forward->health, "%s: %s", forward_topic(forward, job), reason);
    job->due_ns = clock_ns() + backoff_delay(&forward->backoff, ++job->deliveries_failed);
    job_move(job, &forward->sent, NULL, JOB_FORWARDING);
    if (!heap_push(&forward->again, job->due_ns, job))
        job_move(
            job, NULL, &forward->sent, JOB_FORWARDING); /* out of memory: held until the process restarts */
}

/* The record as it came, with two exceptions. An event without a valid imp_uid has its origin as the key,
 * since its own key tells nothing. A null value becomes an empty one: on the DLQ a null would say that its
 * key was replayed. */
static rd_kafka_resp_err_t forward_produce(struct forward *forward, struct job *job)
{
    struct letter letter;
    forward_letter(forward, job, &letter);
    rd_kafka_headers_t *headers = letter_headers(&letter, job->headers);
    if (!headers)
        return RD_KAFKA_RESP_ERR__FAIL;
    const char *key = job->imp_uid[0] ? job->imp_uid : letter.origin;
    size_t size;
    const char *value = job_value(job, &size);
    rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = forward_topic(forward, job)},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)(uintptr_t)key, .size = strlen(key)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
            .u.mem = {.ptr = (void *)(uintptr_t)(size ? value : ""), .size = size}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = job},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(forward->producer, record, sizeof record / sizeof record[0]);
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    rd_kafka_headers_destroy(headers);
    return code;
}

static void forward_try(struct forward *forward, struct job *job)
{
    job_move(job, NULL, &forward->sent, JOB_FORWARDING);
    rd_kafka_resp_err_t result = forward_produce(forward, job);
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        forward_again(forward, job, rd_kafka_err2str(result));
}

static void forward_on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    (void)producer;
    struct forward *forward = context;
    struct job *job = message->_private;
    if (message->err) {
        forward_again(forward, job, rd_kafka_err2str(message->err));
        return;
    }
    health_ok(forward->health);
    metrics_count_reason(forward->metrics, job->to_tier == TIER_NONE ? METRIC_DEAD_LETTERED : METRIC_DEFERRED,
        job->verdict.reason);
    job_move(job, &forward->sent, &forward->done, JOB_FORWARDING);
}

/* The consumer tells of brokers that are away; here only a delivery that fails matters. */
static void forward_on_error(rd_kafka_t *producer, int code, const char *reason, void *context)
{
    (void)producer, (void)code, (void)context;
    log_debug("kafka error", LOG_TEXT("error", reason));
}

static int forward_on_statistics(rd_kafka_t *producer, char *text, size_t size, void *context)
{
    (void)producer;
    struct forward *forward = context;
    struct kafka_statistics statistics;
    if (kafka_statistics_read(&statistics, text, size))
        metrics_set_kafka(forward->metrics, METRICS_PRODUCER, &statistics);
    return 0; /* librdkafka frees text */
}

/* No idempotence: a dead letter written twice is harmless, since the newest of a key counts, and an
 * idempotent producer can fail for good in ways that only a restart mends. */
static const struct kafka_property forward_defaults[] = {
    {"linger.ms", "5"},
    {"partitioner", "murmur2_random"}, /* as impcert-publish and Java clients place keys */
    {"message.timeout.ms", "30000"},
    {"queue.buffering.max.kbytes", "65536"},
    {"message.max.bytes", "1000000000"}, /* the broker's limit decides */
    {NULL, NULL},
};

static const struct kafka_property forward_fixed[] = {
    {"acks", "all"},
    {"enable.idempotence", "false"},
    {"statistics.interval.ms", "5000"},
    {NULL, NULL},
};

void forward_check(const struct settings *settings, struct faults *faults)
{
    kafka_conf_check(settings, forward_defaults, forward_fixed, faults);
}

static bool forward_connect(struct forward *forward, const struct forward_config *config, struct error *error)
{
    rd_kafka_conf_t *conf = kafka_conf_new(config->settings, forward_defaults, forward_fixed, error);
    if (!conf)
        return false;
    rd_kafka_conf_set_opaque(conf, forward);
    rd_kafka_conf_set_dr_msg_cb(conf, forward_on_delivery);
    rd_kafka_conf_set_error_cb(conf, forward_on_error);
    rd_kafka_conf_set_stats_cb(conf, forward_on_statistics);
    forward->producer = kafka_open(RD_KAFKA_PRODUCER, conf, error);
    if (!forward->producer)
        return false;
    forward->queue = rd_kafka_queue_get_main(forward->producer);
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(forward->queue, config->wake_fd, &one, sizeof one);
    return true;
}

struct forward *forward_open(const struct forward_config *config, struct error *error)
{
    struct forward *forward = calloc(1, sizeof *forward);
    if (!forward) {
        error_set(error, "out of memory");
        return NULL;
    }
    forward->tiers = config->tiers;
    forward->main_topic = settings_text(config->settings, SETTING_TOPIC);
    forward->dlq_topic = settings_text(config->settings, SETTING_DLQ_TOPIC);
    forward->health = config->health;
    forward->metrics = config->metrics;
    backoff_init(&forward->backoff, FORWARD_BACKOFF_BASE, FORWARD_BACKOFF_MAX);
    TAILQ_INIT(&forward->sent);
    TAILQ_INIT(&forward->done);
    if (!forward_connect(forward, config, error)) {
        forward_close(forward);
        return NULL;
    }
    health_assume(forward->health);
    return forward;
}

void forward_close(struct forward *forward)
{
    if (!forward)
        return;
    if (forward->queue) {
        rd_kafka_queue_io_event_enable(forward->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(forward->queue);
    }
    if (forward->producer) {
        rd_kafka_purge(forward->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy_flags(forward->producer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    heap_cleanup(&forward->again);
    free(forward);
}

void forward_send(struct forward *forward, struct job *job, int64_t now_ns)
{
    job->due_ns = now_ns;
    forward_try(forward, job);
}

void forward_turn(struct forward *forward, int64_t now_ns)
{
    struct job *job;
    while ((job = heap_pop_due(&forward->again, now_ns)))
        forward_try(forward, job);
    rd_kafka_poll(forward->producer, 0);
}

int64_t forward_due_ns(const struct forward *forward)
{
    return heap_due_ns(&forward->again);
}

bool forward_busy(const struct forward *forward)
{
    return !TAILQ_EMPTY(&forward->sent) || forward->again.count;
}

struct job_list *forward_collect(struct forward *forward)
{
    return &forward->done;
}
