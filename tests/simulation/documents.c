/* Stands in for worker/store.c, and is the MongoDB behind it. Main thread. A batch belongs to its store, a
 * write that is under way to the documents. */
#include "documents.h"

#include "common/clock.h"
#include "oracle.h"
#include "process.h"
#include "worker/store.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define STORE_LINGER (5 * CLOCK_MS)
enum { STORED_AT_ONCE = 500 };

struct write {
    const struct process *process;
    int64_t at_ns;
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct certification certification;
};

struct documents {
    struct world *world;
    struct write *writes; /* under way, in no order */
    size_t count, capacity;
};

struct documents *documents_new(struct world *world)
{
    struct documents *documents = world_alloc(sizeof *documents);
    documents->world = world;
    return documents;
}

static void documents_remove(struct documents *documents, size_t index)
{
    certification_cleanup(&documents->writes[index].certification);
    documents->writes[index] = documents->writes[--documents->count];
}

void documents_free(struct documents *documents)
{
    while (documents->count)
        documents_remove(documents, 0);
    free(documents->writes);
    free(documents);
}

int64_t documents_due_ns(const struct documents *documents)
{
    int64_t due = CLOCK_NEVER;
    for (size_t i = 0; i < documents->count; i++)
        if (documents->writes[i].at_ns < due)
            due = documents->writes[i].at_ns;
    return due;
}

void documents_turn(struct documents *documents)
{
    struct world *world = documents->world;
    for (size_t i = 0; i < documents->count;) {
        const struct write *write = &documents->writes[i];
        if (write->at_ns > world->now_ns) {
            i++;
            continue;
        }
        oracle_on_document(world, write->imp_uid, &write->certification);
        documents_remove(documents, i);
    }
}

void documents_cut(struct documents *documents, const struct process *process)
{
    for (size_t i = 0; i < documents->count;)
        if (documents->writes[i].process == process && dice_permille(&documents->world->dice, 500))
            documents_remove(documents, i);
        else
            i++;
}

static void documents_copy(struct certification *to, const struct certification *from)
{
    certification_init(to);
    struct buf text = to->text;
    *to = *from;
    to->text = text;
    if (!buf_append(&to->text, from->text.data, from->text.size))
        abort();
}

static void documents_write(
    struct documents *documents, const struct process *process, const struct job *job, int64_t at_ns)
{
    documents->writes =
        world_grow(documents->writes, documents->count, &documents->capacity, sizeof *documents->writes);
    struct write *write = &documents->writes[documents->count++];
    write->process = process;
    write->at_ns = at_ns;
    memcpy(write->imp_uid, job->imp_uid, sizeof write->imp_uid);
    documents_copy(&write->certification, &job->certification);
}

/* ---- the store of one worker ---- */

struct bundle {
    int64_t back_ns;
    struct job_list jobs;
    size_t count;
    bool busy;
};

struct store {
    struct world *world;
    struct process *process;
    struct job_list filling, collected;
    size_t filling_count;
    int64_t filling_since_ns;
    struct bundle bundles[STORE_THREADS];
};

struct store *store_open(const struct settings *settings, mongoc_client_pool_t *clients, int wake_fd,
    struct health_part *health, struct metrics *metrics, struct error *error)
{
    (void)settings, (void)clients, (void)wake_fd, (void)metrics, (void)error;
    struct store *store = world_alloc(sizeof *store);
    store->world = world_current();
    store->process = store->world->running;
    TAILQ_INIT(&store->filling);
    TAILQ_INIT(&store->collected);
    for (size_t i = 0; i < STORE_THREADS; i++)
        TAILQ_INIT(&store->bundles[i].jobs);
    health_ok(health);
    return store;
}

void store_close(struct store *store)
{
    free(store);
}

void store_add(struct store *store, struct job *job, int64_t now_ns)
{
    if (!store->filling_count++)
        store->filling_since_ns = now_ns;
    job_move(job, NULL, &store->filling, JOB_STORING);
}

/* When MongoDB has taken what is sent now. */
static int64_t store_taken_ns(struct world *world)
{
    const struct plan *plan = &world->plan;
    if (window_holds(&plan->store_away, world->now_ns))
        return plan->store_away.until_ns + dice_between(&world->dice, 0, 2 * CLOCK_S);
    return world_fault(world, plan->store_slow) ? world_after_ms(world, 50, 4000)
                                                : world_after_ms(world, 1, 10);
}

static bool store_refuses(const struct store *store, const struct job *job)
{
    const struct certified *one = truth_find(store->world->truth, job->imp_uid, strlen(job->imp_uid));
    return one && one->kind == KIND_REFUSED_BY_STORE;
}

static void store_send(struct store *store, struct bundle *bundle)
{
    struct world *world = store->world;
    struct job *job;
    int64_t taken_ns = store_taken_ns(world);
    bundle->busy = true;
    bundle->back_ns = taken_ns + dice_between(&world->dice, 0, 5 * CLOCK_MS);
    if (world->bug == BUG_ACKNOWLEDGE_FIRST)
        bundle->back_ns = world->now_ns;
    while (bundle->count < STORED_AT_ONCE && (job = TAILQ_FIRST(&store->filling))) {
        job_move(job, &store->filling, &bundle->jobs, JOB_STORING);
        bundle->count++;
        if (!store_refuses(store, job))
            documents_write(world->documents, store->process, job, taken_ns);
    }
    store->filling_count -= bundle->count;
}

static struct bundle *store_free_bundle(struct store *store)
{
    for (size_t i = 0; i < STORE_THREADS; i++)
        if (!store->bundles[i].busy)
            return &store->bundles[i];
    return NULL;
}

void store_turn(struct store *store, int64_t now_ns)
{
    struct bundle *bundle;
    while (store->filling_count && now_ns - store->filling_since_ns >= STORE_LINGER &&
           (bundle = store_free_bundle(store)))
        store_send(store, bundle);
}

/* A bundle that comes back wakes the worker. */
int64_t store_due_ns(const struct store *store)
{
    int64_t due = CLOCK_NEVER;
    bool idle = false;
    for (size_t i = 0; i < STORE_THREADS; i++) {
        idle = idle || !store->bundles[i].busy;
        if (store->bundles[i].busy && store->bundles[i].back_ns < due)
            due = store->bundles[i].back_ns;
    }
    if (store->filling_count && idle && store->filling_since_ns + STORE_LINGER < due)
        due = store->filling_since_ns + STORE_LINGER;
    return due;
}

size_t store_count(const struct store *store)
{
    size_t count = store->filling_count;
    for (size_t i = 0; i < STORE_THREADS; i++)
        count += store->bundles[i].count;
    return count;
}

static void store_take_back(struct store *store, struct bundle *bundle)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&bundle->jobs))) {
        if (store_refuses(store, job))
            verdict_set(&job->verdict, OUTCOME_REJECTED, REASON_STORE_REJECTED, "MongoDB refused it");
        job_move(job, &bundle->jobs, &store->collected, JOB_STORING);
    }
    bundle->count = 0;
    bundle->busy = false;
}

struct job_list *store_collect(struct store *store)
{
    for (size_t i = 0; i < STORE_THREADS; i++)
        if (store->bundles[i].busy && store->bundles[i].back_ns <= store->world->now_ns)
            store_take_back(store, &store->bundles[i]);
    return &store->collected;
}
