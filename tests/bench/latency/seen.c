/* The change stream and its thread, which alone writes times until the waiting is over. */
#include "tests/bench/latency/seen.h"

#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct seen {
    mongoc_client_t *client; /* the thread's */
    mongoc_collection_t *collection;
    mongoc_client_t *counter; /* the caller's */
    mongoc_collection_t *counted;
    mongoc_change_stream_t *stream;
    pthread_t thread;
    size_t events, count; /* all, and those that are watched */
    _Atomic size_t documents;
    _Atomic bool closing;
    int64_t *at; /* by watched event */
};

int64_t seen_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void seen_note(struct seen *seen, const bson_t *change, int64_t now_ns)
{
    bson_iter_t iter, id;
    if (!bson_iter_init(&iter, change) || !bson_iter_find_descendant(&iter, "documentKey._id", &id) ||
        !BSON_ITER_HOLDS_UTF8(&id) ||
        strncmp(bson_iter_utf8(&id, NULL), SEEN_PREFIX, strlen(SEEN_PREFIX)) != 0)
        return;
    size_t watched = strtoul(bson_iter_utf8(&id, NULL) + strlen(SEEN_PREFIX), NULL, 10) / SEEN_EVERY;
    if (watched >= seen->count || seen->at[watched])
        return;
    seen->at[watched] = now_ns;
    atomic_fetch_add(&seen->documents, 1);
}

static void *seen_thread(void *context)
{
    struct seen *seen = context;
    const bson_t *change;
    while (!atomic_load(&seen->closing) && atomic_load(&seen->documents) < seen->count)
        while (mongoc_change_stream_next(seen->stream, &change))
            seen_note(seen, change, seen_clock_ns());
    return NULL;
}

static bool seen_watch(struct seen *seen)
{
    bson_t *pipeline = BCON_NEW("pipeline", "[", "{", "$match", "{", "operationType", BCON_UTF8("insert"),
        "documentKey._id", "{", "$regex", BCON_UTF8("^" SEEN_PREFIX), "}", "}", "}", "{", "$project", "{",
        "documentKey", BCON_INT32(1), "}", "}", "]");
    bson_t *options = BCON_NEW("maxAwaitTimeMS", BCON_INT64(200), "batchSize", BCON_INT32(5000));
    seen->stream = mongoc_collection_watch(seen->collection, pipeline, options);
    bson_destroy(pipeline);
    bson_destroy(options);
    bson_error_t why;
    const bson_t *document;
    if (!seen->stream || mongoc_change_stream_error_document(seen->stream, &why, &document)) {
        fprintf(stderr, "impcert-latency: %s\n", seen->stream ? why.message : "no change stream");
        return false;
    }
    return pthread_create(&seen->thread, NULL, seen_thread, seen) == 0;
}

struct seen *seen_open(const char *uri, const char *database, const char *collection, size_t count)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (!seen)
        return NULL;
    seen->events = count;
    seen->count = (count + SEEN_EVERY - 1) / SEEN_EVERY;
    seen->at = calloc(seen->count, sizeof *seen->at);
    seen->client = mongoc_client_new(uri);
    seen->counter = mongoc_client_new(uri);
    if (seen->at && seen->client && seen->counter) {
        seen->counted = mongoc_client_get_collection(seen->counter, database, collection);
        seen->collection = mongoc_client_get_collection(seen->client, database, collection);
        if (seen_watch(seen))
            return seen;
    }
    atomic_store(&seen->closing, true);
    seen_close(seen);
    return NULL;
}

static bool seen_all(struct seen *seen)
{
    bson_error_t why;
    return atomic_load(&seen->documents) == seen->count &&
           mongoc_collection_estimated_document_count(seen->counted, NULL, NULL, NULL, &why) ==
               (int64_t)seen->events;
}

bool seen_wait(struct seen *seen, int64_t patience_ns)
{
    int64_t until = seen_clock_ns() + patience_ns;
    const struct timespec pause = {.tv_nsec = 5000000};
    bool all;
    while (!(all = seen_all(seen)) && seen_clock_ns() < until)
        nanosleep(&pause, NULL);
    atomic_store(&seen->closing, true);
    pthread_join(seen->thread, NULL);
    seen->thread = 0;
    if (!all)
        fprintf(stderr, "impcert-latency: %zu of %zu watched events, or not all others, became documents\n",
            seen->documents, seen->count);
    return all;
}

int64_t seen_at(const struct seen *seen, size_t event)
{
    return seen->at[event / SEEN_EVERY];
}

void seen_close(struct seen *seen)
{
    if (!seen)
        return;
    if (seen->thread) {
        atomic_store(&seen->closing, true);
        pthread_join(seen->thread, NULL);
    }
    mongoc_change_stream_destroy(seen->stream);
    mongoc_collection_destroy(seen->collection);
    mongoc_client_destroy(seen->client);
    mongoc_collection_destroy(seen->counted);
    mongoc_client_destroy(seen->counter);
    free(seen->at);
    free(seen);
}
