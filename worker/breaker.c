/* The circuit breaker. Loop thread; owns nothing but its state. */
#include "worker/breaker.h"

#include "common/clock.h"

#define BREAKER_PROBE_FIRST CLOCK_S
#define BREAKER_PROBE_MAX (15 * CLOCK_S)
/* One that opens again so soon was closed by luck: its waits go on where they were. */
#define BREAKER_STEADY_AFTER (30 * CLOCK_S)

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    backoff_init(&breaker->backoff, BREAKER_PROBE_FIRST, BREAKER_PROBE_MAX);
}

int64_t breaker_due_ns(const struct breaker *breaker, bool unspent)
{
    if (breaker->state != BREAKER_OPEN)
        return CLOCK_NEVER;
    int64_t soon_ns = breaker->opened_ns + BREAKER_PROBE_FIRST;
    return unspent || breaker->probe_ns < soon_ns ? breaker->probe_ns : soon_ns;
}

bool breaker_take(struct breaker *breaker, bool unspent, int64_t now_ns, bool *probe)
{
    *probe = now_ns >= breaker_due_ns(breaker, unspent);
    if (*probe)
        breaker->state = BREAKER_HALF_OPEN;
    return *probe || breaker->state == BREAKER_CLOSED;
}

bool breaker_closed(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED;
}

enum breaker_change breaker_succeeded(struct breaker *breaker, int64_t now_ns)
{
    breaker->failures = 0;
    if (breaker->state == BREAKER_CLOSED)
        return BREAKER_SAME;
    breaker->state = BREAKER_CLOSED;
    breaker->closed_ns = now_ns;
    /* One step back: where probes succeed at once, opening again is cheap. */
    breaker->openings--;
    return BREAKER_RECLOSED;
}

/* Half of the wait is sure and half is jitter, so that workers neither probe together nor hot. */
static void breaker_open(struct breaker *breaker, int64_t now_ns)
{
    breaker->openings++;
    breaker->opened_ns = now_ns;
    int64_t half = backoff_ceiling(&breaker->backoff, breaker->openings) / 2;
    breaker->probe_ns = now_ns + half + backoff_delay(&breaker->backoff, breaker->openings) / 2;
    breaker->state = BREAKER_OPEN;
}

enum breaker_change breaker_failed(struct breaker *breaker, enum breaker_call call, int64_t now_ns)
{
    if (breaker->state != BREAKER_CLOSED) {
        if (call == BREAKER_CALL_PROBE && breaker->state == BREAKER_HALF_OPEN)
            breaker_open(breaker, now_ns);
        return BREAKER_SAME;
    }
    if (call != BREAKER_CALL_FIRST || ++breaker->failures < BREAKER_FAILURES)
        return BREAKER_SAME;
    if (!breaker->closed_ns || now_ns - breaker->closed_ns >= BREAKER_STEADY_AFTER)
        breaker->openings = 0;
    breaker->failures = 0;
    breaker_open(breaker, now_ns);
    return BREAKER_OPENED;
}
