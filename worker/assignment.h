#ifndef IMPCERT_WORKER_ASSIGNMENT_H
#define IMPCERT_WORKER_ASSIGNMENT_H

#include "worker/offsets.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <sys/queue.h>

/* The partitions that a worker holds, each with its tracker of finished offsets. One assignment of a
 * partition is one struct partition: when the partition is given up and comes back, that is a new one, so
 * that a job which ends after its partition was given up can never touch the offsets of a later assignment.
 * Thread: loop. */
struct job;

enum partition_state {
    PARTITION_ASSIGNED,
    PARTITION_REVOKED, /* asked back: jobs in flight end, nothing new is taken */
    PARTITION_GONE     /* given up: kept only until its last job has ended */
};

struct partition {
    char *topic;
    int32_t id;
    enum partition_state state;
    struct offsets offsets;
    int tier;                /* whose topic it is of; TIER_MAIN: the main topic */
    bool started;            /* a record of it has come */
    bool paused;             /* as librdkafka was told */
    struct job *held;        /* the next record, not due yet or without room; NULL: none */
    int64_t committed;       /* the position last sent to the broker; -1: none, or it failed */
    uint64_t committed_done; /* offsets.done as it was then */
    int64_t oldest_ns;       /* begin of its oldest job in flight when that was last looked for */
    TAILQ_ENTRY(partition) link;
};

TAILQ_HEAD(partition_list, partition);

struct assignment {
    struct partition_list partitions; /* in every state */
    size_t held;                      /* those not GONE */
    size_t metadata_max;              /* the longest metadata of a partition that the broker is sent, bytes */
};

void assignment_init(struct assignment *assignment);
/* No job may be left. */
void assignment_cleanup(struct assignment *assignment);

/* Adds the partitions of a list; false when out of memory. */
bool assignment_add(struct assignment *assignment, const rd_kafka_topic_partition_list_t *list);
/* The held partition of that name, NULL where there is none. */
struct partition *assignment_find(const struct assignment *assignment, const char *topic, int32_t id);
/* Moves the held partitions of a list on to a later state. */
void assignment_set(
    struct assignment *assignment, const rd_kafka_topic_partition_list_t *list, enum partition_state state);
/* Takes up what the broker has for a partition of which nothing was begun: position and metadata, which count
 * as sent. Without a position, or with an error, nothing is changed. Returns false where the metadata is of
 * no use: only the position was taken up, and more work is repeated. */
bool assignment_restore(struct partition *partition, const rd_kafka_topic_partition_t *committed);
/* Puts a new struct partition in the place of one that is ASSIGNED, which is GONE from then on. NULL when out
 * of memory. */
struct partition *assignment_restart(struct assignment *assignment, struct partition *partition);
/* Whether any job of a revoked partition is still in flight. */
bool assignment_revoked_busy(const struct assignment *assignment);

/* A job's offset is finished for good (done), or the job is dropped without an end (not done), after which
 * the partition must take no more records. The partition may be freed by it. */
void assignment_end(struct assignment *assignment, struct partition *partition, int64_t offset, bool done);

/* The held partitions as a list for librdkafka; the caller owns it. NULL when out of memory or where there
 * are none. */
rd_kafka_topic_partition_list_t *assignment_list(const struct assignment *assignment);
/* Whether there is anything to commit: a position that has moved since it was last sent, or an offset beyond
 * it that was finished since. */
bool assignment_has_moved(const struct assignment *assignment);
/* What is to be committed as a list, noted as sent: positions, with the offsets finished beyond them as their
 * metadata. The caller owns it. NULL where there is nothing. */
rd_kafka_topic_partition_list_t *assignment_to_commit(struct assignment *assignment);
/* A commit of these was answered with result, and each of them with its own err: where either is an error,
 * the position counts as not sent. Where the metadata was too large, less is sent from then on. Returns the
 * last error. */
rd_kafka_resp_err_t assignment_commit_answered(
    struct assignment *assignment, const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t result);

#endif
