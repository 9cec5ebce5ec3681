/* Seeded random numbers (SplitMix64: S. Vigna, 2015). The owner's thread; owns nothing. */
#include "dice.h"

static uint64_t dice_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void dice_seed(struct dice *dice, uint64_t seed)
{
    dice->state = dice_mix(seed + UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t dice_next(struct dice *dice)
{
    return dice_mix(dice->state += UINT64_C(0x9e3779b97f4a7c15));
}

size_t dice_below(struct dice *dice, size_t below)
{
    return (size_t)(dice_next(dice) % below);
}

int64_t dice_between(struct dice *dice, int64_t least, int64_t most)
{
    return least + (int64_t)(dice_next(dice) % (uint64_t)(most - least + 1));
}

bool dice_permille(struct dice *dice, int permille)
{
    return (int)dice_below(dice, 1000) < permille;
}
