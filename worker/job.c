/* The job, and the pool that all jobs of a worker come from. Loop thread. */
#include "worker/job.h"

#include <stdlib.h>
#include <string.h>

/* Records are small; the memory of a rare large one is given back with its job. */
enum { RECORD_KEEP = 1024, RECORD_LIMIT = INT32_MAX };

LIST_HEAD(extra_jobs, job);

struct job_pool {
    struct job_list free;
    struct job *first; /* the jobs made at the start, one block */
    size_t count;
    struct extra_jobs extra; /* made later, in use */
};

static void job_init(struct job *job)
{
    memset(job, 0, sizeof *job);
    buf_init(&job->record, RECORD_LIMIT);
    certification_init(&job->certification);
    TAILQ_INIT(&job->twins);
}

static void job_cleanup(struct job *job)
{
    buf_cleanup(&job->record);
    certification_cleanup(&job->certification);
    if (job->headers)
        rd_kafka_headers_destroy(job->headers);
}

struct job_pool *job_pool_new(size_t count)
{
    struct job_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    TAILQ_INIT(&pool->free);
    LIST_INIT(&pool->extra);
    pool->count = count;
    pool->first = calloc(count, sizeof *pool->first);
    if (!pool->first) {
        free(pool);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        job_init(&pool->first[i]);
        TAILQ_INSERT_TAIL(&pool->free, &pool->first[i], link);
    }
    return pool;
}

void job_pool_free(struct job_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++)
        job_cleanup(&pool->first[i]);
    while (!LIST_EMPTY(&pool->extra))
        job_pool_give(pool, LIST_FIRST(&pool->extra));
    free(pool->first);
    free(pool);
}

struct job *job_pool_take(struct job_pool *pool)
{
    struct job *job = TAILQ_FIRST(&pool->free);
    if (job) {
        TAILQ_REMOVE(&pool->free, job, link);
        return job;
    }
    job = malloc(sizeof *job);
    if (!job)
        return NULL;
    job_init(job);
    LIST_INSERT_HEAD(&pool->extra, job, extra);
    return job;
}

/* A job without a partition is not in use. */
void job_pool_each(struct job_pool *pool, void (*seen)(struct job *job))
{
    struct job *job;
    for (size_t i = 0; i < pool->count; i++)
        if (pool->first[i].partition)
            seen(&pool->first[i]);
    LIST_FOREACH(job, &pool->extra, extra)
    if (job->partition)
        seen(job);
}

static bool job_pool_owns(const struct job_pool *pool, const struct job *job)
{
    return job >= pool->first && job < pool->first + pool->count;
}

void job_pool_give(struct job_pool *pool, struct job *job)
{
    if (!job_pool_owns(pool, job)) {
        LIST_REMOVE(job, extra);
        job_cleanup(job);
        free(job);
        return;
    }
    struct buf record = job->record;
    struct certification certification = job->certification;
    if (job->headers)
        rd_kafka_headers_destroy(job->headers);
    job_init(job);
    buf_reset(&record, RECORD_KEEP);
    certification_reset(&certification);
    job->record = record;
    job->certification = certification;
    /* Last in, first out: the memory used last is the warmest. */
    TAILQ_INSERT_HEAD(&pool->free, job, link);
}

bool job_set_record(struct job *job, rd_kafka_message_t *message)
{
    job->has_key = message->key;
    job->has_value = message->payload;
    job->key_size = message->key_len;
    job->offset = message->offset;
    rd_kafka_timestamp_type_t type;
    job->published_ms = rd_kafka_message_timestamp(message, &type);
    if (rd_kafka_message_detach_headers(message, &job->headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        job->headers = NULL;
    return buf_append(&job->record, message->key, message->key_len) &&
           buf_append(&job->record, message->payload, message->len);
}

const char *job_key(const struct job *job, size_t *size)
{
    *size = job->key_size;
    return job->record.data;
}

const char *job_value(const struct job *job, size_t *size)
{
    *size = job->record.size - job->key_size;
    return job->record.data + job->key_size;
}

void job_move(struct job *job, struct job_list *from, struct job_list *to, enum job_state state)
{
    if (from)
        TAILQ_REMOVE(from, job, link);
    if (to)
        TAILQ_INSERT_TAIL(to, job, link);
    job->state = state;
}
