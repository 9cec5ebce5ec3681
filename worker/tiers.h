#ifndef IMPCERT_WORKER_TIERS_H
#define IMPCERT_WORKER_TIERS_H

#include "common/settings.h"

#include <stddef.h>
#include <stdint.h>

/* The retry tiers: one topic for each delay, through which an event that can't be verified now goes from the
 * shortest to the longest. Read-only once made. Thread: any. */
enum { TIERS_MOST = 8, TIER_TOPIC_SIZE = 288 };
/* In the place of a tier's number: the main topic (before the first tier), and the dead letter queue (behind
 * the last). */
enum { TIER_MAIN = -1, TIER_NONE = TIERS_MOST };

struct tiers {
    size_t count;
    struct {
        char topic[TIER_TOPIC_SIZE];
        int64_t delay_ms;
    } list[TIERS_MOST];
};

/* <IMPCERT_TOPIC>.retry.<delay> of IMPCERT_RETRY_DELAYS. */
void tiers_init(struct tiers *tiers, const struct settings *settings);
/* The tier whose topic it is; TIER_MAIN for any other topic. */
int tiers_find(const struct tiers *tiers, const char *topic);
/* Where an event goes on from a tier, or from TIER_MAIN; TIER_NONE behind the last. */
int tiers_next(const struct tiers *tiers, int tier);

#endif
