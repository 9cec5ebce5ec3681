// The one source of "chance" in the simulator: numbers drawn from a name, the same on every run and every
// machine. Pure functions.
#ifndef SIMULATOR_HASH_H
#define SIMULATOR_HASH_H

#include <stddef.h>
#include <stdint.h>

// FNV-1a, 64 bits.
static inline uint64_t hash_name(const char *name, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3U;
    return hash;
}

// The stream's draw number `index` for a seed (splitmix64). Draws are independent of each other, so that a
// new one changes none of the old.
static inline uint64_t hash_draw(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

#endif
