#ifndef IMPCERT_WORKER_LIMITER_H
#define IMPCERT_WORKER_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

/* How fast the process may call Iamport, all workers together: the set rate, and below it the pace that
 * answers of 429 and outages impose and that grows again by itself. Thread: any; a mutex inside. */
struct limiter;

/* calls_per_s: the set rate; 0: none. NULL when out of memory. */
struct limiter *limiter_new(int64_t calls_per_s);
void limiter_free(struct limiter *limiter);

/* Grants a call, which counts as made, and returns 0; or returns when to ask again, which is after now_ns.
 * Calls are granted one by one (GCRA), after a pause 50 ms' worth of them at once, or one. One who asks again
 * up to 20 ms late loses nothing of the rate. */
int64_t limiter_take(struct limiter *limiter, int64_t now_ns);

/* A call that was started at asked_ns was answered 429; retry_after_ns: least wait that was asked for, 0:
 * none was. No call is granted for that long, or for a backoff, and then half of what was being sent, growing
 * by a tenth each second. Answers to calls from before the last such cut are its echo, and only their
 * retry_after_ns counts. Returns whether it was a cut. */
bool limiter_throttled(struct limiter *limiter, int64_t asked_ns, int64_t retry_after_ns, int64_t now_ns);
/* An outage is over: grants few calls at first, twice as many each second. */
void limiter_slow_start(struct limiter *limiter, int64_t now_ns);

/* Calls a second that are granted at present: 0 while none is, INFINITY for as many as are asked for. */
double limiter_pace(struct limiter *limiter, int64_t now_ns);
/* Until when no call is granted; 0: calls are. */
int64_t limiter_closed_until_ns(struct limiter *limiter, int64_t now_ns);

#endif
