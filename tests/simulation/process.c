/* A simulated process. Main thread. Owns its flow and what the process's main thread owns otherwise. */
#include "process.h"

#include "client.h"
#include "common/clock.h"
#include "common/health.h"
#include "documents.h"
#include "worker/flow.h"
#include "worker/intake.h"
#include "world.h"

#include <stdlib.h>

/* As in worker/worker.c. */
enum { TURN_MS = 100 };

enum process_state { PROCESS_DOWN, PROCESS_RUNNING, PROCESS_DRAINING, PROCESS_COMMITTING };

struct process {
    struct world *world;
    size_t number;
    enum process_state state;
    struct flow *flow;
    struct limiter *limiter;
    struct health *health;
    struct metrics *metrics;
    struct rd_kafka_s *consumers[INTAKE_SOURCES], *producer; /* the broker's */
    size_t consumer_count;
    struct caller caller;
    int64_t turned_ns;
    int64_t next_ns;                 /* when the worker's sleep ends by itself */
    int64_t jobs_until_ns, until_ns; /* of the drain */
};

struct process *process_new(struct world *world, size_t number)
{
    struct process *process = world_alloc(sizeof *process);
    process->world = world;
    process->number = number;
    return process;
}

static void process_down(struct process *process)
{
    flow_close(process->flow);
    metrics_free(process->metrics);
    health_free(process->health);
    limiter_free(process->limiter);
    process->state = PROCESS_DOWN;
    process->flow = NULL;
    process->producer = NULL;
    process->consumer_count = 0;
    world_note(process->world, "down", (int64_t)process->number, 0, 0);
}

void process_crash(struct process *process)
{
    struct world *world = process->world;
    if (process->state == PROCESS_DOWN)
        return;
    world_note(world, "crash", (int64_t)process->number, 0, 0);
    process->producer->dead = true;
    for (size_t i = 0; i < process->consumer_count; i++) {
        struct rd_kafka_s *consumer = process->consumers[i];
        consumer->dead = true;
        if (consumer->member)
            consumer->expel_ns = world_after_ms(world, 3000, 8000);
        broker_cut(world->broker, consumer);
    }
    broker_cut(world->broker, process->producer);
    documents_cut(world->documents, process);
    process_down(process);
}

void process_free(struct process *process)
{
    process_crash(process);
    free(process);
}

void process_start(struct process *process)
{
    struct world *world = process->world;
    struct error error = {.text = ""};
    if (process->state != PROCESS_DOWN)
        return;
    process->limiter = limiter_new(settings_number(world->plan.settings, SETTING_RATE_LIMIT));
    process->health = health_new();
    process->metrics = metrics_new();
    process->caller = (struct caller){0};
    world->running = process;
    const struct flow_config config = {
        .settings = world->plan.settings,
        .tiers = &world->plan.tiers,
        .limiter = process->limiter,
        .health = process->health,
        .metrics = process->metrics,
        .number = process->number,
        .epoll_fd = -1,
        .wake_fd = -1,
    };
    process->flow = flow_open(&config, &error);
    world->running = NULL;
    process->state = PROCESS_RUNNING;
    process->turned_ns = world->now_ns;
    process->next_ns = world->now_ns;
    world_note(world, "start", (int64_t)process->number, 0, 0);
    if (!process->flow)
        world_violate(world, "the flow does not open: %s", error.text);
}

void process_stop(struct process *process)
{
    if (process->state != PROCESS_RUNNING)
        return;
    world_note(process->world, "stop", (int64_t)process->number, 0, 0);
    process->until_ns = process->world->now_ns + process->world->plan.drain_ns;
    process->jobs_until_ns = flow_drain_jobs_until_ns(process->world->now_ns, process->until_ns);
    process->next_ns = process->world->now_ns;
    process->state = PROCESS_DRAINING;
    flow_drain(process->flow);
}

void process_expel(struct process *process)
{
    struct world *world = process->world;
    if (process->state != PROCESS_DOWN)
        group_expel(world->broker, process->consumers[dice_below(&world->dice, process->consumer_count)]);
}

bool process_runs(const struct process *process)
{
    return process->state == PROCESS_RUNNING;
}

/* Whether it left nothing behind: none of the records that it ended is to be worked again. */
static void process_check_committed(const struct process *process, const struct rd_kafka_s *client)
{
    const struct broker *broker = process->world->broker;
    for (size_t i = 0; i < broker->consumed_count; i++) {
        const struct toppar *toppar = &client->toppars[i];
        const struct shard *shard = &broker->shards[i];
        if (!toppar->assigned || !toppar->resolved || toppar->first < 0)
            continue;
        int64_t offset = toppar->first;
        while (offset < toppar->next && shard->records[offset].ended_in == toppar->serial)
            offset++;
        if (offset > toppar->first && shard->committed < offset)
            world_violate(process->world, "drained, but topic %d partition %d is committed up to %ld of %ld",
                shard->topic, shard->id, (long)shard->committed, (long)offset);
    }
}

static void process_check_drained(const struct process *process)
{
    if (flow_in_flight(process->flow) || !flow_finished(process->flow))
        return;
    for (size_t i = 0; i < process->consumer_count; i++) {
        const struct rd_kafka_s *client = process->consumers[i];
        if (client->member && !client->tell_ns && !client->lost)
            process_check_committed(process, client);
    }
}

/* The steps of worker_drain. */
static void process_move_on(struct process *process)
{
    int64_t now = process->world->now_ns;
    if (process->state == PROCESS_DRAINING &&
        (now >= process->jobs_until_ns || flow_drained(process->flow, process->jobs_until_ns)))
        process->state = PROCESS_COMMITTING;
    if (process->state != PROCESS_COMMITTING)
        return;
    if (now >= process->until_ns || flow_finished(process->flow)) {
        process_check_drained(process);
        process_down(process);
        return;
    }
    flow_finish(process->flow);
}

static void process_sleep(struct process *process)
{
    int64_t now = process->world->now_ns, due = flow_due_ns(process->flow);
    /* A turn takes some time. */
    int64_t least = now + dice_between(&process->world->dice, 10000, 60000);
    process->turned_ns = now;
    process->next_ns = least;
    if (due > now)
        process->next_ns = due - now < TURN_MS * CLOCK_MS ? due : now + TURN_MS * CLOCK_MS;
    if (process->next_ns < least)
        process->next_ns = least;
}

void process_turn(struct process *process)
{
    struct error error;
    process_move_on(process);
    if (process->state == PROCESS_DOWN)
        return;
    if (flow_failed(process->flow, &error)) {
        world_violate(process->world, "process %zu can't go on: %s", process->number, error.text);
        return;
    }
    process->world->running = process;
    flow_turn(process->flow);
    process->world->running = NULL;
    process_sleep(process);
    process->world->turns++;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t process_due_ns(const struct process *process)
{
    if (process->state == PROCESS_DOWN)
        return CLOCK_NEVER;
    int64_t due = earlier(process->next_ns, client_wakes_ns(process->producer, process->turned_ns));
    for (size_t i = 0; i < process->consumer_count; i++)
        due = earlier(due, client_wakes_ns(process->consumers[i], process->turned_ns));
    return due;
}

void process_ended(struct process *process, const char *topic, int32_t id, int64_t offset)
{
    const struct broker *broker = process->world->broker;
    struct shard *shard = broker_shard(broker, topic, id);
    uint64_t serial = 0;
    for (size_t i = 0; i < process->consumer_count; i++) {
        const struct toppar *toppar = &process->consumers[i]->toppars[shard->index];
        serial = toppar->assigned ? toppar->serial : serial;
    }
    oracle_on_ended(process->world, shard, offset, serial);
}

size_t process_number(const struct process *process)
{
    return process->number;
}

struct caller *process_caller(struct process *process)
{
    return &process->caller;
}

void process_set_client(struct process *process, struct rd_kafka_s *client)
{
    if (client->type == RD_KAFKA_CONSUMER)
        process->consumers[process->consumer_count++] = client;
    else
        process->producer = client;
}
