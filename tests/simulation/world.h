#ifndef IMPCERT_SIMULATION_WORLD_H
#define IMPCERT_SIMULATION_WORLD_H

#include "dice.h"
#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One simulated run: a virtual clock, a seed that everything hangs on, and the first promise that was broken.
 * The functions that stand in for libraries take no context of ours, so there is one current world. Thread:
 * main; nothing here has another. */
struct api;
struct broker;
struct documents;
struct oracle;
struct process;

enum { PROCESSES_MOST = 3 };

/* A mistake put in on purpose, to see that it is noticed: see bugs.c. */
enum bug {
    BUG_NONE,
    BUG_ACKNOWLEDGE_FIRST, /* the store acknowledges before it writes */
    BUG_DROP_AS_DONE,      /* what is dropped with a revoked partition counts as finished */
    BUG_COMMIT_NEWEST,     /* what was read is committed */
    BUG_METADATA_NEWEST,   /* a commit's metadata tells that all is finished that was read */
    BUG_FORWARD_LOST,      /* a delivery report comes for a record that is not written */
    BUG_COMMIT_OVERTAKES,  /* a commit is sent before the last one is answered */
    BUG_TRIES_UNBOUNDED,   /* no try is the last one */
    BUG_BREAKER_IGNORED,   /* calls go on while the circuit is open */
    BUG_WAIT_IGNORED,      /* calls go on during Retry-After */
    BUG_STAYS_PAUSED,      /* a full worker never resumes */
    BUG_COUNT
};

struct world {
    uint64_t seed;
    enum bug bug;
    bool trace;
    struct dice dice;
    int64_t now_ns; /* the virtual clock */
    struct plan plan;
    struct truth *truth;
    struct api *api;
    struct broker *broker;
    struct documents *documents;
    struct oracle *oracle;
    struct process *processes[PROCESSES_MOST];
    struct process *running; /* whose code runs; NULL: nobody's */
    uint64_t digest;         /* of all that happened */
    uint64_t turns;
    uint64_t assignments;  /* of a partition to a client */
    uint64_t delivered;    /* records, to consumers */
    uint64_t worked_again; /* records that had ended before */
    char violation[512];   /* the first broken promise; empty: none */
};

/* The current world; NULL between runs. */
struct world *world_current(void);
void world_set_current(struct world *world);

/* Zeroed memory; the program ends where there is none. */
void *world_alloc(size_t size);
/* items with room for count + 1 of them, size bytes each. */
void *world_grow(void *items, size_t count, size_t *capacity, size_t size);

int64_t world_wall_ms(const struct world *world);
/* Whether faults may still happen. */
bool world_faulty(const struct world *world);
/* Whether a fault of that likelihood happens now. */
bool world_fault(struct world *world, int permille);
/* A moment from now, between so many milliseconds. */
int64_t world_after_ms(struct world *world, int64_t least, int64_t most);

/* Something happened: into the digest, and onto the trace. what is a fixed text. */
void world_note(struct world *world, const char *what, int64_t a, int64_t b, int64_t c);
void world_violate(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
