/* The current world and its virtual clock, which takes the place of common/clock.c's. Main thread. */
#include "world.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* 2026-01-01T00:00:00Z */
#define WORLD_WALL_MS INT64_C(1767225600000)

__typeof__(clock_ns) __wrap_clock_ns;
__typeof__(clock_wall_ms) __wrap_clock_wall_ms;
__typeof__(getrandom) __wrap_getrandom;

/* The functions that stand in for librdkafka and the clock take no context. */
static struct world *current;

struct world *world_current(void)
{
    return current;
}

void world_set_current(struct world *world)
{
    current = world;
}

int64_t __wrap_clock_ns(void)
{
    return current ? current->now_ns : CLOCK_S;
}

int64_t world_wall_ms(const struct world *world)
{
    return WORLD_WALL_MS + world->now_ns / CLOCK_MS;
}

int64_t __wrap_clock_wall_ms(void)
{
    return current ? world_wall_ms(current) : WORLD_WALL_MS;
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
    (void)flags;
    unsigned char *bytes = out;
    for (size_t i = 0; i < size; i++)
        bytes[i] = current ? (unsigned char)dice_next(&current->dice) : 0;
    return (ssize_t)size;
}

void *world_alloc(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

void *world_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    void *grown = reallocarray(items, *capacity, size);
    if (!grown)
        abort();
    return grown;
}

bool world_faulty(const struct world *world)
{
    return world->now_ns < world->plan.heal_ns;
}

bool world_fault(struct world *world, int permille)
{
    return permille && world_faulty(world) && dice_permille(&world->dice, permille);
}

int64_t world_after_ms(struct world *world, int64_t least, int64_t most)
{
    return world->now_ns + dice_between(&world->dice, least * CLOCK_MS, most * CLOCK_MS);
}

/* FNV-1a, over whole numbers. */
static void world_mix(struct world *world, uint64_t value)
{
    world->digest = (world->digest ^ value) * UINT64_C(0x100000001b3);
}

void world_note(struct world *world, const char *what, int64_t a, int64_t b, int64_t c)
{
    world_mix(world, (uint64_t)world->now_ns);
    for (const char *byte = what; *byte; byte++)
        world_mix(world, (unsigned char)*byte);
    world_mix(world, (uint64_t)a);
    world_mix(world, (uint64_t)b);
    world_mix(world, (uint64_t)c);
    if (world->trace)
        printf("%12.6f  %-24s %6" PRId64 " %6" PRId64 " %6" PRId64 "\n", (double)world->now_ns / 1e9, what, a,
            b, c);
}

void world_violate(struct world *world, const char *format, ...)
{
    if (world->violation[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    int at = snprintf(world->violation, sizeof world->violation, "at %.6f s: ", (double)world->now_ns / 1e9);
    vsnprintf(world->violation + at, sizeof world->violation - (size_t)at, format, arguments);
    va_end(arguments);
}
