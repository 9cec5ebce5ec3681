#ifndef IMPCERT_SIMULATION_ORACLE_H
#define IMPCERT_SIMULATION_ORACLE_H

#include "broker.h"
#include "truth.h"
#include "worker/certification.h"
#include "worker/classify.h"

#include <stdbool.h>
#include <stdint.h>

/* The promises, each checked when it could be broken: no event lost, nothing stored that is not certified, no
 * commit past unfinished work or back behind an earlier one, no try too many, no call in a forced pause, and
 * everything done in the end. Thread: main. */
struct world;

/* What a process was told by the API, as anybody can see from outside. */
struct caller {
    int64_t not_before_ns; /* end of the Retry-After that it was last told */
    int failures;          /* in a row, of events that had not failed before */
    bool suspended;        /* so many that only probes may start */
    int probes;            /* running ones */
    int64_t probe_ns;      /* none starts before */
};

/* Whether a record needs no more work. */
bool oracle_finished(const struct world *world, const struct shard *shard, int64_t offset);
/* A commit for a partition arrives, with its metadata. */
void oracle_on_commit(struct world *world, const struct shard *shard, const rd_kafka_topic_partition_t *part);
/* A worker ended a record of an assignment; serial 0: one that it holds no more. */
void oracle_on_ended(struct world *world, struct shard *shard, int64_t offset, uint64_t serial);
/* A record was written to a retry topic or the DLQ. */
void oracle_on_forward(struct world *world, const struct shard *shard, struct record *record);
/* A document was written. */
void oracle_on_document(struct world *world, const char *imp_uid, const struct certification *written);
/* A certification is asked for; returns whether the call is a probe. */
bool oracle_on_call(struct world *world, struct caller *caller);
/* And answered. first: of an event that has not failed before. */
void oracle_on_answer(
    struct world *world, struct caller *caller, const struct answer *answer, bool probe, bool first);
/* Everything is done, as far as the offsets tell. */
void oracle_on_end(struct world *world);

#endif
