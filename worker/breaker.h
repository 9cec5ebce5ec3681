#ifndef IMPCERT_WORKER_BREAKER_H
#define IMPCERT_WORKER_BREAKER_H

#include "common/backoff.h"

#include <stdbool.h>
#include <stdint.h>

/* The circuit breaker of one worker's calls: many events that fail in a row open it, so that an outage is met
 * by a few probes instead of every event's tries. Pure, but for the jitter. Thread: loop. */
enum { BREAKER_FAILURES = 20 }; /* in a row, to open it */

/* What a call is to the breaker. */
enum breaker_call {
    BREAKER_CALL_FIRST,    /* an event's first since it was received */
    BREAKER_CALL_REPEATED, /* of an event that has failed before: its failure says nothing of the service */
    BREAKER_CALL_PROBE
};

enum breaker_state {
    BREAKER_CLOSED,   /* calls go through */
    BREAKER_OPEN,     /* none does, until a probe is due */
    BREAKER_HALF_OPEN /* the probe is under way */
};

enum breaker_change { BREAKER_SAME, BREAKER_OPENED, BREAKER_RECLOSED };

struct breaker {
    enum breaker_state state;
    int failures;      /* CLOSED: of first calls, in a row */
    int openings;      /* in a row, for the wait before the next probe */
    int64_t opened_ns; /* OPEN: since when, the last probe's failure included */
    int64_t probe_ns;  /* OPEN: when one is due */
    int64_t closed_ns; /* CLOSED: since when; 0: from the start */
    struct backoff backoff;
};

void breaker_init(struct breaker *breaker);

/* Whether a call may start now, and whether it is a probe. unspent: some event waits that has spent no
 * try; where none does there is nobody to spare, and probes are a second apart. */
bool breaker_take(struct breaker *breaker, bool unspent, int64_t now_ns, bool *probe);
/* When the next probe is due; CLOCK_NEVER unless OPEN. */
int64_t breaker_due_ns(const struct breaker *breaker, bool unspent);
bool breaker_closed(const struct breaker *breaker);

/* A call was answered sensibly: any such answer closes the breaker. */
enum breaker_change breaker_succeeded(struct breaker *breaker, int64_t now_ns);
/* A call failed. CLOSED, first calls count alone: a few bad events are no outage. Otherwise only the probe's
 * failure counts: calls that were under way when the breaker opened say nothing new. A probe that fails
 * re-opens it, which is no change. */
enum breaker_change breaker_failed(struct breaker *breaker, enum breaker_call call, int64_t now_ns);

#endif
