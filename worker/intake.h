#ifndef IMPCERT_WORKER_INTAKE_H
#define IMPCERT_WORKER_INTAKE_H

#include "common/error.h"
#include "common/health.h"
#include "common/settings.h"
#include "worker/job.h"
#include "worker/metrics.h"
#include "worker/tiers.h"
#include "worker/topics.h"

#include <stdint.h>

/* A consumer: records in, offsets out. Only the end of the unbroken finished run of a partition is
 * committed, once a second, when a partition is given up, and at the end. Thread: loop. */
struct intake;

/* A worker has a consumer for each, in the group of the settings and in one of that name and ".retry". The
 * assignor of librdkafka counts partitions without a look at their topics: in one group, a worker could have
 * retry partitions alone, and another all of the main topic's (confluentinc/librdkafka issue 4044). */
enum intake_source {
    INTAKE_MAIN,  /* the main topic */
    INTAKE_RETRY, /* the retry topics */
    INTAKE_SOURCES
};

/* Everything is borrowed for the intake's life. */
struct intake_config {
    const struct settings *settings;
    const struct tiers *tiers;
    const struct topics *topics; /* NULL: all are there */
    enum intake_source source;
    size_t number; /* of the worker within the process */
    int wake_fd;   /* signalled when records or callbacks are ready */
    struct job_pool *jobs;
    struct health_part *health;
    struct metrics *metrics;
};

/* Never waits for a broker: the topics are subscribed to in a later turn, once they have been looked after.
 */
struct intake *intake_open(const struct intake_config *config, struct error *error);
/* Leaves the group. All jobs must have ended. NULL is fine. */
void intake_close(struct intake *intake);

/* Takes up to room records as jobs onto arrived and returns how much of the room it used; serves rebalances
 * and commits what is due. Without room the partitions are paused after a moment, and go on when there is
 * plenty of room again. A partition of a retry topic whose next record is not due within a second is paused
 * until then; records arrive with their due_ns ahead. */
size_t intake_turn(struct intake *intake, size_t room, struct job_list *arrived, int64_t now_ns);
/* The partitions that it holds. */
size_t intake_partitions(const struct intake *intake);
/* When the next record of a retry topic is let go. */
int64_t intake_due_ns(const struct intake *intake);
/* Whether the last turn left records behind for want of room. */
bool intake_has_more(const struct intake *intake);

/* A job ended for good: its offset is finished. The job's partition must not be used any more. */
void intake_done(struct intake *intake, struct job *job);
/* A job is given up without an end; its event will be delivered again. */
void intake_drop(struct intake *intake, struct job *job);

/* Sets the metrics of its partitions. Their oldest_ns were brought up to date before, and begin anew. */
void intake_report(struct intake *intake);

/* No more records from now on: pauses at once and drops those that are not due; rebalances and commits go on
 * being served. */
void intake_stop(struct intake *intake);

/* Sends what can be committed with the next turn, instead of once a second; while a commit is being answered
 * or the group is being joined, after that. */
void intake_commit(struct intake *intake);
/* Whether all that can be committed has been, and every commit has been answered. */
bool intake_committed(const struct intake *intake);

/* The consumer can't go on (fenced, fatal): true with the reason. */
bool intake_failed(const struct intake *intake, struct error *error);

#endif
