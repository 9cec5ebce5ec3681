/* The certifications and events of a run. Main thread. */
#include "truth.h"

#include "common/clock.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT(reason) (1U << (reason))

static const struct {
    const char *name;
    int weight; /* how many of all, roughly */
    unsigned reasons;
} kinds[KIND_COUNT] = {
    [KIND_CERTIFIED] = {"certified", 60, 0},
    [KIND_LATE] = {"late", 5, BIT(REASON_NOT_CERTIFIED)},
    [KIND_FLAKY] = {"flaky", 5, BIT(REASON_UNAVAILABLE)},
    [KIND_LIMITED] = {"limited", 1, 0},
    [KIND_MISSING] = {"missing", 5, BIT(REASON_NOT_FOUND)},
    [KIND_UNFINISHED] = {"unfinished", 5, BIT(REASON_NOT_CERTIFIED)},
    [KIND_NO_KEY] = {"nokey", 3, BIT(REASON_NO_UNIQUE_KEY)},
    [KIND_FORBIDDEN] = {"forbidden", 3, BIT(REASON_REFUSED)},
    [KIND_CODE] = {"code", 3, BIT(REASON_REFUSED)},
    [KIND_REFUSED_BY_STORE] = {"storeless", 3, BIT(REASON_STORE_REJECTED)},
    [KIND_OTHER] = {"other", 1, BIT(REASON_BAD_RESPONSE)},
    [KIND_HTML] = {"html", 1, BIT(REASON_BAD_RESPONSE)},
    [KIND_ERROR] = {"error", 1, BIT(REASON_UNAVAILABLE)},
    [KIND_HANGING] = {"hanging", 1, BIT(REASON_UNAVAILABLE)},
    [KIND_INVALID] = {"invalid", 3, BIT(REASON_INVALID_EVENT)},
};

/* Where only such events are left, each try of each waits for the circuit's next probe: few are enough. */
enum { FAILING_MOST = 3 };

const char *kind_name(enum kind kind)
{
    return kinds[kind].name;
}

unsigned kind_reasons(enum kind kind)
{
    return kinds[kind].reasons;
}

static enum kind truth_draw_kind(struct dice *dice, int *failing)
{
    int sum = 0;
    for (size_t i = 0; i < KIND_COUNT; i++)
        sum += kinds[i].weight;
    int drawn = (int)dice_below(dice, (size_t)sum);
    enum kind kind = 0;
    while (drawn >= kinds[kind].weight)
        drawn -= kinds[kind++].weight;
    bool fails = kind >= KIND_OTHER && kind <= KIND_HANGING;
    return fails && (*failing)++ >= FAILING_MOST ? KIND_CERTIFIED : kind;
}

static void truth_draw_certified(struct world *world, struct certified *one, size_t number, enum kind kind)
{
    *one = (struct certified){.kind = kind, .failing = (int)dice_between(&world->dice, 1, 3)};
    if (kind == KIND_LATE)
        one->certified_ns = world_after_ms(world, 0, 15000);
    snprintf(one->imp_uid, sizeof one->imp_uid, "%s_%zu", kinds[kind].name, number);
}

static void truth_draw_invalid(struct dice *dice, struct event *event)
{
    static const char *const values[] = {
        "", "{", "{}", "[]", "{\"imp_uid\": 1}", "{\"imp_uid\": \"\"}", "{\"imp_uid\": \"a b\"}", "imp_1"};
    size_t which = dice_below(dice, 1 + sizeof values / sizeof values[0]);
    event->subject = SIZE_MAX;
    event->value_size = SIZE_MAX;
    snprintf(event->key, sizeof event->key, "key%zu", dice_below(dice, 10));
    if (which == sizeof values / sizeof values[0])
        return;
    snprintf(event->value, sizeof event->value, "%s", values[which]);
    event->value_size = strlen(event->value);
}

static void truth_draw_valid(struct dice *dice, const struct certified *one, struct event *event)
{
    memcpy(event->key, one->imp_uid, sizeof event->key);
    int size = snprintf(event->value, sizeof event->value, "{\"imp_uid\": \"%s\"%s}", one->imp_uid,
        dice_permille(dice, 200) ? ", \"more\": [1, null]" : "");
    event->value_size = (size_t)size;
}

static void truth_draw_event(struct world *world, struct truth *truth, struct event *event, int *failing)
{
    struct dice *dice = &world->dice;
    event->offset = -1;
    event->at_ns = world->now_ns + dice_between(dice, 0, world->plan.publish_ns);
    event->traced = dice_permille(dice, 300);
    bool again = truth->certified_count && dice_permille(dice, 120);
    enum kind kind = again ? KIND_CERTIFIED : truth_draw_kind(dice, failing);
    if (kind == KIND_INVALID) {
        truth_draw_invalid(dice, event);
        return;
    }
    if (!again) {
        struct certified *one = &truth->certified[truth->certified_count];
        truth_draw_certified(world, one, truth->certified_count++, kind);
    }
    event->subject = again ? dice_below(dice, truth->certified_count) : truth->certified_count - 1;
    truth_draw_valid(dice, &truth->certified[event->subject], event);
}

static int by_time(const void *one, const void *other)
{
    const struct event *a = one, *b = other;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

struct truth *truth_new(struct world *world)
{
    struct truth *truth = world_alloc(sizeof *truth);
    int failing = 0;
    truth->event_count = world->plan.events;
    truth->events = world_alloc(truth->event_count * sizeof *truth->events);
    truth->certified = world_alloc(truth->event_count * sizeof *truth->certified);
    for (size_t i = 0; i < truth->event_count; i++)
        truth_draw_event(world, truth, &truth->events[i], &failing);
    qsort(truth->events, truth->event_count, sizeof *truth->events, by_time);
    return truth;
}

void truth_free(struct truth *truth)
{
    free(truth->certified);
    free(truth->events);
    free(truth);
}

/* The number behind the last "_" is its place. */
struct certified *truth_find(const struct truth *truth, const char *name, size_t size)
{
    size_t digits = size, index = 0;
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    for (size_t i = digits; i < size && index <= truth->certified_count; i++)
        index = 10 * index + (size_t)(name[i] - '0');
    if (digits == size || index >= truth->certified_count)
        return NULL;
    struct certified *one = &truth->certified[index];
    return strlen(one->imp_uid) == size && memcmp(one->imp_uid, name, size) == 0 ? one : NULL;
}

bool truth_storable(const struct certified *one, int64_t now_ns)
{
    if (one->kind == KIND_LATE)
        return now_ns >= one->certified_ns;
    return one->kind == KIND_CERTIFIED || one->kind == KIND_FLAKY || one->kind == KIND_LIMITED;
}

void truth_unique_key(const struct certified *one, char out[static 96])
{
    snprintf(out, 96, "unique-%s", one->imp_uid);
}

int64_t truth_certified_at_s(const struct certified *one)
{
    return 1700000000 + (int64_t)strlen(one->imp_uid);
}
