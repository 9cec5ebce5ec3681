#ifndef IMPCERT_SIMULATION_RUN_H
#define IMPCERT_SIMULATION_RUN_H

#include "world.h"

#include <stdbool.h>
#include <stdint.h>

/* One run of a seed, from the first start to the end of all processes. Thread: main. */
struct outcome_of_run {
    uint64_t digest; /* of all that happened */
    uint64_t turns, delivered, worked_again;
    int64_t virtual_ns;  /* how long it took, by the virtual clock */
    char violation[512]; /* the broken promise; empty: none */
};

void run_seed(uint64_t seed, enum bug bug, bool trace, struct outcome_of_run *outcome);

#endif
