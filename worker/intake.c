/* A consumer of one worker. Loop thread: librdkafka runs its callbacks inside our polls. Owns the consumer
 * and the assignment. */
#include "worker/intake.h"

#include "common/clock.h"
#include "common/kafka.h"
#include "common/kafka_trouble.h"
#include "common/letter.h"
#include "common/log.h"
#include "worker/assignment.h"
#include "worker/consumer_conf.h"
#include "worker/membership.h"
#include "worker/prefetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pausing throws the prefetched records away (librdkafka issue 2703), so a short moment without room is
 * simply waited out. */
#define INTAKE_PAUSE_AFTER (CLOCK_S / 2)
#define INTAKE_COMMIT_EVERY CLOCK_S
/* librdkafka holds all partitions back until a revocation is answered, so it is answered soon. */
#define INTAKE_REVOKE_WITHIN (3 * CLOCK_S)
/* And so much later where a commit has not been answered. */
#define INTAKE_REVOKE_COMMIT CLOCK_S
/* How long an assignment waits for its committed positions, with the loop: they are asked of the coordinator
 * that has just answered. Without them work is only repeated. */
#define INTAKE_RESTORE_WITHIN_MS 3000
/* A record of a retry topic that is due so soon waits among the jobs in flight. Only a longer wait pauses its
 * partition: the next fetch behind a pause can be a second away, as a broker thread of librdkafka without
 * anything to do sleeps for so long. */
#define INTAKE_NEARLY_DUE CLOCK_S

struct intake {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    struct health_part *health;
    struct metrics *metrics;
    struct assignment assignment;
    struct membership membership;
    struct prefetch prefetch;
    const struct tiers *tiers;
    const struct topics *topics;
    enum intake_source source;
    const char *main_topic;
    struct job_pool *jobs;
    size_t capacity; /* jobs in flight at the most, for the share at which a pause ends */

    struct partition *last; /* partition of the record before: most come in runs. Valid within one turn. */
    bool has_more;
    bool full;          /* all partitions are to be paused for want of room, or for good */
    bool pauses_stale;  /* some partition may have to be paused or resumed */
    int64_t release_ns; /* when the first held record is nearly due; CLOCK_NEVER: none is held */
    bool stopped;       /* no more records are taken */
    bool closing;
    int64_t full_since_ns; /* 0: there was room in the last turn */
    int64_t commit_due_ns;
    bool committing; /* a commit was sent and not answered: see intake_commit_due */

    rd_kafka_topic_partition_list_t *revoked; /* owned; to give up once their jobs have ended; NULL: none */
    int64_t revoke_by_ns;

    bool subscribed;
    bool joined;                    /* has had an assignment, even an empty one */
    bool topic_fault;               /* fault is about the topic, and ends with the next assignment */
    char fault[KAFKA_TROUBLE_SIZE]; /* what Kafka last complained of */
    struct error failure;           /* set: can't go on */
};

/* ---- pausing ---- */

/* librdkafka takes a resumed partition that was not paused back to where its assignment began, so each is
 * told only of a change. A pause that crosses the start of fetching makes librdkafka throw the start away as
 * outdated, and nothing ever comes: so none before the first record, which is held where there is no room. A
 * revoked partition has nothing more to give. */
static bool intake_wants_pause(const struct intake *intake, const struct partition *partition)
{
    if (!partition->started)
        return false;
    return intake->full || partition->held || partition->state == PARTITION_REVOKED;
}

static void intake_set_paused(struct intake *intake, rd_kafka_topic_partition_list_t *list, bool pause)
{
    if (pause && list->cnt)
        rd_kafka_pause_partitions(intake->consumer, list);
    else if (list->cnt)
        rd_kafka_resume_partitions(intake->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void intake_sync_pauses(struct intake *intake)
{
    if (!intake->pauses_stale)
        return;
    intake->pauses_stale = false;
    rd_kafka_topic_partition_list_t *lists[] = {
        rd_kafka_topic_partition_list_new(8), rd_kafka_topic_partition_list_new(8)};
    struct partition *partition;
    TAILQ_FOREACH (partition, &intake->assignment.partitions, link) {
        bool pause = intake_wants_pause(intake, partition);
        if (partition->state == PARTITION_GONE || pause == partition->paused)
            continue;
        partition->paused = pause;
        rd_kafka_topic_partition_list_add(lists[pause], partition->topic, partition->id);
    }
    /* Fetching goes on only when librdkafka looks again, so it is woken. */
    intake->prefetch.enough = intake->prefetch.enough || lists[false]->cnt;
    intake_set_paused(intake, lists[true], true);
    intake_set_paused(intake, lists[false], false);
}

static void intake_set_full(struct intake *intake, bool full)
{
    if (full && !intake->full)
        metrics_add(intake->metrics, METRIC_PAUSES, 1);
    intake->full = full;
    intake->pauses_stale = true;
}

/* librdkafka remembers a pause over revocation and assignment: it would come back paused. */
static void intake_resume_before_giving_up(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *paused = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        const struct partition *partition = assignment_find(&intake->assignment, one->topic, one->partition);
        if (partition && partition->paused)
            rd_kafka_topic_partition_list_add(paused, one->topic, one->partition);
    }
    intake_set_paused(intake, paused, false);
}

/* ---- records that are not due, or came without room ---- */

static int64_t intake_release_ns_of(const struct job *job)
{
    return job->due_ns - INTAKE_NEARLY_DUE;
}

static void intake_find_release(struct intake *intake)
{
    const struct partition *partition;
    intake->release_ns = CLOCK_NEVER;
    TAILQ_FOREACH (partition, &intake->assignment.partitions, link) {
        if (partition->held && intake_release_ns_of(partition->held) < intake->release_ns)
            intake->release_ns = intake_release_ns_of(partition->held);
    }
}

/* The records behind it are due later, so its whole partition waits. */
static void intake_hold(struct intake *intake, struct partition *partition, struct job *job)
{
    job->state = JOB_HELD;
    partition->held = job;
    if (intake_release_ns_of(job) < intake->release_ns)
        intake->release_ns = intake_release_ns_of(job);
    intake->pauses_stale = true;
    intake_sync_pauses(intake);
}

static struct job *intake_take_held(struct intake *intake, struct partition *partition)
{
    struct job *job = partition->held;
    partition->held = NULL;
    intake->pauses_stale = true;
    return job;
}

static void intake_arrive(struct intake *intake, struct job *job, struct job_list *arrived)
{
    metrics_add(intake->metrics, METRIC_CONSUMED, 1);
    job_move(job, NULL, arrived, JOB_READY);
}

/* Moves up to room held records that are nearly due to arrived; returns how many. */
static size_t intake_release_held(
    struct intake *intake, size_t room, struct job_list *arrived, int64_t now_ns)
{
    size_t released = 0;
    struct partition *partition;
    if (now_ns < intake->release_ns)
        return 0;
    TAILQ_FOREACH (partition, &intake->assignment.partitions, link) {
        if (released == room)
            break;
        if (!partition->held || intake_release_ns_of(partition->held) > now_ns)
            continue;
        struct job *job = intake_take_held(intake, partition);
        intake_arrive(intake, job, arrived);
        released++;
    }
    intake_find_release(intake);
    return released;
}

/* Held records of these partitions are left to whoever comes next. */
static void intake_drop_held(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition =
            assignment_find(&intake->assignment, list->elems[i].topic, list->elems[i].partition);
        if (!partition || !partition->held)
            continue;
        struct job *job = intake_take_held(intake, partition);
        intake_drop(intake, job);
        job_pool_give(intake->jobs, job);
    }
    intake_find_release(intake);
}

/* ---- the group ---- */

static enum metrics_client intake_client(const struct intake *intake)
{
    return intake->source == INTAKE_MAIN ? METRICS_CONSUMER : METRICS_RETRY;
}

static const char *intake_of(const struct intake *intake)
{
    return intake->source == INTAKE_MAIN ? "the main topic" : "the retry topics";
}

static void intake_unassign(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    intake->last = NULL;
    intake_drop_held(intake, list);
    intake_resume_before_giving_up(intake, list);
    assignment_set(&intake->assignment, list, PARTITION_GONE);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(intake->consumer, list);
    if (error) {
        error_set(&intake->failure, "giving up partitions: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
}

static void intake_set_tiers(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct partition *partition =
            assignment_find(&intake->assignment, list->elems[i].topic, list->elems[i].partition);
        if (partition)
            partition->tier = tiers_find(intake->tiers, partition->topic);
    }
}

/* The partitions to assign, at their committed positions, with what earlier owners have finished beyond them
 * taken up. Where that can't be had librdkafka finds the positions itself. At the end nothing is taken from
 * them, and the coordinator may not answer any more. */
static rd_kafka_topic_partition_list_t *intake_restore(
    struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *committed = rd_kafka_topic_partition_list_copy(list);
    if (intake->stopped || intake->closing)
        return committed;
    rd_kafka_resp_err_t result =
        list->cnt ? rd_kafka_committed(intake->consumer, committed, INTAKE_RESTORE_WITHIN_MS) : 0;
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn("committed positions not read: finished work may be repeated",
            LOG_TEXT("error", rd_kafka_err2str(result)));
    for (int i = 0; i < committed->cnt; i++) {
        rd_kafka_topic_partition_t *one = &committed->elems[i];
        struct partition *partition = assignment_find(&intake->assignment, one->topic, one->partition);
        if (result != RD_KAFKA_RESP_ERR_NO_ERROR || one->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            one->offset = RD_KAFKA_OFFSET_INVALID;
        else if (partition && !assignment_restore(partition, one))
            log_warn("a commit's metadata is of no use: finished work may be repeated",
                LOG_TEXT("topic", one->topic), LOG_NUMBER("partition", one->partition));
    }
    return committed;
}

static void intake_on_assign(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    log_info("partitions assigned", LOG_TEXT("of", intake_of(intake)), LOG_NUMBER("count", list->cnt));
    intake->last = NULL;
    intake->pauses_stale = true;
    if (!assignment_add(&intake->assignment, list))
        error_set(&intake->failure, "out of memory for %d partitions", list->cnt);
    intake_set_tiers(intake, list);
    rd_kafka_topic_partition_list_t *positions = intake_restore(intake, list);
    rd_kafka_error_t *error = rd_kafka_incremental_assign(intake->consumer, positions);
    rd_kafka_topic_partition_list_destroy(positions);
    if (error) {
        error_set(&intake->failure, "taking partitions: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    if (list->cnt)
        intake->topic_fault = false;
    intake->joined = true;
    if (!intake->topic_fault)
        health_ok(intake->health);
}

/* list: what was sent. Single partitions can fail although the request as a whole did not. */
static void intake_commit_answered(
    struct intake *intake, const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t result)
{
    rd_kafka_resp_err_t error = assignment_commit_answered(&intake->assignment, list, result);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    metrics_add(intake->metrics, METRIC_COMMIT_FAILURES, 1);
    log_warn("commit failed", LOG_TEXT("error", rd_kafka_err2str(error)));
}

/* One commit at a time: librdkafka repeats one that failed for the moment, and then it could overtake a newer
 * one, which it would undo. Each is answered in the end, by the broker or by librdkafka. */
static bool intake_may_commit(const struct intake *intake)
{
    return !intake->committing && !membership_joining(&intake->membership);
}

static void intake_send_commit(struct intake *intake, int64_t now_ns)
{
    if (!intake_may_commit(intake))
        return;
    intake->commit_due_ns = now_ns + INTAKE_COMMIT_EVERY;
    rd_kafka_topic_partition_list_t *list = assignment_to_commit(&intake->assignment);
    if (!list)
        return;
    rd_kafka_resp_err_t result = rd_kafka_commit(intake->consumer, list, 1);
    metrics_add(intake->metrics, METRIC_COMMITS, 1);
    intake->committing = result == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!intake->committing)
        intake_commit_answered(intake, list, result);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Commits first: the commit leaves on the coordinator's connection ahead of the request to join again. */
static void intake_give_up(struct intake *intake)
{
    intake_send_commit(intake, clock_ns());
    intake_unassign(intake, intake->revoked);
    rd_kafka_topic_partition_list_destroy(intake->revoked);
    intake->revoked = NULL;
}

static void intake_on_revoke(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    bool lost = rd_kafka_assignment_lost(intake->consumer);
    log_info(lost ? "partitions lost" : "partitions revoked", LOG_TEXT("of", intake_of(intake)),
        LOG_NUMBER("count", list->cnt));
    if (lost || intake->closing) {
        /* What was lost belongs to another member: committing it could undo that member's progress. */
        intake_unassign(intake, list);
        return;
    }
    intake_drop_held(intake, list);
    assignment_set(&intake->assignment, list, PARTITION_REVOKED);
    intake->pauses_stale = true;
    intake->revoked = rd_kafka_topic_partition_list_copy(list);
    intake->revoke_by_ns = clock_ns() + INTAKE_REVOKE_WITHIN;
}

static void intake_on_rebalance(
    rd_kafka_t *consumer, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *list, void *context)
{
    struct intake *intake = context;
    metrics_add(intake->metrics, METRIC_REBALANCES, 1);
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        intake_on_assign(intake, list);
    else if (event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        intake_on_revoke(intake, list);
    else {
        log_warn("rebalance failed", LOG_TEXT("error", rd_kafka_err2str(event)));
        rd_kafka_assign(consumer, NULL);
    }
}

static void intake_on_commit(
    rd_kafka_t *consumer, rd_kafka_resp_err_t result, rd_kafka_topic_partition_list_t *list, void *context)
{
    (void)consumer;
    struct intake *intake = context;
    intake->committing = false;
    intake_commit_answered(intake, list, result);
}

static void intake_on_error(rd_kafka_t *consumer, int code, const char *reason, void *context)
{
    struct intake *intake = context;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char text[256];
        rd_kafka_fatal_error(consumer, text, sizeof text);
        error_set(&intake->failure, "Kafka: %s", text);
        return;
    }
    /* What went wrong with a broker is worth more than the sum "1/1 brokers are down" that follows it. */
    if (!intake->topic_fault && code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kafka_trouble(reason, intake->fault, sizeof intake->fault);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !intake->joined)
        health_fail(intake->health, "%s", intake->fault[0] ? intake->fault : reason);
    else
        log_debug("kafka error", LOG_TEXT("error", reason));
}

/* librdkafka tells of a lost broker, but not of one that is back; its statistics do (STATISTICS.md,
 * cgrp.state). */
static int intake_on_statistics(rd_kafka_t *consumer, char *text, size_t size, void *context)
{
    (void)consumer;
    struct intake *intake = context;
    struct kafka_statistics statistics;
    if (!kafka_statistics_read(&statistics, text, size))
        return 0; /* librdkafka frees text */
    metrics_set_kafka(intake->metrics, intake_client(intake), &statistics);
    const char *state = statistics.group_state;
    if (*state && intake->joined && !intake->topic_fault) {
        if (strcmp(state, "up") == 0)
            health_ok(intake->health);
        else
            health_fail(intake->health, "the group's coordinator is away (%s); %s", state, intake->fault);
    }
    return 0;
}

static void intake_subscribe(struct intake *intake)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new(1 + (int)intake->tiers->count);
    if (intake->source == INTAKE_MAIN)
        rd_kafka_topic_partition_list_add(topics, intake->main_topic, RD_KAFKA_PARTITION_UA);
    for (size_t i = 0; i < intake->tiers->count && intake->source == INTAKE_RETRY; i++)
        rd_kafka_topic_partition_list_add(topics, intake->tiers->list[i].topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t result = rd_kafka_subscribe(intake->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    intake->subscribed = true;
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        error_set(&intake->failure, "subscribing to %s: %s", intake_of(intake), rd_kafka_err2str(result));
}

static bool intake_connect(struct intake *intake, const struct intake_config *config, struct error *error)
{
    rd_kafka_conf_t *conf = consumer_conf_new(
        config->settings, config->source == INTAKE_RETRY ? ".retry" : "", config->number, error);
    if (!conf)
        return false;
    rd_kafka_conf_set_opaque(conf, intake);
    rd_kafka_conf_set_rebalance_cb(conf, intake_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, intake_on_commit);
    rd_kafka_conf_set_error_cb(conf, intake_on_error);
    rd_kafka_conf_set_stats_cb(conf, intake_on_statistics);
    if (!membership_watch(&intake->membership, conf, error)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    intake->consumer = kafka_open(RD_KAFKA_CONSUMER, conf, error);
    if (!intake->consumer)
        return false;
    rd_kafka_poll_set_consumer(intake->consumer);
    intake->queue = rd_kafka_queue_get_consumer(intake->consumer);
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(intake->queue, config->wake_fd, &one, sizeof one);
    return true;
}

struct intake *intake_open(const struct intake_config *config, struct error *error)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (!intake) {
        error_set(error, "out of memory");
        return NULL;
    }
    intake->health = config->health;
    intake->metrics = config->metrics;
    intake->tiers = config->tiers;
    intake->topics = config->topics;
    intake->source = config->source;
    intake->main_topic = settings_text(config->settings, SETTING_TOPIC);
    intake->jobs = config->jobs;
    intake->capacity = (size_t)settings_number(config->settings, SETTING_IN_FLIGHT);
    intake->release_ns = CLOCK_NEVER;
    assignment_init(&intake->assignment);
    if (intake_connect(intake, config, error))
        return intake;
    intake_close(intake);
    return NULL;
}

void intake_close(struct intake *intake)
{
    if (!intake)
        return;
    intake->closing = true;
    if (intake->revoked) {
        intake_unassign(intake, intake->revoked);
        rd_kafka_topic_partition_list_destroy(intake->revoked);
    }
    if (intake->queue) {
        rd_kafka_queue_io_event_enable(intake->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(intake->queue);
    }
    /* Without partitions, closing alone does not leave the group in librdkafka 2.0, and the others wait until
     * the session has ended. */
    if (intake->consumer && !intake->assignment.held)
        rd_kafka_unsubscribe(intake->consumer);
    if (intake->consumer)
        rd_kafka_consumer_close(intake->consumer);
    assignment_cleanup(&intake->assignment);
    if (intake->consumer) {
        /* Ended between joining and its first assignment, librdkafka before 2.3 aborts in rd_kafka_destroy
         * (confluentinc/librdkafka issue 4312): then it is left as it is, with what its threads look at. The
         * process ends anyway. */
        if (!intake->joined)
            return;
        rd_kafka_destroy(intake->consumer);
    }
    free(intake);
}

/* ---- records ---- */

/* Returns whether to poll in this turn. */
static bool intake_may_poll(struct intake *intake, size_t room, int64_t now_ns)
{
    if (room) {
        intake->full_since_ns = 0;
        if (intake->full && room > intake->capacity / 4)
            intake_set_full(intake, false);
        return true;
    }
    if (!intake->full_since_ns)
        intake->full_since_ns = now_ns;
    if (!intake->full && now_ns - intake->full_since_ns >= INTAKE_PAUSE_AFTER)
        intake_set_full(intake, true);
    return intake->full;
}

static void intake_consumer_error(struct intake *intake, const rd_kafka_message_t *message)
{
    const char *text = rd_kafka_message_errstr(message);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__FATAL:
        error_set(&intake->failure, "Kafka: %s", text);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        intake->topic_fault = true;
        snprintf(intake->fault, sizeof intake->fault, "%s", text);
        health_fail(intake->health, "%s", text);
        break;
    default:
        log_warn("consumer error", LOG_TEXT("error", text));
    }
}

static struct partition *intake_partition(struct intake *intake, const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    struct partition *last = intake->last;
    if (!last || last->id != message->partition || strcmp(last->topic, topic) != 0)
        intake->last = assignment_find(&intake->assignment, topic, message->partition);
    return intake->last;
}

/* The log began anew at a lower offset (its topic was made again, or cut off): what was known of it is void.
 */
static struct partition *intake_restart(struct intake *intake, struct partition *partition, int64_t offset)
{
    log_error("the log began anew: going on from its start", LOG_TEXT("topic", partition->topic),
        LOG_NUMBER("partition", partition->id), LOG_NUMBER("offset", offset),
        LOG_NUMBER("expected_offset", partition->offsets.next));
    intake->last = assignment_restart(&intake->assignment, partition);
    return intake->last;
}

/* The record as a job whose offset is begun; NULL where it is finished already, or when out of memory, which
 * is fatal. */
static struct job *intake_begin(
    struct intake *intake, struct partition *partition, rd_kafka_message_t *message)
{
    struct job *job = job_pool_take(intake->jobs);
    enum offsets_begun begun = OFFSETS_NO_MEMORY;
    if (job && job_set_record(job, message))
        begun = offsets_begin(&partition->offsets, message->offset);
    if (begun != OFFSETS_BEGUN) {
        if (begun == OFFSETS_NO_MEMORY)
            error_set(&intake->failure, "out of memory for a record of %zu bytes", message->len);
        if (job)
            job_pool_give(intake->jobs, job);
        return NULL;
    }
    job->partition = partition;
    return job;
}

/* When a record of a retry topic is due. Whatever its header says, it does not wait longer than its tier's
 * delay from now. */
static int64_t intake_due_ns_of(
    const struct intake *intake, const struct partition *partition, const struct job *job, int64_t now_ns)
{
    if (partition->tier == TIER_MAIN)
        return now_ns;
    struct letter_history history;
    letter_read(job->headers, &history);
    int64_t wait_ms = history.not_before_ms - clock_wall_ms(),
            most_ms = intake->tiers->list[partition->tier].delay_ms;
    if (wait_ms <= 0)
        return now_ns;
    return now_ns + (wait_ms < most_ms ? wait_ms : most_ms) * CLOCK_MS;
}

/* From its first record on, a partition may be paused. */
static void intake_note_start(struct intake *intake, struct partition *partition)
{
    if (partition->started)
        return;
    partition->started = true;
    intake->pauses_stale = true;
}

/* A record outside the assignment comes to its new owner. */
static void intake_take(
    struct intake *intake, rd_kafka_message_t *message, struct job_list *arrived, int64_t now_ns)
{
    struct partition *partition = intake_partition(intake, message);
    if (!partition || partition->state != PARTITION_ASSIGNED || intake->stopped)
        return;
    intake_note_start(intake, partition);
    if (message->offset < partition->offsets.base)
        partition = intake_restart(intake, partition, message->offset);
    else if (message->offset < partition->offsets.next)
        return; /* it is in flight, or done */
    struct job *job = partition ? intake_begin(intake, partition, message) : NULL;
    if (!job)
        return;
    job->due_ns = intake_due_ns_of(intake, partition, job, now_ns);
    job->begun_ns = job->due_ns;
    if (intake->full || intake_release_ns_of(job) > now_ns)
        intake_hold(intake, partition, job);
    else
        intake_arrive(intake, job, arrived);
}

/* The end of a partition was reached. The marks of transactions (impcert-replay's) take offsets and never
 * come: were they not passed, the group would lag behind them for ever, on a topic where all is done. And a
 * partition without a record gets its first commit by it: scalers take one that has none for unread from its
 * first offset, or for no lag at all (kedacore/keda issues 2033, 4552). After a failure, a record before it
 * may not have been begun, and is none of them. */
static void intake_pass(struct intake *intake, const rd_kafka_message_t *message)
{
    struct partition *partition = intake_partition(intake, message);
    if (partition && partition->state == PARTITION_ASSIGNED && !intake->stopped && !intake->failure.text[0])
        offsets_pass(&partition->offsets, message->offset);
}

/* What was finished is committed with the last commit, once the one before it is answered. */
static bool intake_revocation_served(const struct intake *intake, int64_t now_ns)
{
    if (intake->committing)
        return now_ns >= intake->revoke_by_ns + INTAKE_REVOKE_COMMIT;
    return now_ns >= intake->revoke_by_ns || !assignment_revoked_busy(&intake->assignment);
}

static void intake_serve_revocation(struct intake *intake, int64_t now_ns)
{
    if (intake->revoked && intake_revocation_served(intake, now_ns))
        intake_give_up(intake);
}

static size_t intake_poll(struct intake *intake, size_t room, struct job_list *arrived, int64_t now_ns)
{
    size_t polled = 0;
    intake->has_more = true;
    do {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(intake->consumer, 0);
        if (!message) {
            intake->has_more = false;
            break;
        }
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            intake_pass(intake, message);
        else if (message->err)
            intake_consumer_error(intake, message);
        else
            intake_take(intake, message, arrived, now_ns);
        rd_kafka_message_destroy(message);
    } while (++polled < room);
    return polled;
}

static void intake_keep_fetching(struct intake *intake, size_t polled)
{
    if (!prefetch_low(&intake->prefetch, rd_kafka_queue_length(intake->queue), polled))
        return;
    rd_kafka_topic_partition_list_t *list = assignment_list(&intake->assignment);
    if (!list)
        return;
    prefetch_wake(intake->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

size_t intake_turn(struct intake *intake, size_t room, struct job_list *arrived, int64_t now_ns)
{
    intake->last = NULL;
    intake->has_more = true;
    if (!intake->subscribed && !intake->stopped && (!intake->topics || topics_checked(intake->topics)))
        intake_subscribe(intake);
    bool poll = intake_may_poll(intake, room, now_ns);
    intake_sync_pauses(intake);
    size_t taken = room ? intake_release_held(intake, room, arrived, now_ns) : 0;
    size_t polled = 0;
    if (poll && (!room || taken < room))
        polled = intake_poll(intake, room - taken, arrived, now_ns);
    intake_keep_fetching(intake, polled);
    intake_serve_revocation(intake, now_ns);
    if (now_ns >= intake->commit_due_ns)
        intake_send_commit(intake, now_ns);
    return taken + polled;
}

size_t intake_partitions(const struct intake *intake)
{
    return intake->assignment.held;
}

/* What the broker last said that the partition has, and what of it is finished. Where nothing was begun and
 * no position is known, all of it is to come. */
static int64_t intake_lag(const struct intake *intake, const struct partition *partition)
{
    int64_t low = 0, high = 0;
    if (rd_kafka_get_watermark_offsets(intake->consumer, partition->topic, partition->id, &low, &high) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return 0;
    int64_t position = partition->offsets.base >= 0 ? partition->offsets.base : low;
    return high > position ? high - position : 0;
}

/* The name that outlives the partition. */
static const char *intake_topic(const struct intake *intake, const struct partition *partition)
{
    return partition->tier == TIER_MAIN ? intake->main_topic : intake->tiers->list[partition->tier].topic;
}

void intake_report(struct intake *intake)
{
    struct metrics_partition *list = calloc(intake->assignment.held + 1, sizeof *list);
    size_t count = 0;
    struct partition *partition;
    TAILQ_FOREACH (partition, &intake->assignment.partitions, link) {
        if (!list || partition->state == PARTITION_GONE)
            continue;
        list[count++] = (struct metrics_partition){
            .topic = intake_topic(intake, partition),
            .id = partition->id,
            .lag = intake_lag(intake, partition),
            .oldest_ns = partition->oldest_ns,
        };
        partition->oldest_ns = CLOCK_NEVER;
    }
    metrics_set_partitions(intake->metrics, intake_client(intake), list, count);
    free(list);
}

void intake_stop(struct intake *intake)
{
    rd_kafka_topic_partition_list_t *list = assignment_list(&intake->assignment);
    if (list) {
        intake_drop_held(intake, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    intake->stopped = true;
    intake_set_full(intake, true);
    intake_sync_pauses(intake);
}

int64_t intake_due_ns(const struct intake *intake)
{
    return intake->release_ns;
}

bool intake_has_more(const struct intake *intake)
{
    return intake->has_more;
}

void intake_done(struct intake *intake, struct job *job)
{
    assignment_end(&intake->assignment, job->partition, job->offset, true);
}

void intake_drop(struct intake *intake, struct job *job)
{
    assignment_end(&intake->assignment, job->partition, job->offset, false);
}

void intake_commit(struct intake *intake)
{
    intake->commit_due_ns = 0;
}

bool intake_committed(const struct intake *intake)
{
    return !intake->committing && !assignment_has_moved(&intake->assignment);
}

bool intake_failed(const struct intake *intake, struct error *error)
{
    if (!intake->failure.text[0])
        return false;
    *error = intake->failure;
    return true;
}
