/* Draws what a seed brings. Main thread. Owns the settings that all runs choose from. */
#include "plan.h"

#include "common/clock.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings in the order of IN_FLIGHT, ATTEMPTS, RETRY_DELAYS, RATE_LIMIT, and whether members are static. */
static const struct choice {
    const char *in_flight, *attempts, *delays, *rate;
    bool is_static;
} choices[] = {
    {"1", "2", "", "0", false},
    {"2", "4", "1s", "0", false},
    {"4", "1", "1s,5s", "0", true},
    {"8", "3", "1s", "0", false},
    {"8", "4", "", "0", true},
    {"16", "4", "1s,5s", "0", false},
    {"32", "2", "1s", "0", true},
    {"64", "4", "1s,5s", "0", false},
    {"64", "1", "", "0", false},
    {"16", "3", "1s", "40", false},
};

enum { CHOICES = sizeof choices / sizeof choices[0] };

/* settings_start costs more than a run. */
static struct settings *prepared[CHOICES];

static struct settings *plan_settings(const struct choice *choice)
{
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-simulation", .summary = ""};
    char *argv[] = {"impcert-simulation", NULL};
    int exit_code;
    const char *level = getenv("IMPCERT_SIMULATION_LOG");
    char *kept = level ? strdup(level) : NULL;
    clearenv();
    if (kept)
        setenv("IMPCERT_SIMULATION_LOG", kept, 1);
    setenv("IMPCERT_LOG_LEVEL", kept ? kept : "error", 1);
    setenv("IMPCERT_KAFKA_BROKERS", "kafka.invalid:9092", 1);
    setenv("IMPCERT_IN_FLIGHT", choice->in_flight, 1);
    setenv("IMPCERT_ATTEMPTS", choice->attempts, 1);
    setenv("IMPCERT_RETRY_DELAYS", choice->delays, 1);
    setenv("IMPCERT_RATE_LIMIT", choice->rate, 1);
    setenv("IMPCERT_TIMEOUT", "2s", 1);
    setenv("IMPCERT_CONNECT_TIMEOUT", "1s", 1);
    setenv("IMPCERT_BACKOFF", "100ms", 1);
    setenv("IMPCERT_BACKOFF_MAX", "2s", 1);
    if (choice->is_static)
        setenv("IMPCERT_INSTANCE_ID", "simulated", 1);
    setenv("IAMPORT_URL", "http://iamport.invalid", 1);
    setenv("IMPCERT_ALLOW_HTTP", "true", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://mongodb.invalid", 1);
    free(kept);
    struct settings *settings = settings_start(&program, 1, argv, &exit_code);
    if (!settings)
        exit(2);
    return settings;
}

void plan_open(void)
{
    for (size_t i = 0; i < CHOICES; i++)
        prepared[i] = plan_settings(&choices[i]);
}

void plan_close(void)
{
    for (size_t i = 0; i < CHOICES; i++)
        settings_free(prepared[i]);
}

/* In about half of the runs up to that many thousandths, else none. */
static int plan_likelihood(struct dice *dice, int most)
{
    int drawn = (int)dice_between(dice, 1, most);
    return dice_permille(dice, 500) ? drawn : 0;
}

/* In about a quarter of the runs. */
static struct window plan_window(struct dice *dice, int64_t from_ns, int64_t until_ns, int64_t longest_ns)
{
    struct window window = {.from_ns = dice_between(dice, from_ns, until_ns)};
    int64_t length_ns = dice_between(dice, 100 * CLOCK_MS, longest_ns);
    if (dice_permille(dice, 250))
        window.until_ns = window.from_ns + length_ns < until_ns ? window.from_ns + length_ns : until_ns;
    return window;
}

static void plan_draw_faults(struct plan *plan, struct dice *dice, int64_t now_ns)
{
    plan->call_fails = plan_likelihood(dice, dice_permille(dice, 200) ? 700 : 150);
    plan->call_throttled = plan_likelihood(dice, 60);
    plan->token_revoked = plan_likelihood(dice, 30);
    plan->commit_fails = plan_likelihood(dice, 400);
    plan->commit_partly = plan_likelihood(dice, 150);
    plan->committed_fails = plan_likelihood(dice, 300);
    plan->metadata_most = dice_permille(dice, 150) ? dice_below(dice, 24) : 4096;
    plan->metadata_mangled = plan_likelihood(dice, 300);
    plan->produce_fails = plan_likelihood(dice, 200);
    plan->produce_repeats = plan_likelihood(dice, 200);
    plan->store_slow = plan_likelihood(dice, 200);
    plan->api_away = plan_window(dice, now_ns, plan->heal_ns, 10 * CLOCK_S);
    plan->api_refuses_key = plan_window(dice, now_ns, plan->heal_ns, 5 * CLOCK_S);
    plan->store_away = plan_window(dice, now_ns, plan->heal_ns, 8 * CLOCK_S);
    plan->kafka_away = plan_window(dice, now_ns, plan->heal_ns, 4 * CLOCK_S);
}

static void plan_add(struct plan *plan, int64_t at_ns, enum lot lot, size_t process)
{
    size_t i = plan->disturbance_count++;
    for (; i && plan->disturbances[i - 1].at_ns > at_ns; i--)
        plan->disturbances[i] = plan->disturbances[i - 1];
    plan->disturbances[i] = (struct disturbance){.at_ns = at_ns, .lot = lot, .process = process};
}

/* Whoever dies comes back, before the faults end. */
static void plan_draw_disturbances(struct plan *plan, struct dice *dice, int64_t now_ns)
{
    size_t count = dice_permille(dice, 300) ? 0 : dice_below(dice, 8);
    for (size_t i = 0; i < plan->processes; i++)
        plan_add(plan, now_ns + (i ? dice_between(dice, 0, 3 * CLOCK_S) : 0), LOT_START, i);
    for (size_t i = 0; i < count; i++) {
        int64_t at_ns = dice_between(dice, now_ns, plan->heal_ns - CLOCK_S);
        size_t process = dice_below(dice, plan->processes);
        enum lot lot = (enum lot)dice_below(dice, LOT_REBALANCE + 1);
        plan_add(plan, at_ns, lot, process);
        if (lot == LOT_CRASH || lot == LOT_STOP)
            plan_add(plan, at_ns + dice_between(dice, 1, 4 * CLOCK_S), LOT_START, process);
    }
    for (size_t i = 0; i < plan->processes; i++)
        plan_add(plan, plan->heal_ns, LOT_START, i);
}

static bool plan_is_orderly(const struct plan *plan)
{
    for (size_t i = 0; i < plan->disturbance_count; i++)
        if (plan->disturbances[i].lot == LOT_CRASH || plan->disturbances[i].lot == LOT_EXPEL)
            return false;
    return !plan->commit_fails && !plan->commit_partly && !plan->committed_fails && !plan->metadata_mangled &&
           !plan->kafka_away.until_ns && plan->drain_ns >= 20 * CLOCK_S && plan->metadata_most >= 4096;
}

void plan_draw(struct world *world)
{
    struct dice *dice = &world->dice;
    struct plan *plan = &world->plan;
    *plan = (struct plan){.settings = prepared[dice_below(dice, CHOICES)]};
    tiers_init(&plan->tiers, plan->settings);
    plan->processes = 1 + dice_below(dice, PROCESSES_MOST);
    plan->partitions = (int)dice_between(dice, 1, 4);
    plan->events = 20 + dice_below(dice, dice_permille(dice, 100) ? 281 : 81);
    plan->publish_ns = dice_between(dice, 0, 10 * CLOCK_S);
    plan->heal_ns = world->now_ns + dice_between(dice, 5 * CLOCK_S, 20 * CLOCK_S);
    plan->settle_ns = plan->heal_ns + 1800 * CLOCK_S;
    plan->drain_ns = dice_permille(dice, 700) ? 25 * CLOCK_S : 500 * CLOCK_MS;
    plan->token_s = dice_permille(dice, 500) ? 1800 : dice_between(dice, 2, 90);
    plan->latency_ms = dice_permille(dice, 800) ? 60 : 800;
    plan_draw_faults(plan, dice, world->now_ns);
    plan_draw_disturbances(plan, dice, world->now_ns);
    plan->orderly = plan_is_orderly(plan);
}

bool window_holds(const struct window *window, int64_t now_ns)
{
    return now_ns >= window->from_ns && now_ns < window->until_ns;
}
