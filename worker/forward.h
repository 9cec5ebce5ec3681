#ifndef IMPCERT_WORKER_FORWARD_H
#define IMPCERT_WORKER_FORWARD_H

#include "common/error.h"
#include "common/health.h"
#include "common/settings.h"
#include "worker/job.h"
#include "worker/metrics.h"
#include "worker/tiers.h"

#include <stdint.h>

/* Hands failed events to a retry topic or to the dead letter queue, byte for byte, with the headers of
 * letter.h. An event counts as handed over when all in-sync replicas have it; until then it is sent again and
 * again, with backoff. Thread: loop. */
struct forward;

/* Adds to faults what is wrong with the settings of the producer. Thread: main. */
void forward_check(const struct settings *settings, struct faults *faults);

/* Everything is borrowed for the room's life. */
struct forward_config {
    const struct settings *settings;
    const struct tiers *tiers;
    int wake_fd; /* signalled when delivery reports are ready */
    struct health_part *health;
    struct metrics *metrics;
};

struct forward *forward_open(const struct forward_config *config, struct error *error);
/* What is on its way is forgotten: the caller owns all jobs. NULL is fine. */
void forward_close(struct forward *forward);

/* Takes a job that failed (its verdict says why, its to_tier where it goes), which is on no list. */
void forward_send(struct forward *forward, struct job *job, int64_t now_ns);
/* Serves delivery reports and sends again what is due. */
void forward_turn(struct forward *forward, int64_t now_ns);
int64_t forward_due_ns(const struct forward *forward);
/* Whether any job is inside. */
bool forward_busy(const struct forward *forward);
/* Jobs handed over, in state JOB_FORWARDING, for the caller to move on. Borrowed. */
struct job_list *forward_collect(struct forward *forward);

#endif
