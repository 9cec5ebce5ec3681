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

bool breaker_take(struct breaker *breaker, int64_t now_ns, bool *probe)
{
    *probe = breaker->state == BREAKER_OPEN && now_ns >= breaker->probe_ns;
    if (*probe)
        breaker->state = BREAKER_HALF_OPEN;
    return *probe || breaker->state == BREAKER_CLOSED;
}

int64_t breaker_due_ns(const struct breaker *breaker)
{
    return breaker->state == BREAKER_OPEN ? breaker->probe_ns : CLOCK_NEVER;
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
    return BREAKER_RECLOSED;
}

/* Half of the wait is sure and half is jitter, so that workers neither probe together nor hot. */
static void breaker_open(struct breaker *breaker, int64_t now_ns)
{
    breaker->openings++;
    int64_t half = backoff_ceiling(&breaker->backoff, breaker->openings) / 2;
    breaker->probe_ns = now_ns + half + backoff_delay(&breaker->backoff, breaker->openings) / 2;
    breaker->state = BREAKER_OPEN;
}

enum breaker_change breaker_failed(struct breaker *breaker, bool probe, int64_t now_ns)
{
    if (breaker->state != BREAKER_CLOSED) {
        if (probe && breaker->state == BREAKER_HALF_OPEN)
            breaker_open(breaker, now_ns);
        return BREAKER_SAME;
    }
    if (++breaker->failures < BREAKER_FAILURES)
        return BREAKER_SAME;
    if (!breaker->closed_ns || now_ns - breaker->closed_ns >= BREAKER_STEADY_AFTER)
        breaker->openings = 0;
    breaker->failures = 0;
    breaker_open(breaker, now_ns);
    return BREAKER_OPENED;
}
