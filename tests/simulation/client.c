/* Stands in for librdkafka: its functions that need a cluster, for clients of the simulated one. Those that
 * need none (lists, headers, texts) stay the library's. Main thread. Owns the clients and what waits for
 * their application. */
#include "client.h"

#include "broker.h"
#include "common/clock.h"
#include "oracle.h"
#include "process.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rd_kafka_topic_s {
    char name[TIER_TOPIC_SIZE];
};

/* What a queue is, is its client. */
struct rd_kafka_queue_s {
    char unused;
};

struct delivered {
    rd_kafka_message_t message; /* first: what the application has */
    rd_kafka_headers_t *headers;
    struct rd_kafka_topic_s topic;
};

/* ---- for those who answer ---- */

void client_answer(struct rd_kafka_s *client, enum operation_kind kind, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque, int64_t within_ms)
{
    struct operation *operation = world_alloc(sizeof *operation);
    *operation = (struct operation){
        .kind = kind,
        .at_ns = world_after_ms(client->world, 0, within_ms),
        .err = err,
        .list = list,
        .opaque = opaque,
    };
    if (operation->at_ns < client->operation_ns)
        operation->at_ns = client->operation_ns;
    client->operation_ns = operation->at_ns;
    TAILQ_INSERT_TAIL(&client->operations, operation, link);
}

void client_sent(struct rd_kafka_s *client, int api)
{
    if (client->on_request && !client->destroyed)
        client->on_request(client, -1, "", 0, (int16_t)api, 0, 0, 0, client->interceptor_context);
}

void client_received(struct rd_kafka_s *client, int api, rd_kafka_resp_err_t result)
{
    if (client->on_response && !client->destroyed)
        client->on_response(client, -1, "", 0, (int16_t)api, 0, 0, 0, 0, result, client->interceptor_context);
}

rd_kafka_topic_partition_list_t *client_assignment(const struct rd_kafka_s *client)
{
    const struct broker *broker = client->broker;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < broker->consumed_count; i++)
        if (client->toppars[i].assigned)
            rd_kafka_topic_partition_list_add(
                list, broker->names[broker->shards[i].topic], broker->shards[i].id);
    return list;
}

static int64_t client_shard_wakes_ns(const struct rd_kafka_s *client, size_t index, int64_t since_ns)
{
    const struct toppar *toppar = &client->toppars[index];
    const struct shard *shard = &client->broker->shards[index];
    if (!toppar->assigned || toppar->paused || (toppar->resolved && toppar->next >= (int64_t)shard->count))
        return CLOCK_NEVER;
    if (toppar->ready_ns > since_ns)
        return toppar->ready_ns;
    return shard->appended_ns > since_ns ? shard->appended_ns : CLOCK_NEVER;
}

int64_t client_wakes_ns(const struct rd_kafka_s *client, int64_t since_ns)
{
    int64_t wakes = CLOCK_NEVER;
    const struct operation *operation;
    TAILQ_FOREACH (operation, &client->operations, link) {
        if (operation->at_ns > since_ns) {
            wakes = operation->at_ns;
            break;
        }
    }
    for (size_t i = 0; client->toppars && i < client->broker->consumed_count; i++) {
        int64_t own = client_shard_wakes_ns(client, i, since_ns);
        if (own < wakes)
            wakes = own;
    }
    return wakes;
}

static void client_drop(struct rd_kafka_s *client, struct operation *operation)
{
    TAILQ_REMOVE(&client->operations, operation, link);
    if (operation->list)
        rd_kafka_topic_partition_list_destroy(operation->list);
    free(operation);
}

/* A consumer that was closed while it joined is not destroyed by intake_close, and what its callbacks are
 * given is left with it. */
void client_free(struct rd_kafka_s *client)
{
    while (!TAILQ_EMPTY(&client->operations))
        client_drop(client, TAILQ_FIRST(&client->operations));
    if (client->to_add)
        rd_kafka_topic_partition_list_destroy(client->to_add);
    if (!client->destroyed)
        free(client->conf.opaque);
    free(client->toppars);
    free(client);
}

/* ---- configurations ---- */

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
    return world_alloc(sizeof(rd_kafka_conf_t));
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
    free(conf);
}

rd_kafka_conf_res_t rd_kafka_conf_get(
    const rd_kafka_conf_t *conf, const char *name, char *value, size_t *size)
{
    (void)conf, (void)name, (void)value, (void)size;
    return RD_KAFKA_CONF_UNKNOWN;
}

rd_kafka_conf_res_t rd_kafka_conf_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, char *errstr, size_t errstr_size)
{
    (void)errstr, (void)errstr_size;
    if (strcmp(name, "group.id") == 0)
        snprintf(conf->group, sizeof conf->group, "%s", value);
    if (strcmp(name, "group.instance.id") == 0)
        snprintf(conf->instance, sizeof conf->instance, "%s", value);
    return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque)
{
    conf->opaque = opaque;
}

void rd_kafka_conf_set_log_cb(
    rd_kafka_conf_t *conf, void (*log_cb)(const rd_kafka_t *, int, const char *, const char *))
{
    (void)conf, (void)log_cb;
}

void rd_kafka_conf_set_rebalance_cb(rd_kafka_conf_t *conf,
    void (*rebalance_cb)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *))
{
    conf->rebalance = rebalance_cb;
}

void rd_kafka_conf_set_offset_commit_cb(rd_kafka_conf_t *conf,
    void (*offset_commit_cb)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *))
{
    conf->commit = offset_commit_cb;
}

void rd_kafka_conf_set_error_cb(
    rd_kafka_conf_t *conf, void (*error_cb)(rd_kafka_t *, int, const char *, void *))
{
    conf->error = error_cb;
}

void rd_kafka_conf_set_stats_cb(rd_kafka_conf_t *conf, int (*stats_cb)(rd_kafka_t *, char *, size_t, void *))
{
    (void)conf, (void)stats_cb;
}

void rd_kafka_conf_set_dr_msg_cb(
    rd_kafka_conf_t *conf, void (*dr_msg_cb)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
    conf->delivery = dr_msg_cb;
}

rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_new(
    rd_kafka_conf_t *conf, const char *name, rd_kafka_interceptor_f_on_new_t *on_new, void *context)
{
    (void)name;
    conf->on_new = on_new;
    conf->on_new_context = context;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_interceptor_add_on_request_sent(
    rd_kafka_t *client, const char *name, rd_kafka_interceptor_f_on_request_sent_t *on_request, void *context)
{
    (void)name;
    client->on_request = on_request;
    client->interceptor_context = context;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_interceptor_add_on_response_received(rd_kafka_t *client, const char *name,
    rd_kafka_interceptor_f_on_response_received_t *on_response, void *context)
{
    (void)name;
    client->on_response = on_response;
    client->interceptor_context = context;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- clients ---- */

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
    (void)errstr, (void)errstr_size;
    struct world *world = world_current();
    struct rd_kafka_s *client = world_alloc(sizeof *client);
    client->conf = *conf;
    client->type = type;
    client->world = world;
    client->broker = world->broker;
    client->process = world->running;
    client->generation = -1;
    TAILQ_INIT(&client->operations);
    if (type == RD_KAFKA_CONSUMER)
        client->toppars = world_alloc(client->broker->consumed_count * sizeof *client->toppars);
    TAILQ_INSERT_TAIL(&client->broker->clients, client, link);
    process_set_client(client->process, client);
    if (conf->on_new)
        conf->on_new(client, conf, conf->on_new_context, errstr, errstr_size);
    free(conf);
    return client;
}

/* The broker keeps its idea of it. */
void rd_kafka_destroy(rd_kafka_t *client)
{
    client->destroyed = true;
    while (!TAILQ_EMPTY(&client->operations))
        client_drop(client, TAILQ_FIRST(&client->operations));
    broker_cut(client->broker, client);
}

void rd_kafka_destroy_flags(rd_kafka_t *client, int flags)
{
    (void)flags;
    rd_kafka_destroy(client);
}

const char *rd_kafka_name(const rd_kafka_t *client)
{
    return client->type == RD_KAFKA_CONSUMER ? "consumer" : "producer";
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *client, char *errstr, size_t errstr_size)
{
    (void)client;
    snprintf(errstr, errstr_size, "none");
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *client)
{
    (void)client;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *client)
{
    (void)client;
    return world_alloc(sizeof(struct rd_kafka_queue_s));
}

rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *client)
{
    (void)client;
    return world_alloc(sizeof(struct rd_kafka_queue_s));
}

/* Fetching goes by itself here. */
size_t rd_kafka_queue_length(rd_kafka_queue_t *queue)
{
    (void)queue;
    return 0;
}

/* Nor does it have to be woken. */
rd_kafka_resp_err_t rd_kafka_offsets_for_times(
    rd_kafka_t *client, rd_kafka_topic_partition_list_t *offsets, int timeout_ms)
{
    (void)client, (void)offsets, (void)timeout_ms;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
    free(queue);
}

/* Each process is woken by what comes for its clients in any case. */
void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd, const void *payload, size_t size)
{
    (void)queue, (void)fd, (void)payload, (void)size;
}

static void client_serve(struct rd_kafka_s *client, struct operation *operation)
{
    TAILQ_REMOVE(&client->operations, operation, link);
    if (operation->kind == OPERATION_REBALANCE)
        client->conf.rebalance(client, operation->err, operation->list, client->conf.opaque);
    else if (operation->kind == OPERATION_COMMITTED)
        client->conf.commit(client, operation->err, operation->list, client->conf.opaque);
    else {
        const rd_kafka_message_t message = {.err = operation->err, ._private = operation->opaque};
        client->conf.delivery(client, &message, client->conf.opaque);
    }
    if (operation->list)
        rd_kafka_topic_partition_list_destroy(operation->list);
    free(operation);
}

static int client_serve_due(struct rd_kafka_s *client)
{
    int served = 0;
    struct operation *operation;
    while ((operation = TAILQ_FIRST(&client->operations)) && operation->at_ns <= client->world->now_ns) {
        client_serve(client, operation);
        served++;
    }
    return served;
}

int rd_kafka_poll(rd_kafka_t *client, int timeout_ms)
{
    (void)timeout_ms;
    return client_serve_due(client);
}

/* ---- the consumer's records ---- */

static bool client_fetches(const struct rd_kafka_s *client, size_t index)
{
    const struct toppar *toppar = &client->toppars[index];
    return toppar->assigned && !toppar->paused && !toppar->lost && toppar->ready_ns <= client->world->now_ns;
}

static bool client_has_record(struct rd_kafka_s *client, size_t index)
{
    struct toppar *toppar = &client->toppars[index];
    const struct shard *shard = &client->broker->shards[index];
    if (!client_fetches(client, index))
        return false;
    if (!toppar->resolved) {
        toppar->resolved = true;
        if (toppar->start < 0)
            toppar->start = shard->committed < 0 ? 0 : shard->committed;
        toppar->next = toppar->start;
    }
    return toppar->next < (int64_t)shard->count;
}

/* Records come in runs of one partition. */
static bool client_choose(struct rd_kafka_s *client)
{
    size_t count = client->broker->consumed_count;
    if (client->run && client_has_record(client, client->shard)) {
        client->run--;
        return true;
    }
    size_t first = client->shard + 1;
    for (size_t i = 0; i < count; i++) {
        client->shard = (first + i) % count;
        if (client_has_record(client, client->shard)) {
            client->run = dice_below(&client->world->dice, 20);
            return true;
        }
    }
    return false;
}

static rd_kafka_message_t *client_deliver(struct rd_kafka_s *client)
{
    struct toppar *toppar = &client->toppars[client->shard];
    const struct shard *shard = &client->broker->shards[client->shard];
    int64_t offset = toppar->next++;
    struct record *record = &shard->records[offset];
    struct delivered *delivered = world_alloc(sizeof *delivered);
    memcpy(delivered->topic.name, client->broker->names[shard->topic], TIER_TOPIC_SIZE);
    delivered->message = (rd_kafka_message_t){
        .rkt = &delivered->topic,
        .partition = shard->id,
        .offset = offset,
        .key = (void *)(uintptr_t)record->key,
        .key_len = record->key_size,
        .payload = record->has_value ? (void *)(uintptr_t)record->value : NULL,
        .len = record->value_size,
    };
    if (record->headers)
        delivered->headers = rd_kafka_headers_copy(record->headers);
    if (toppar->first < 0)
        toppar->first = offset;
    client->world->delivered++;
    world_note(client->world, "delivered", shard->topic, shard->id, offset);
    return &delivered->message;
}

/* Tells of the end of a partition that is read to its end, once for each end. */
static rd_kafka_message_t *client_deliver_end(struct rd_kafka_s *client)
{
    for (size_t i = 0; i < client->broker->consumed_count; i++) {
        struct toppar *toppar = &client->toppars[i];
        const struct shard *shard = &client->broker->shards[i];
        if (client_has_record(client, i) || !client_fetches(client, i) || toppar->ended == toppar->next + 1)
            continue;
        toppar->ended = toppar->next + 1;
        struct delivered *delivered = world_alloc(sizeof *delivered);
        memcpy(delivered->topic.name, client->broker->names[shard->topic], TIER_TOPIC_SIZE);
        delivered->message = (rd_kafka_message_t){
            .err = RD_KAFKA_RESP_ERR__PARTITION_EOF,
            .rkt = &delivered->topic,
            .partition = shard->id,
            .offset = toppar->next,
        };
        return &delivered->message;
    }
    return NULL;
}

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *client, int timeout_ms)
{
    (void)timeout_ms;
    client_serve_due(client);
    if (client->dead || broker_away(client->broker))
        return NULL;
    return client_choose(client) ? client_deliver(client) : client_deliver_end(client);
}

void rd_kafka_message_destroy(rd_kafka_message_t *message)
{
    struct delivered *delivered = (struct delivered *)(void *)message;
    if (delivered->headers)
        rd_kafka_headers_destroy(delivered->headers);
    free(delivered);
}

rd_kafka_resp_err_t rd_kafka_message_detach_headers(rd_kafka_message_t *message, rd_kafka_headers_t **headers)
{
    struct delivered *delivered = (struct delivered *)(void *)message;
    if (!delivered->headers)
        return RD_KAFKA_RESP_ERR__NOENT;
    *headers = delivered->headers;
    delivered->headers = NULL;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Records of this world have no timestamps. */
int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message, rd_kafka_timestamp_type_t *type)
{
    (void)message;
    *type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    return -1;
}

/* Only metrics ask. */
rd_kafka_resp_err_t rd_kafka_get_watermark_offsets(
    rd_kafka_t *client, const char *topic, int32_t partition, int64_t *low, int64_t *high)
{
    (void)client, (void)topic, (void)partition, (void)low, (void)high;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

const char *rd_kafka_message_errstr(const rd_kafka_message_t *message)
{
    return rd_kafka_err2str(message->err);
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
    return topic->name;
}

/* ---- the consumer's group ---- */

static struct toppar *client_toppar(struct rd_kafka_s *client, const rd_kafka_topic_partition_t *part)
{
    const struct shard *shard = broker_shard(client->broker, part->topic, part->partition);
    return &client->toppars[shard->index];
}

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *topics)
{
    group_subscribe(client->broker, client, topics);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_unsubscribe(rd_kafka_t *client)
{
    if (!client->dead)
        group_leave(client->broker, client);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The application gives up what it has, in its callback; what it has sent arrives before it leaves. */
rd_kafka_resp_err_t rd_kafka_consumer_close(rd_kafka_t *client)
{
    if (client->dead)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_t *list = client_assignment(client);
    client->phase = PHASE_OUT;
    if (list->cnt)
        client->conf.rebalance(client, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, list, client->conf.opaque);
    rd_kafka_topic_partition_list_destroy(list);
    broker_flush_commits(client->broker, client);
    group_leave(client->broker, client);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_assignment_lost(rd_kafka_t *client)
{
    return client->lost;
}

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
    (void)list;
    world_violate(client->world, "an assignment that is not incremental");
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_error_t *rd_kafka_incremental_assign(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct toppar *toppar = client_toppar(client, &list->elems[i]);
        if (toppar->assigned)
            return rd_kafka_error_new(RD_KAFKA_RESP_ERR__CONFLICT, "assigned already");
        bool paused = toppar->paused;
        *toppar = (struct toppar){
            .assigned = true,
            .paused = paused,
            .start = list->elems[i].offset >= 0 ? list->elems[i].offset : -1,
            .ready_ns = world_after_ms(client->world, 1, 100),
            .first = -1,
            .serial = ++client->world->assignments,
        };
    }
    group_assigned(client->broker, client);
    return NULL;
}

rd_kafka_error_t *rd_kafka_incremental_unassign(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list)
{
    if (client->dead)
        return NULL;
    for (int i = 0; i < list->cnt; i++) {
        struct toppar *toppar = client_toppar(client, &list->elems[i]);
        struct shard *shard = &client->broker->shards[toppar - client->toppars];
        if (!toppar->assigned)
            return rd_kafka_error_new(RD_KAFKA_RESP_ERR__INVALID_ARG, "not assigned");
        toppar->assigned = false;
        /* A static member that is leaving keeps its place for a while. */
        if (shard->owner == client && !(client->phase == PHASE_OUT && client->conf.instance[0]))
            shard->owner = NULL;
    }
    group_unassigned(client->broker, client);
    return NULL;
}

rd_kafka_resp_err_t rd_kafka_pause_partitions(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        struct toppar *toppar = client_toppar(client, &list->elems[i]);
        toppar->paused = true;
        if (toppar->assigned && toppar->first < 0 && dice_permille(&client->world->dice, 200))
            toppar->lost = true;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What was fetched ahead is gone. A partition that was not paused starts over where its assignment began. */
rd_kafka_resp_err_t rd_kafka_resume_partitions(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list)
{
    if (client->world->bug == BUG_STAYS_PAUSED)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt; i++) {
        struct toppar *toppar = client_toppar(client, &list->elems[i]);
        if (!toppar->paused && toppar->resolved)
            toppar->next = toppar->start;
        toppar->paused = false;
        if (toppar->assigned)
            toppar->ready_ns = world_after_ms(client->world, 1, 100);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_commit(
    rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list, int async)
{
    (void)async;
    if (world_fault(client->world, client->world->plan.commit_fails / 10))
        return RD_KAFKA_RESP_ERR__STATE;
    if (!client->dead)
        broker_commit(client->broker, client, list);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_committed(
    rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    (void)timeout_ms;
    struct world *world = client->world;
    if (broker_away(client->broker) || world_fault(world, world->plan.committed_fails))
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *part = &list->elems[i];
        const struct shard *shard = broker_shard(client->broker, part->topic, part->partition);
        part->offset = shard->committed < 0 ? RD_KAFKA_OFFSET_INVALID : shard->committed;
        part->err = RD_KAFKA_RESP_ERR_NO_ERROR;
        free(part->metadata);
        part->metadata = shard->metadata ? strdup(shard->metadata) : NULL;
        part->metadata_size = shard->metadata ? strlen(shard->metadata) : 0;
        if (part->metadata_size && world_fault(world, world->plan.metadata_mangled))
            ((char *)part->metadata)[dice_below(&world->dice, part->metadata_size)] ^= 1;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- the producer ---- */

static void client_read_value(
    const rd_kafka_vu_t *value, struct record *record, const char **topic, void **opaque)
{
    switch (value->vtype) {
    case RD_KAFKA_VTYPE_TOPIC:
        *topic = value->u.cstr;
        break;
    case RD_KAFKA_VTYPE_KEY:
        record->key = value->u.mem.ptr;
        record->key_size = value->u.mem.size;
        break;
    case RD_KAFKA_VTYPE_VALUE:
        record->value = value->u.mem.ptr;
        record->value_size = value->u.mem.size;
        record->has_value = value->u.mem.ptr;
        break;
    case RD_KAFKA_VTYPE_HEADERS:
        record->headers = value->u.headers;
        break;
    case RD_KAFKA_VTYPE_OPAQUE:
        *opaque = value->u.ptr;
        break;
    default:
        break;
    }
}

rd_kafka_error_t *rd_kafka_produceva(rd_kafka_t *client, const rd_kafka_vu_t *values, size_t count)
{
    struct world *world = client->world;
    struct record record = {0};
    const char *topic = "";
    void *opaque = NULL;
    if (world_fault(world, world->plan.produce_fails / 4))
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__QUEUE_FULL, "full");
    for (size_t i = 0; i < count; i++)
        client_read_value(&values[i], &record, &topic, &opaque);
    int index = broker_topic(client->broker, topic);
    if (index < 1) {
        world_violate(world, "forwarded to %s", topic);
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "unknown");
    }
    broker_produce(client->broker, client, index, &record, opaque);
    return NULL;
}

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *client, int flags)
{
    (void)flags;
    broker_cut(client->broker, client);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}
