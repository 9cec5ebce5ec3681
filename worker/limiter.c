/* The rate limiter of the process. Any thread. Its state is under its mutex, which is held for less than a
 * microsecond; with nothing to limit, calls are only counted, and the mutex is taken once a second. */
#include "worker/limiter.h"

#include "common/backoff.h"
#include "common/clock.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* What a burst is worth, and how late a caller may be at least without losing anything of its rate. */
#define LIMITER_BURST (50 * CLOCK_MS)
#define LIMITER_LATE (20 * CLOCK_MS)
#define LIMITER_WINDOW CLOCK_S
#define LIMITER_BACKOFF_BASE CLOCK_S
#define LIMITER_BACKOFF_MAX (30 * CLOCK_S)
#define LIMITER_CLOSED_LEAST (100 * CLOCK_MS)
/* Without a 429 for so long, the next one is the first again. */
#define LIMITER_CALM_AFTER (60 * CLOCK_S)
#define LIMITER_GROWTH_AFTER_429 1.1
#define LIMITER_GROWTH_AFTER_OUTAGE 2.0
#define LIMITER_PACE_AFTER_OUTAGE 50.0
#define LIMITER_PACE_LEAST 1.0
/* Without a set rate the pace is given up when it is far above what was ever sent. */
#define LIMITER_FREE_ABOVE 1000.0
#define LIMITER_FREE_FACTOR 4.0
#define LIMITER_FREE_ABOVE_AFTER_OUTAGE 50000.0

struct limiter {
    /* Read and counted without the mutex; relaxed, since a call granted a moment late or counted in the next
     * window does no harm. */
    _Atomic int64_t free_until_ns; /* calls need no leave before then: the end of the window; 0: they do */
    _Atomic int64_t granted;       /* calls, in this window */

    pthread_mutex_t mutex;
    double rate;       /* calls a second; 0: none set */
    int64_t tat_ns;    /* the next call's theoretical arrival time (ITU-T I.371, GCRA) */
    int64_t closed_ns; /* until when no call is granted */

    /* the pace: pace * growth ^ (seconds since paced_ns), up to free_above; pace 0: none */
    double pace, growth, free_above;
    int64_t paced_ns;

    /* answers of 429 */
    struct backoff backoff;
    int cuts; /* in a row */
    int64_t cut_ns;
    double highest; /* calls a second measured at those cuts */

    /* when this window began and the one before, and the calls granted in that one */
    int64_t window_ns, before_ns;
    int64_t granted_before;
};

struct limiter *limiter_new(int64_t calls_per_s)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        return NULL;
    pthread_mutex_init(&limiter->mutex, NULL);
    limiter->rate = (double)calls_per_s;
    backoff_init(&limiter->backoff, LIMITER_BACKOFF_BASE, LIMITER_BACKOFF_MAX);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    pthread_mutex_destroy(&limiter->mutex);
    free(limiter);
}

static void limiter_count(struct limiter *limiter)
{
    atomic_fetch_add_explicit(&limiter->granted, 1, memory_order_relaxed);
}

/* All below: the mutex is held. */

static double limiter_least(double a, double b)
{
    if (a <= 0 || b <= 0)
        return a > b ? a : b;
    return a < b ? a : b;
}

/* The pace at now_ns; 0: none. Told from paced_ns each time, so that nothing adds up. */
static double limiter_pace_at(struct limiter *limiter, int64_t now_ns)
{
    if (limiter->pace <= 0 || now_ns <= limiter->paced_ns)
        return limiter->pace;
    double grown =
        limiter->pace * pow(limiter->growth, (double)(now_ns - limiter->paced_ns) / (double)CLOCK_S);
    if (grown < limiter->free_above)
        return grown;
    limiter->pace = 0;
    return 0;
}

/* Calls a second at now_ns; 0: no limit. */
static double limiter_rate_at(struct limiter *limiter, int64_t now_ns)
{
    return limiter_least(limiter->rate, limiter_pace_at(limiter, now_ns));
}

static void limiter_roll(struct limiter *limiter, int64_t now_ns)
{
    int64_t passed = now_ns - limiter->window_ns;
    if (passed < LIMITER_WINDOW)
        return;
    int64_t granted = atomic_exchange_explicit(&limiter->granted, 0, memory_order_relaxed);
    limiter->granted_before = passed < 2 * LIMITER_WINDOW ? granted : 0;
    limiter->window_ns = now_ns - passed % LIMITER_WINDOW;
    limiter->before_ns = limiter->window_ns - LIMITER_WINDOW;
}

/* What was really being granted, a second. */
static double limiter_measured(struct limiter *limiter, int64_t now_ns)
{
    limiter_roll(limiter, now_ns);
    int64_t passed = now_ns > limiter->before_ns ? now_ns - limiter->before_ns : 1;
    int64_t granted = atomic_load_explicit(&limiter->granted, memory_order_relaxed) + limiter->granted_before;
    return (double)granted * (double)CLOCK_S / (double)passed;
}

/* The next call's turn, whose distance to now_ns says how many are granted at once: a late caller's calls are
 * made up for; one that comes after a pause finds a burst, and no trace of the pause. */
static int64_t limiter_turn(const struct limiter *limiter, int64_t interval_ns, int64_t now_ns)
{
    int64_t burst_ns = LIMITER_BURST > interval_ns ? LIMITER_BURST - interval_ns : 0;
    int64_t late_ns = burst_ns > LIMITER_LATE ? burst_ns : LIMITER_LATE;
    return limiter->tat_ns < now_ns - late_ns ? now_ns - burst_ns : limiter->tat_ns;
}

static int64_t limiter_grant(struct limiter *limiter, int64_t now_ns)
{
    if (now_ns < limiter->closed_ns)
        return limiter->closed_ns;
    double rate = limiter_rate_at(limiter, now_ns);
    if (rate > 0) {
        int64_t interval_ns = (int64_t)ceil((double)CLOCK_S / rate);
        int64_t turn_ns = limiter_turn(limiter, interval_ns, now_ns);
        if (turn_ns > now_ns)
            return turn_ns;
        limiter->tat_ns = turn_ns + interval_ns;
    }
    limiter_roll(limiter, now_ns);
    if (rate <= 0)
        atomic_store_explicit(
            &limiter->free_until_ns, limiter->window_ns + LIMITER_WINDOW, memory_order_relaxed);
    limiter_count(limiter);
    return 0;
}

/* The pace is that until from_ns and grows from then on. Nothing is saved up for that moment, and what is
 * measured begins there too: time in which no call is granted says nothing of what is sent. */
static void limiter_pace_from(struct limiter *limiter, double pace, int64_t from_ns)
{
    limiter->pace = pace;
    limiter->paced_ns = from_ns;
    if (limiter->tat_ns < from_ns)
        limiter->tat_ns = from_ns;
    limiter->window_ns = from_ns;
    limiter->before_ns = from_ns;
    limiter->granted_before = 0;
    atomic_store_explicit(&limiter->granted, 0, memory_order_relaxed);
    atomic_store_explicit(&limiter->free_until_ns, 0, memory_order_relaxed);
}

static void limiter_set_pace(
    struct limiter *limiter, double pace, double growth, double free_above, int64_t now_ns)
{
    limiter->growth = growth;
    limiter->free_above = limiter->rate > 0 ? limiter->rate : free_above;
    limiter_pace_from(limiter, pace, limiter->closed_ns > now_ns ? limiter->closed_ns : now_ns);
}

/* A pace in force does not grow while closed. */
static void limiter_close_until(struct limiter *limiter, int64_t until_ns, int64_t now_ns)
{
    if (until_ns <= limiter->closed_ns)
        return;
    double pace = limiter_pace_at(limiter, now_ns);
    limiter->closed_ns = until_ns;
    atomic_store_explicit(&limiter->free_until_ns, 0, memory_order_relaxed);
    if (pace > 0)
        limiter_pace_from(limiter, pace, until_ns);
}

static int64_t limiter_backoff(struct limiter *limiter)
{
    int64_t wait_ns = backoff_delay(&limiter->backoff, limiter->cuts);
    return wait_ns > LIMITER_CLOSED_LEAST ? wait_ns : LIMITER_CLOSED_LEAST;
}

static void limiter_cut(struct limiter *limiter, int64_t retry_after_ns, int64_t now_ns)
{
    double sent = limiter_measured(limiter, now_ns), rate = limiter_rate_at(limiter, now_ns);
    if (rate > 0 && rate < sent)
        sent = rate;
    /* Calm is counted from when calls were granted again: having been closed for long proves nothing. */
    bool calm = now_ns - limiter->closed_ns >= LIMITER_CALM_AFTER;
    limiter->cuts = calm ? 1 : limiter->cuts + 1;
    limiter->cut_ns = now_ns;
    limiter->highest = calm || sent > limiter->highest ? sent : limiter->highest;
    limiter_close_until(
        limiter, now_ns + (retry_after_ns ? retry_after_ns : limiter_backoff(limiter)), now_ns);
    double pace = sent / 2, above = LIMITER_FREE_FACTOR * limiter->highest;
    limiter_set_pace(limiter, pace > LIMITER_PACE_LEAST ? pace : LIMITER_PACE_LEAST, LIMITER_GROWTH_AFTER_429,
        above > LIMITER_FREE_ABOVE ? above : LIMITER_FREE_ABOVE, now_ns);
}

/* The mutex is not held from here on. */

int64_t limiter_take(struct limiter *limiter, int64_t now_ns)
{
    if (now_ns < atomic_load_explicit(&limiter->free_until_ns, memory_order_relaxed)) {
        limiter_count(limiter);
        return 0;
    }
    pthread_mutex_lock(&limiter->mutex);
    int64_t due_ns = limiter_grant(limiter, now_ns);
    pthread_mutex_unlock(&limiter->mutex);
    return due_ns;
}

bool limiter_throttled(struct limiter *limiter, int64_t asked_ns, int64_t retry_after_ns, int64_t now_ns)
{
    pthread_mutex_lock(&limiter->mutex);
    bool cut = !limiter->cuts || asked_ns >= limiter->cut_ns;
    if (cut)
        limiter_cut(limiter, retry_after_ns, now_ns);
    else if (retry_after_ns)
        limiter_close_until(limiter, now_ns + retry_after_ns, now_ns);
    pthread_mutex_unlock(&limiter->mutex);
    return cut;
}

/* Workers find out one after the other, and the first of them counts. */
void limiter_slow_start(struct limiter *limiter, int64_t now_ns)
{
    pthread_mutex_lock(&limiter->mutex);
    double rate = limiter_rate_at(limiter, now_ns);
    if (limiter->pace <= 0 && (rate <= 0 || rate > LIMITER_PACE_AFTER_OUTAGE))
        limiter_set_pace(limiter, LIMITER_PACE_AFTER_OUTAGE, LIMITER_GROWTH_AFTER_OUTAGE,
            LIMITER_FREE_ABOVE_AFTER_OUTAGE, now_ns);
    pthread_mutex_unlock(&limiter->mutex);
}

double limiter_pace(struct limiter *limiter, int64_t now_ns)
{
    pthread_mutex_lock(&limiter->mutex);
    double rate = limiter_rate_at(limiter, now_ns);
    bool closed = now_ns < limiter->closed_ns;
    pthread_mutex_unlock(&limiter->mutex);
    if (closed)
        return 0;
    return rate > 0 ? rate : INFINITY;
}

int64_t limiter_closed_until_ns(struct limiter *limiter, int64_t now_ns)
{
    pthread_mutex_lock(&limiter->mutex);
    int64_t closed_ns = limiter->closed_ns;
    pthread_mutex_unlock(&limiter->mutex);
    return closed_ns > now_ns ? closed_ns : 0;
}
