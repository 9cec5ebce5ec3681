/* The events of one run, in the order of their times. Main thread. Owns the world. */
#include "run.h"

#include "api.h"
#include "broker.h"
#include "common/clock.h"
#include "documents.h"
#include "oracle.h"
#include "process.h"
#include "truth.h"

#include <stdio.h>
#include <string.h>

/* Times of 0 mean something of their own. */
#define RUN_BEGINS (1000 * CLOCK_S)
#define RUN_LOOKS_EVERY (500 * CLOCK_MS)
enum { TURNS_MOST = 20 * 1000 * 1000 };

static void run_open(struct world *world)
{
    world->now_ns = RUN_BEGINS;
    world->digest = UINT64_C(0xcbf29ce484222325);
    dice_seed(&world->dice, world->seed);
    plan_draw(world);
    world->truth = truth_new(world);
    world->api = api_new(world);
    world->broker = broker_new(world);
    world->documents = documents_new(world);
    for (size_t i = 0; i < world->plan.processes; i++)
        world->processes[i] = process_new(world, i);
}

static void run_close(struct world *world)
{
    for (size_t i = 0; i < world->plan.processes; i++)
        process_free(world->processes[i]);
    documents_free(world->documents);
    broker_free(world->broker);
    api_free(world->api);
    truth_free(world->truth);
}

static void run_disturb(struct world *world, const struct disturbance *disturbance)
{
    struct process *process = world->processes[disturbance->process];
    switch (disturbance->lot) {
    case LOT_CRASH:
        process_crash(process);
        break;
    case LOT_STOP:
        process_stop(process);
        break;
    case LOT_START:
        process_start(process);
        break;
    case LOT_EXPEL:
        process_expel(process);
        break;
    case LOT_REBALANCE:
        group_rebalance(world->broker, &world->broker->groups[dice_below(&world->dice, GROUP_COUNT)]);
        break;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t run_due_ns(const struct world *world, size_t disturbed)
{
    const struct plan *plan = &world->plan;
    int64_t due = earlier(broker_due_ns(world->broker), documents_due_ns(world->documents));
    for (size_t i = 0; i < plan->processes; i++)
        due = earlier(due, process_due_ns(world->processes[i]));
    return disturbed < plan->disturbance_count ? earlier(due, plan->disturbances[disturbed].at_ns) : due;
}

static size_t run_disturb_due(struct world *world, size_t disturbed)
{
    const struct plan *plan = &world->plan;
    while (disturbed < plan->disturbance_count && plan->disturbances[disturbed].at_ns <= world->now_ns)
        run_disturb(world, &plan->disturbances[disturbed++]);
    return disturbed;
}

/* Whoever was still stopping when the faults ended is started again behind that. */
static void run_keep_up(struct world *world)
{
    for (size_t i = 0; i < world->plan.processes; i++)
        process_start(world->processes[i]);
}

static void run_step(struct world *world)
{
    broker_turn(world->broker);
    documents_turn(world->documents);
    for (size_t i = 0; i < world->plan.processes; i++)
        if (process_due_ns(world->processes[i]) <= world->now_ns)
            process_turn(world->processes[i]);
}

/* Until everything is done, or can't be. */
static void run_until_settled(struct world *world)
{
    size_t disturbed = 0;
    int64_t look_ns = world->plan.heal_ns;
    while (!world->violation[0]) {
        int64_t due = earlier(run_due_ns(world, disturbed), look_ns);
        if (due > world->now_ns)
            world->now_ns = due;
        disturbed = run_disturb_due(world, disturbed);
        run_step(world);
        if (world->now_ns >= look_ns) {
            look_ns = world->now_ns + RUN_LOOKS_EVERY;
            run_keep_up(world);
            if (broker_settled(world->broker))
                return;
        }
        if (world->now_ns > world->plan.settle_ns || world->turns > TURNS_MOST)
            world_violate(world, "not everything is done, %lld s after the last fault",
                (long long)((world->now_ns - world->plan.heal_ns) / CLOCK_S));
    }
}

static bool run_any_up(const struct world *world)
{
    for (size_t i = 0; i < world->plan.processes; i++)
        if (process_due_ns(world->processes[i]) != CLOCK_NEVER)
            return true;
    return false;
}

/* All processes end in good order. */
static void run_end(struct world *world)
{
    int64_t until_ns = world->now_ns + 30 * CLOCK_S;
    for (size_t i = 0; i < world->plan.processes; i++)
        process_stop(world->processes[i]);
    while (!world->violation[0] && run_any_up(world)) {
        int64_t due = run_due_ns(world, SIZE_MAX);
        if (due > world->now_ns)
            world->now_ns = due;
        run_step(world);
        if (world->now_ns > until_ns)
            world_violate(world, "a process does not end");
    }
}

void run_seed(uint64_t seed, enum bug bug, bool trace, struct outcome_of_run *outcome)
{
    struct world world = {.seed = seed, .bug = bug, .trace = trace};
    world_set_current(&world);
    run_open(&world);
    run_until_settled(&world);
    if (!world.violation[0])
        oracle_on_end(&world);
    if (trace)
        broker_show(world.broker);
    run_end(&world);
    *outcome = (struct outcome_of_run){
        .digest = world.digest,
        .turns = world.turns,
        .delivered = world.delivered,
        .worked_again = world.worked_again,
        .virtual_ns = world.now_ns - RUN_BEGINS,
    };
    memcpy(outcome->violation, world.violation, sizeof outcome->violation);
    run_close(&world);
    world_set_current(NULL);
}
