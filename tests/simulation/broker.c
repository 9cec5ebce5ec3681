/* The cluster: logs, committed offsets, requests on their way. Main thread. Owns the records, the requests
 * and the clients. */
#include "broker.h"

#include "client.h"
#include "common/clock.h"
#include "oracle.h"
#include "process.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMIT_TRIES = 3, PRODUCE_EXPIRES_S = 30 };

static void broker_add_shards(struct broker *broker)
{
    const struct plan *plan = &broker->world->plan;
    broker->shard_count = (size_t)broker->topics * (size_t)plan->partitions;
    broker->consumed_count = broker->shard_count - (size_t)plan->partitions;
    broker->shards = world_alloc(broker->shard_count * sizeof *broker->shards);
    for (size_t i = 0; i < broker->shard_count; i++)
        broker->shards[i] = (struct shard){
            .index = i,
            .topic = (int)i / plan->partitions,
            .id = (int32_t)i % plan->partitions,
            .committed = -1,
        };
}

struct broker *broker_new(struct world *world)
{
    const struct plan *plan = &world->plan;
    struct broker *broker = world_alloc(sizeof *broker);
    broker->world = world;
    broker->topics = 2 + (int)plan->tiers.count;
    snprintf(broker->names[0], TIER_TOPIC_SIZE, "%s", settings_text(plan->settings, SETTING_TOPIC));
    for (size_t i = 0; i < plan->tiers.count; i++)
        memcpy(broker->names[1 + i], plan->tiers.list[i].topic, TIER_TOPIC_SIZE);
    snprintf(broker->names[broker->topics - 1], TIER_TOPIC_SIZE, "%s",
        settings_text(plan->settings, SETTING_DLQ_TOPIC));
    broker_add_shards(broker);
    TAILQ_INIT(&broker->commits);
    TAILQ_INIT(&broker->produces);
    TAILQ_INIT(&broker->clients);
    group_init(broker);
    return broker;
}

static void record_cleanup(struct record *record)
{
    free(record->bytes);
    if (record->headers)
        rd_kafka_headers_destroy(record->headers);
}

static void broker_drop_commit(struct broker *broker, struct commit *commit)
{
    TAILQ_REMOVE(&broker->commits, commit, link);
    rd_kafka_topic_partition_list_destroy(commit->list);
    free(commit);
}

static void broker_drop_produce(struct broker *broker, struct produce *produce)
{
    TAILQ_REMOVE(&broker->produces, produce, link);
    record_cleanup(&produce->record);
    free(produce);
}

static void broker_free_shards(struct broker *broker)
{
    for (size_t i = 0; i < broker->shard_count; i++) {
        struct shard *shard = &broker->shards[i];
        for (size_t r = 0; r < shard->count; r++)
            record_cleanup(&shard->records[r]);
        free(shard->records);
        free(shard->metadata);
    }
    free(broker->shards);
}

void broker_free(struct broker *broker)
{
    while (!TAILQ_EMPTY(&broker->commits))
        broker_drop_commit(broker, TAILQ_FIRST(&broker->commits));
    while (!TAILQ_EMPTY(&broker->produces))
        broker_drop_produce(broker, TAILQ_FIRST(&broker->produces));
    struct rd_kafka_s *client;
    while ((client = TAILQ_FIRST(&broker->clients))) {
        TAILQ_REMOVE(&broker->clients, client, link);
        client_free(client);
    }
    broker_free_shards(broker);
    free(broker);
}

bool broker_away(const struct broker *broker)
{
    return window_holds(&broker->world->plan.kafka_away, broker->world->now_ns);
}

int broker_topic(const struct broker *broker, const char *name)
{
    for (int i = 0; i < broker->topics; i++)
        if (strcmp(broker->names[i], name) == 0)
            return i;
    return -1;
}

struct shard *broker_shard(const struct broker *broker, const char *topic, int32_t id)
{
    int index = broker_topic(broker, topic), partitions = broker->world->plan.partitions;
    if (index < 0 || id < 0 || id >= partitions)
        return NULL;
    return &broker->shards[index * partitions + id];
}

/* ---- records ---- */

/* Any function will do that gives a key one partition of a topic. */
static struct shard *broker_place(const struct broker *broker, int topic, const char *key, size_t size)
{
    uint32_t hash = 2166136261U + (uint32_t)topic;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619U;
    size_t partitions = (size_t)broker->world->plan.partitions;
    return &broker->shards[(size_t)topic * partitions + hash % partitions];
}

static struct record *broker_append(struct broker *broker, struct shard *shard, const struct record *record)
{
    shard->records = world_grow(shard->records, shard->count, &shard->capacity, sizeof *shard->records);
    shard->appended_ns = broker->world->now_ns;
    shard->records[shard->count] = *record;
    world_note(broker->world, "written", shard->topic, shard->id, (int64_t)shard->count);
    return &shard->records[shard->count++];
}

static void broker_publish(struct broker *broker, size_t index)
{
    struct event *event = &broker->world->truth->events[index];
    struct record record = {
        .event = index,
        .key = event->key,
        .key_size = strlen(event->key),
        .value = event->value,
        .value_size = event->value_size == SIZE_MAX ? 0 : event->value_size,
        .has_value = event->value_size != SIZE_MAX,
    };
    if (event->traced) {
        record.headers = rd_kafka_headers_new(1);
        rd_kafka_header_add(record.headers, "traceparent", -1, event->key, -1);
    }
    struct shard *shard = broker_place(broker, 0, record.key, record.key_size);
    event->partition = shard->id;
    event->offset = (int64_t)shard->count;
    broker_append(broker, shard, &record);
}

static void broker_publish_due(struct broker *broker)
{
    struct truth *truth = broker->world->truth;
    while (truth->published < truth->event_count &&
           truth->events[truth->published].at_ns <= broker->world->now_ns)
        broker_publish(broker, truth->published++);
}

/* ---- commits ---- */

static struct commit *broker_last_commit(const struct broker *broker, const struct rd_kafka_s *client)
{
    struct commit *commit, *last = NULL;
    TAILQ_FOREACH (commit, &broker->commits, link) {
        if (commit->client == client && !commit->tries)
            last = commit;
    }
    return last;
}

/* One connection keeps the order, as long as nothing is sent again. The broker answers nothing behind a
 * request to join until that is answered. */
void broker_commit(
    struct broker *broker, struct rd_kafka_s *client, const rd_kafka_topic_partition_list_t *list)
{
    const struct commit *last = broker_last_commit(broker, client);
    struct commit *commit = world_alloc(sizeof *commit);
    commit->client = client;
    commit->list = rd_kafka_topic_partition_list_copy(list);
    commit->generation = client->generation;
    commit->at_ns = world_after_ms(broker->world, 1, 40);
    if (last && last->at_ns > commit->at_ns)
        commit->at_ns = last->at_ns;
    TAILQ_INSERT_TAIL(&broker->commits, commit, link);
    if (broker->world->bug == BUG_COMMIT_OVERTAKES) {
        commit->silent = true;
        client_answer(client, OPERATION_COMMITTED, RD_KAFKA_RESP_ERR_NO_ERROR,
            rd_kafka_topic_partition_list_copy(list), NULL, 0);
    }
}

static void broker_set_committed(
    struct broker *broker, struct shard *shard, const rd_kafka_topic_partition_t *part)
{
    oracle_on_commit(broker->world, shard, part);
    world_note(broker->world, "committed", shard->topic, shard->id, part->offset);
    shard->committed = part->offset;
    free(shard->metadata);
    shard->metadata = NULL;
    if (part->metadata && part->metadata_size)
        shard->metadata = strndup(part->metadata, part->metadata_size);
}

static void broker_apply_commit(struct broker *broker, struct commit *commit, bool partly)
{
    for (int i = 0; i < commit->list->cnt; i++) {
        rd_kafka_topic_partition_t *part = &commit->list->elems[i];
        struct shard *shard = broker_shard(broker, part->topic, part->partition);
        part->err = RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!shard)
            part->err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        else if (part->metadata_size > broker->world->plan.metadata_most)
            part->err = RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE;
        else if (partly && dice_permille(&broker->world->dice, 500))
            part->err = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        else
            broker_set_committed(broker, shard, part);
    }
}

static void broker_answer_commit(struct broker *broker, struct commit *commit, rd_kafka_resp_err_t result)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(commit->list);
    if (!commit->silent)
        client_answer(commit->client, OPERATION_COMMITTED, result, list, NULL, 20);
    else
        rd_kafka_topic_partition_list_destroy(list);
    broker_drop_commit(broker, commit);
}

static rd_kafka_resp_err_t broker_refuses_commit(const struct commit *commit)
{
    if (!commit->client->member)
        return RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    return commit->generation == commit->client->group->generation ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                                   : RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
}

/* librdkafka sends it again a few times; whether it had been done does not show. */
static void broker_repeat_commit(struct broker *broker, struct commit *commit)
{
    if (dice_permille(&broker->world->dice, 300) && !broker_refuses_commit(commit))
        broker_apply_commit(broker, commit, false);
    if (++commit->tries == COMMIT_TRIES)
        broker_answer_commit(broker, commit, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    else
        commit->at_ns = world_after_ms(broker->world, 100, 2500);
}

static void broker_commit_arrives(struct broker *broker, struct commit *commit)
{
    struct world *world = broker->world;
    if (broker_away(broker)) {
        commit->tries = commit->tries ? commit->tries : 1;
        commit->at_ns = world->plan.kafka_away.until_ns + dice_between(&world->dice, 0, CLOCK_S);
        return;
    }
    if (world_fault(world, world->plan.commit_fails)) {
        broker_repeat_commit(broker, commit);
        return;
    }
    rd_kafka_resp_err_t refused = broker_refuses_commit(commit);
    if (refused && !commit->client->dead && commit->client->phase != PHASE_OUT)
        group_tell_lost(broker, commit->client);
    if (!refused)
        broker_apply_commit(broker, commit, world_fault(world, world->plan.commit_partly));
    broker_answer_commit(broker, commit, refused);
}

/* Behind a request to join. */
static bool broker_holds_back(const struct commit *commit)
{
    return commit->client->phase == PHASE_JOINED && commit->client->member && !commit->client->dead;
}

void broker_flush_commits(struct broker *broker, const struct rd_kafka_s *client)
{
    struct commit *commit, *next;
    for (commit = TAILQ_FIRST(&broker->commits); commit; commit = next) {
        next = TAILQ_NEXT(commit, link);
        if (commit->client == client && !commit->tries)
            broker_commit_arrives(broker, commit);
    }
}

static void broker_serve_commits(struct broker *broker)
{
    struct commit *commit, *next;
    for (commit = TAILQ_FIRST(&broker->commits); commit; commit = next) {
        next = TAILQ_NEXT(commit, link);
        if (commit->at_ns <= broker->world->now_ns && !broker_holds_back(commit))
            broker_commit_arrives(broker, commit);
    }
}

/* ---- records from producers ---- */

/* Key and value are copied, being the application's. */
void broker_produce(
    struct broker *broker, struct rd_kafka_s *client, int topic, struct record *record, void *opaque)
{
    struct produce *produce = world_alloc(sizeof *produce);
    produce->client = client;
    produce->topic = topic;
    produce->opaque = opaque;
    produce->record = *record;
    produce->record.bytes = world_alloc(record->key_size + record->value_size + 1);
    memcpy(produce->record.bytes, record->key, record->key_size);
    memcpy(produce->record.bytes + record->key_size, record->value, record->value_size);
    produce->record.key = produce->record.bytes;
    produce->record.value = produce->record.bytes + record->key_size;
    produce->at_ns = world_after_ms(broker->world, 5, 30);
    produce->expires_ns = broker->world->now_ns + PRODUCE_EXPIRES_S * CLOCK_S;
    TAILQ_INSERT_TAIL(&broker->produces, produce, link);
    if (broker->world->bug == BUG_FORWARD_LOST && dice_permille(&broker->world->dice, 100)) {
        client_answer(client, OPERATION_DELIVERED, RD_KAFKA_RESP_ERR_NO_ERROR, NULL, opaque, 1);
        broker_drop_produce(broker, produce);
    }
}

static void broker_write(struct broker *broker, struct produce *produce)
{
    struct record record = produce->record;
    record.bytes = world_alloc(record.key_size + record.value_size + 1);
    memcpy(record.bytes, produce->record.bytes, record.key_size + record.value_size);
    record.key = record.bytes;
    record.value = record.bytes + record.key_size;
    if (record.headers)
        record.headers = rd_kafka_headers_copy(record.headers);
    struct shard *shard = broker_place(broker, produce->topic, record.key, record.key_size);
    produce->written = true;
    oracle_on_forward(broker->world, shard, broker_append(broker, shard, &record));
}

static void broker_answer_produce(struct broker *broker, struct produce *produce, rd_kafka_resp_err_t result)
{
    client_answer(produce->client, OPERATION_DELIVERED, result, NULL, produce->opaque, 20);
    broker_drop_produce(broker, produce);
}

static void broker_produce_arrives(struct broker *broker, struct produce *produce)
{
    struct world *world = broker->world;
    if (world->now_ns >= produce->expires_ns)
        broker_answer_produce(broker, produce, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    else if (broker_away(broker))
        produce->at_ns = world->plan.kafka_away.until_ns + dice_between(&world->dice, 0, CLOCK_S);
    else if (world_fault(world, world->plan.produce_fails))
        broker_answer_produce(broker, produce, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    else if (world_fault(world, world->plan.produce_repeats)) {
        broker_write(broker, produce);
        if (dice_permille(&world->dice, 500))
            produce->at_ns = world_after_ms(world, 100, 1000);
        else
            broker_answer_produce(broker, produce, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT);
    } else {
        broker_write(broker, produce);
        broker_answer_produce(broker, produce, RD_KAFKA_RESP_ERR_NO_ERROR);
    }
}

static void broker_serve_produces(struct broker *broker)
{
    struct produce *produce, *next;
    for (produce = TAILQ_FIRST(&broker->produces); produce; produce = next) {
        next = TAILQ_NEXT(produce, link);
        if (produce->at_ns <= broker->world->now_ns)
            broker_produce_arrives(broker, produce);
    }
}

void broker_cut(struct broker *broker, const struct rd_kafka_s *client)
{
    struct commit *commit, *next_commit;
    for (commit = TAILQ_FIRST(&broker->commits); commit; commit = next_commit) {
        next_commit = TAILQ_NEXT(commit, link);
        if (commit->client != client)
            continue;
        if (!commit->tries && dice_permille(&broker->world->dice, 500) && !broker_refuses_commit(commit))
            broker_apply_commit(broker, commit, false);
        broker_drop_commit(broker, commit);
    }
    struct produce *produce, *next_produce;
    for (produce = TAILQ_FIRST(&broker->produces); produce; produce = next_produce) {
        next_produce = TAILQ_NEXT(produce, link);
        if (produce->client != client)
            continue;
        if (dice_permille(&broker->world->dice, 500))
            broker_write(broker, produce);
        broker_drop_produce(broker, produce);
    }
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t broker_due_ns(const struct broker *broker)
{
    const struct truth *truth = broker->world->truth;
    int64_t due = group_due_ns(broker);
    const struct commit *commit;
    TAILQ_FOREACH (commit, &broker->commits, link) {
        if (!broker_holds_back(commit))
            due = earlier(due, commit->at_ns);
    }
    const struct produce *produce;
    TAILQ_FOREACH (produce, &broker->produces, link)
        due = earlier(due, produce->at_ns);
    return truth->published < truth->event_count ? earlier(due, truth->events[truth->published].at_ns) : due;
}

void broker_turn(struct broker *broker)
{
    broker_publish_due(broker);
    broker_serve_commits(broker);
    broker_serve_produces(broker);
    group_turn(broker);
}

bool broker_settled(const struct broker *broker)
{
    const struct truth *truth = broker->world->truth;
    if (truth->published < truth->event_count || !TAILQ_EMPTY(&broker->commits) ||
        !TAILQ_EMPTY(&broker->produces))
        return false;
    for (size_t i = 0; i < broker->consumed_count; i++)
        if (broker->shards[i].count && broker->shards[i].committed != (int64_t)broker->shards[i].count)
            return false;
    return true;
}

void broker_show(const struct broker *broker)
{
    for (size_t i = 0; i < broker->consumed_count; i++) {
        const struct shard *shard = &broker->shards[i];
        printf("%s/%" PRId32 ": committed %" PRId64 " of %zu", broker->names[shard->topic], shard->id,
            shard->committed, shard->count);
        const struct rd_kafka_s *client;
        TAILQ_FOREACH (client, &broker->clients, link) {
            if (client->toppars && client->toppars[i].assigned)
                printf(", at process %zu %s up to %" PRId64 "%s", process_number(client->process),
                    shard->owner == client ? "its own" : "not its own", client->toppars[i].next,
                    client->toppars[i].paused ? ", paused" : "");
        }
        printf("\n");
    }
}
