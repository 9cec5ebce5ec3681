#ifndef IMPCERT_WORKER_JOB_H
#define IMPCERT_WORKER_JOB_H

#include "common/event.h"
#include "common/letter.h"
#include "worker/certification.h"
#include "worker/classify.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

struct partition;

TAILQ_HEAD(job_list, job);

/* The state names the place: a job is on exactly one list, and only job_move moves it. */
enum job_state {
    JOB_HELD,       /* of a retry topic, not due yet (the intake room) */
    JOB_READY,      /* to be verified as soon as a token is there */
    JOB_VERIFYING,  /* its HTTP call is running */
    JOB_WAITING,    /* for its next try (the retry room) */
    JOB_TWIN,       /* its imp_uid is in flight already: it ends as that job does */
    JOB_STORING,    /* on its way to MongoDB; the store threads' while in a batch */
    JOB_FORWARDING, /* on its way to a retry topic or the DLQ */
    JOB_ENDED,      /* acknowledged somewhere: its offset is finished */
};

/* One event on its way through the worker. Only it flows; rooms pass it on and never copy it. */
struct job {
    /* the record, copied so that librdkafka's fetch buffer is not held */
    struct partition *partition; /* where it came from; borrowed, it outlives the job */
    int64_t offset;
    int64_t published_ms; /* the record's timestamp, wall time; -1: it has none */
    struct buf record;    /* key, then value */
    size_t key_size;
    bool has_key, has_value;     /* a null key or value is not an empty one */
    rd_kafka_headers_t *headers; /* owned; NULL: none */

    /* the event */
    char imp_uid[EVENT_IMP_UID_SIZE]; /* empty: the record holds no valid event */
    UT_hash_handle by_imp_uid;        /* the inflight room's */
    struct job_list twins;            /* jobs of the same imp_uid that end with this one */

    /* progress */
    enum job_state state;
    int attempts;                       /* tries spent */
    int unspent;                        /* failures in a row that spent no try: 429, and in an outage */
    int deliveries_failed;              /* failed tries to forward it */
    int to_tier;                        /* FORWARDING: the tier, or TIER_NONE for the DLQ */
    bool probe;                         /* VERIFYING: its call is a probe of the circuit breaker */
    bool token_renewed;                 /* a 401 has been answered with a new token already */
    int64_t first_failed_ms;            /* wall time; 0: it has not failed */
    int64_t due_ns;                     /* HELD, READY, WAITING, FORWARDING: when to go on */
    int64_t begun_ns;                   /* when it was received; of a retry topic, when it was due */
    int64_t asked_ns;                   /* VERIFYING: when its call was started */
    uint64_t token_serial;              /* VERIFYING: which token its call carries */
    struct verdict verdict;             /* of the last try */
    struct certification certification; /* once VERIFIED */

    TAILQ_ENTRY(job) link; /* of the list it is on */
    LIST_ENTRY(job) extra; /* the pool's */
};

/* A free list with a fixed number of jobs made at the start; beyond it jobs are made and freed one by one,
 * which only happens when a record slips in behind a pause. Thread: loop. */
struct job_pool;
struct job_pool *job_pool_new(size_t count);
/* Frees all jobs, wherever they are. NULL is fine. */
void job_pool_free(struct job_pool *pool);
/* Calls seen for each job that is in use, wherever it is. */
void job_pool_each(struct job_pool *pool, void (*seen)(struct job *job));
/* An empty job, on no list; NULL when out of memory. */
struct job *job_pool_take(struct job_pool *pool);
/* Takes back a job that is on no list, forgetting all that it held. */
void job_pool_give(struct job_pool *pool, struct job *job);

/* Copies a consumed record into the job, taking the message's headers. False when out of memory. */
bool job_set_record(struct job *job, rd_kafka_message_t *message) __attribute__((warn_unused_result));
/* Bytes of the record; "" and 0 for a null one. Borrowed from the job. */
const char *job_key(const struct job *job, size_t *size);
const char *job_value(const struct job *job, size_t *size);

/* Moves a job from the list it is on (NULL: none) to the end of another (NULL: none). */
void job_move(struct job *job, struct job_list *from, struct job_list *to, enum job_state state);

#endif
