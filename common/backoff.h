#ifndef IMPCERT_COMMON_BACKOFF_H
#define IMPCERT_COMMON_BACKOFF_H

#include <stdint.h>

/* Exponential backoff with full jitter: a random delay between 0 and min(max, base * 2^(failures - 1)), so
 * that many that failed together do not come back together. (M. Brooker, "Exponential Backoff And Jitter",
 * 2015.) Pure, apart from the random state. Thread: the owner's. */
struct backoff {
    int64_t base_ns;
    int64_t max_ns;
    unsigned short random[3]; /* state of erand48 */
};

/* Seeds from the system's random source. */
void backoff_init(struct backoff *backoff, int64_t base_ns, int64_t max_ns);
/* The ceiling behind that many failures, from 1 on. */
int64_t backoff_ceiling(const struct backoff *backoff, int failures);
/* The delay to wait behind that many failures, from 1 on. */
int64_t backoff_delay(struct backoff *backoff, int failures);

#endif
