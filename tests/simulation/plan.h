#ifndef IMPCERT_SIMULATION_PLAN_H
#define IMPCERT_SIMULATION_PLAN_H

#include "common/settings.h"
#include "worker/tiers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a seed brings: settings, how much is going on, how often what fails, and who dies when. Everything is
 * drawn at the start of a run, each kind of fault in about half of the runs only, since faults hide each
 * other. Thread: main. */
struct world;

/* A process's lot, at a time. */
enum lot {
    LOT_CRASH,    /* gone at once, as by kill -9 */
    LOT_STOP,     /* SIGTERM */
    LOT_START,    /* starts where it does not run */
    LOT_EXPEL,    /* its session ends, without its knowledge */
    LOT_REBALANCE /* the group deals its partitions anew */
};

struct disturbance {
    int64_t at_ns;
    enum lot lot;
    size_t process;
};

struct window {
    int64_t from_ns, until_ns;
};

enum { DISTURBANCES_MOST = 24 };

/* Likelihoods are in thousandths, of one call, commit, record, or write. */
struct plan {
    const struct settings *settings; /* borrowed */
    struct tiers tiers;
    size_t processes;
    int partitions;       /* of each topic */
    size_t events;        /* records on the main topic */
    int64_t publish_ns;   /* over how long they come */
    int64_t heal_ns;      /* no fault from here on */
    int64_t settle_ns;    /* everything must be done by then */
    int64_t drain_ns;     /* how long a stop may take */
    int64_t token_s;      /* life of a token */
    int64_t latency_ms;   /* of an answer, at the most */
    int call_fails;       /* no connection, 5xx, time-outs */
    int call_throttled;   /* 429 */
    int token_revoked;    /* the service forgets its tokens */
    int commit_fails;     /* for the moment: librdkafka repeats it */
    int commit_partly;    /* one partition's part is refused */
    int committed_fails;  /* the committed offsets can't be had */
    int metadata_mangled; /* it comes back as something else */
    int produce_fails;    /* not written, reported as failed */
    int produce_repeats;  /* written twice, or written and reported as failed */
    size_t metadata_most; /* bytes of a commit's that the broker takes */
    bool orderly;         /* nothing happens that excuses work done twice */
    int store_slow;       /* a batch takes long */
    struct window api_away, api_refuses_key, store_away, kafka_away;
    struct disturbance disturbances[DISTURBANCES_MOST]; /* by time */
    size_t disturbance_count;
};

/* Makes the settings that runs choose from. Thread: main, before any run. */
void plan_open(void);
void plan_close(void);

void plan_draw(struct world *world);
bool window_holds(const struct window *window, int64_t now_ns);

#endif
