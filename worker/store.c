/* The store: the loop thread gathers batches and hands them to a few threads that write them. Owns the
 * threads and the two queues; a batch belongs to the thread that holds it. */
#include "worker/store.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/batch.h"
#include "worker/cipher.h"
#include "worker/indexes.h"
#include "worker/mongo_trouble.h"

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
    const struct settings *settings;
    mongoc_client_pool_t *clients;
    const char *database, *collection;
    struct health_part *health;
    struct metrics *metrics;
};

static void store_failed(struct store *store, struct backoff *backoff, int failures, const char *reason)
{
    metrics_add(store->metrics, METRIC_STORE_FAILURES, 1);
    health_fail(store->health, "%s%s", mongo_trouble(reason), reason);
    chan_wait_closed(store->work, clock_ns() + backoff_delay(backoff, failures));
}

static bool store_closed(struct store *store)
{
    return chan_wait_closed(store->work, 0);
}

static bool store_ping(const struct store *store, mongoc_client_t *client, struct error *error)
{
    bson_error_t why;
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    bool there = mongoc_client_command_simple(client, store->database, ping, primary, NULL, &why);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(ping);
    return there || error_set(error, "%s", why.message);
}

/* Asks until MongoDB answers, and can be given what is to be encrypted, so that readiness says from the start
 * whether events can be stored. */
static void store_greet(
    struct store *store, mongoc_client_t *client, struct cipher *cipher, struct backoff *backoff)
{
    struct error error;
    for (int failures = 1; !store_closed(store); failures++) {
        if (store_ping(store, client, &error) && (!cipher || cipher_ready(cipher, &error))) {
            health_ok(store->health);
            break;
        }
        store_failed(store, backoff, failures, error.text);
    }
}

static void store_write(
    struct store *store, const struct batch_target *target, struct batch *batch, struct backoff *backoff)
{
    struct error error;
    for (int failures = 1;; failures++) {
        int64_t begun = clock_ns();
        bool written = batch_write(batch, target, &error);
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

static void store_serve(
    struct store *store, mongoc_client_t *client, struct cipher *cipher, struct backoff *backoff)
{
    struct batch_target target = {
        .collection = mongoc_client_get_collection(client, store->database, store->collection),
        .cipher = cipher,
        .metrics = store->metrics,
    };
    store_greet(store, client, cipher, backoff);
    if (pthread_equal(pthread_self(), store->threads[0]) && !store_closed(store))
        indexes_ensure(store->settings, client);
    struct chan_item *item;
    while ((item = chan_take(store->work, CLOCK_NEVER)))
        store_write(store, &target, (struct batch *)(void *)item, backoff);
    mongoc_collection_destroy(target.collection);
}

/* Without memory for the cipher nothing is stored, rather than in plain text. */
static void *store_thread(void *context)
{
    struct store *store = context;
    struct backoff backoff;
    backoff_init(&backoff, STORE_BACKOFF_BASE, STORE_BACKOFF_MAX);
    mongoc_client_t *client = mongoc_client_pool_pop(store->clients);
    bool wanted = cipher_wanted(store->settings);
    struct cipher *cipher = wanted ? cipher_new(store->settings, client) : NULL;
    if (wanted && !cipher)
        health_fail(store->health, "out of memory");
    else
        store_serve(store, client, cipher, &backoff);
    cipher_free(cipher);
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
    store->settings = settings;
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
