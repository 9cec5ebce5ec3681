#ifndef IMPCERT_WORKER_WAITING_H
#define IMPCERT_WORKER_WAITING_H

#include "common/error.h"
#include "common/settings.h"
#include "worker/tiers.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether an event of an imp_uid is still on its way: on the topic of the events or on a retry topic, behind
 * what the workers' group has committed there. Thread: main. */
struct waiting {
    const char *topic;     /* where the last one is; the settings' or the tiers'; NULL: nowhere */
    int64_t not_before_ms; /* wall time of its next try; 0: as soon as a worker comes to it */
};

/* Looks at the topics in the order in which events take them, so that none slips through on its way. False
 * with the reason; an empty one: interrupted. */
bool waiting_find(const struct settings *settings, const struct tiers *tiers, const char *imp_uid,
    struct waiting *waiting, struct error *error) __attribute__((warn_unused_result));

#endif
