/* Exponential backoff with full jitter. The owner's thread. */
#include "common/backoff.h"

#include <stdlib.h>
#include <sys/random.h>

void backoff_init(struct backoff *backoff, int64_t base_ns, int64_t max_ns)
{
    *backoff = (struct backoff){.base_ns = base_ns, .max_ns = max_ns};
    ssize_t got = getrandom(backoff->random, sizeof backoff->random, 0);
    (void)got; /* up to 256 bytes never fail or come short (getrandom(2)) */
}

int64_t backoff_ceiling(const struct backoff *backoff, int failures)
{
    int64_t ceiling = backoff->base_ns;
    for (int i = 1; i < failures && ceiling < backoff->max_ns; i++)
        ceiling *= 2;
    return ceiling < backoff->max_ns ? ceiling : backoff->max_ns;
}

int64_t backoff_delay(struct backoff *backoff, int failures)
{
    return (int64_t)(erand48(backoff->random) * (double)backoff_ceiling(backoff, failures));
}
