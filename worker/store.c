/* The store: the loop thread gathers batches and hands them to a few threads that write them. Owns the
 * threads and the two queues; a batch belongs to the thread that holds it. */
#include "worker/store.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/batch.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Two batches under way keep MongoDB busy while replies travel; a few ms of age let a batch fill, unless all
 * threads are busy, when it fills anyway. */
#define STORE_LINGER (5 * CLOCK_MS)
#define STORE_BACKOFF_BASE (100 * CLOCK_MS)
#define STORE_BACKOFF_MAX (5 * CLOCK_S)

struct store {
    /* loop thread */
    struct job_list filling; /* not handed over yet */
    size_t filling_count;
    int64_t filling_since_ns;
    int busy;            /* batches handed over and not back */
    size_t handed_count; /* jobs in them */
    struct job_list collected;
    pthread_t threads[STORE_THREADS];
    int started;

    /* any thread */
    struct chan *work; /* batches to write; closed at the end */
    struct chan *done; /* batches that came back */
    mongoc_client_pool_t *clients;
    const char *database, *collection;
    struct health_part *health;
    struct metrics *metrics;
};

/* The index that backends find a person by. Not being allowed to make it is no reason not to store. */
static void store_ensure_index(struct store *store, mongoc_client_t *client)
{
    bson_error_t why;
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(store->collection), "indexes", "[", "{", "key", "{",
        "unique_key", BCON_INT32(1), "}", "name", BCON_UTF8("unique_key_1"), "}", "]");
    if (!mongoc_client_write_command_with_opts(client, store->database, command, NULL, NULL, &why))
        log_warn("the index on unique_key could not be made", LOG_TEXT("error", why.message));
    bson_destroy(command);
}

static void store_failed(struct store *store, struct backoff *backoff, int failures, const char *reason)
{
    metrics_add(store->metrics, METRIC_STORE_FAILURES, 1);
    health_fail(store->health, "%s", reason);
    chan_wait_closed(store->work, clock_ns() + backoff_delay(backoff, failures));
}

static bool store_closed(struct store *store)
{
    return chan_wait_closed(store->work, 0);
}

/* Asks until MongoDB answers, so that readiness says from the start whether it is there. */
static void store_greet(struct store *store, mongoc_client_t *client, struct backoff *backoff)
{
    bson_error_t why;
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    for (int failures = 1; !store_closed(store); failures++) {
        mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
        bool there = mongoc_client_command_simple(client, store->database, ping, primary, NULL, &why);
        mongoc_read_prefs_destroy(primary);
        if (there) {
            health_ok(store->health);
            break;
        }
        store_failed(store, backoff, failures, why.message);
    }
    bson_destroy(ping);
}

static void store_write(
    struct store *store, mongoc_collection_t *collection, struct batch *batch, struct backoff *backoff)
{
    struct error error;
    for (int failures = 1;; failures++) {
        int64_t begun = clock_ns();
        bool written = batch_write(batch, collection, store->metrics, &error);
        metrics_observe(store->metrics, HISTOGRAM_STORE, clock_ns() - begun);
        metrics_observe(store->metrics, HISTOGRAM_STORE_BATCH, (int64_t)batch->count);
        metrics_add(store->metrics, METRIC_STORE_BATCHES, 1);
        if (written)
            break;
        store_failed(store, backoff, failures, error.text);
        if (store_closed(store)) {
            free(batch);
            return;
        }
    }
    health_ok(store->health);
    chan_give(store->done, &batch->item);
}

static void *store_thread(void *context)
{
    struct store *store = context;
    struct backoff backoff;
    backoff_init(&backoff, STORE_BACKOFF_BASE, STORE_BACKOFF_MAX);
    mongoc_client_t *client = mongoc_client_pool_pop(store->clients);
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client, store->database, store->collection);
    store_greet(store, client, &backoff);
    if (pthread_equal(pthread_self(), store->threads[0]) && !store_closed(store))
        store_ensure_index(store, client);
    struct chan_item *item;
    while ((item = chan_take(store->work, CLOCK_NEVER)))
        store_write(store, collection, (struct batch *)(void *)item, &backoff);
    mongoc_collection_destroy(collection);
    mongoc_client_pool_push(store->clients, client);
    return NULL;
}

struct store *store_open(const struct settings *settings, mongoc_client_pool_t *clients, int wake_fd,
    struct health_part *health, struct metrics *metrics, struct error *error)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        error_set(error, "out of memory");
        return NULL;
    }
    TAILQ_INIT(&store->filling);
    TAILQ_INIT(&store->collected);
    store->clients = clients;
    store->database = settings_text(settings, SETTING_MONGODB_DATABASE);
    store->collection = settings_text(settings, SETTING_MONGODB_COLLECTION);
    store->health = health;
    store->metrics = metrics;
    store->work = chan_new(-1);
    store->done = chan_new(wake_fd);
    while (store->work && store->done && store->started < STORE_THREADS &&
           pthread_create(&store->threads[store->started], NULL, store_thread, store) == 0)
        store->started++;
    if (store->started == STORE_THREADS)
        return store;
    error_set(error, "the store's threads could not be started");
    store_close(store);
    return NULL;
}

static void store_free_batches(struct chan *chan)
{
    struct chan_item *item;
    while (chan && (item = chan_take(chan, 0)))
        free(item);
    chan_free(chan);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->work)
        chan_close(store->work);
    for (int i = 0; i < store->started; i++)
        pthread_join(store->threads[i], NULL);
    store_free_batches(store->work);
    store_free_batches(store->done);
    free(store);
}

void store_add(struct store *store, struct job *job, int64_t now_ns)
{
    if (!store->filling_count++)
        store->filling_since_ns = now_ns;
    job_move(job, NULL, &store->filling, JOB_STORING);
}

static bool store_due(const struct store *store, int64_t now_ns)
{
    return store->filling_count >= BATCH_MAX || (store->filling_count && store->busy < STORE_THREADS &&
                                                    now_ns - store->filling_since_ns >= STORE_LINGER);
}

/* Out of memory, the jobs stay where they are and the next turn tries again. */
static bool store_hand_over(struct store *store)
{
    struct batch *batch = malloc(sizeof *batch);
    if (!batch)
        return false;
    memset(batch->conflicts, 0, sizeof batch->conflicts);
    batch->count = 0;
    batch->waiting_code = 0;
    struct job *job;
    while (batch->count < BATCH_MAX && (job = TAILQ_FIRST(&store->filling))) {
        job_move(job, &store->filling, NULL, JOB_STORING);
        batch->states[batch->count] = BATCH_TO_INSERT;
        batch->jobs[batch->count++] = job;
    }
    store->filling_count -= batch->count;
    store->handed_count += batch->count;
    store->busy++;
    chan_give(store->work, &batch->item);
    return true;
}

void store_turn(struct store *store, int64_t now_ns)
{
    while (store_due(store, now_ns) && store_hand_over(store))
        ;
}

int64_t store_due_ns(const struct store *store)
{
    return store->filling_count && store->busy < STORE_THREADS ? store->filling_since_ns + STORE_LINGER
                                                               : CLOCK_NEVER;
}

size_t store_count(const struct store *store)
{
    return store->filling_count + store->handed_count;
}

struct job_list *store_collect(struct store *store)
{
    struct chan_item *item;
    while ((item = chan_take(store->done, 0))) {
        struct batch *batch = (struct batch *)(void *)item;
        for (size_t i = 0; i < batch->count; i++)
            job_move(batch->jobs[i], NULL, &store->collected, JOB_STORING);
        store->handed_count -= batch->count;
        store->busy--;
        free(batch);
    }
    return &store->collected;
}
