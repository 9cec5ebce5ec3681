#ifndef IMPCERT_WORKER_BATCH_H
#define IMPCERT_WORKER_BATCH_H

#include "common/chan.h"
#include "worker/cipher.h"
#include "worker/job.h"
#include "worker/metrics.h"

#include <mongoc/mongoc.h>

/* Many documents in few commands: an unordered bulk insert, whose duplicates are then updated with upserts.
 * (MongoDB spends several times less on an inserted document than on an upsert.) Whoever holds the batch
 * holds its jobs. */
enum { BATCH_MAX = 500 };

enum batch_state {
    BATCH_TO_INSERT, /* not acknowledged yet */
    BATCH_TO_UPDATE, /* there already */
    BATCH_TAKEN,     /* acknowledged */
    BATCH_REFUSED,   /* for good, this document alone; the job's verdict says so */
};

struct batch {
    struct chan_item item; /* the chan's while inside */
    size_t count;
    struct job *jobs[BATCH_MAX];
    enum batch_state states[BATCH_MAX]; /* of each job's document */
    int32_t waiting_code;               /* why one was not taken for now; by MongoDB, the last */
    unsigned char conflicts[BATCH_MAX]; /* how often its upsert met a duplicate key */
};

/* Where batches go: a store thread's own. */
struct batch_target {
    mongoc_collection_t *collection;
    struct cipher *cipher; /* NULL: nothing is encrypted */
    struct metrics *metrics;
};

/* Writes what is not settled yet. True when every document is TAKEN or REFUSED; false, with the reason, when
 * MongoDB has not answered for all of them, or they can't be encrypted: then the batch is to be written
 * again, which is harmless. Thread: store. */
bool batch_write(struct batch *batch, const struct batch_target *target, struct error *error);

#endif
