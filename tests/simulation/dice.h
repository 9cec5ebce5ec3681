#ifndef IMPCERT_SIMULATION_DICE_H
#define IMPCERT_SIMULATION_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers that are random but for their seed: the same seed gives the same numbers on every machine. Thread:
 * the owner's. */
struct dice {
    uint64_t state;
};

void dice_seed(struct dice *dice, uint64_t seed);
uint64_t dice_next(struct dice *dice);
/* 0 to below - 1. */
size_t dice_below(struct dice *dice, size_t below);
/* least to most, both included. */
int64_t dice_between(struct dice *dice, int64_t least, int64_t most);
/* True that many times in a thousand. */
bool dice_permille(struct dice *dice, int permille);

#endif
