/* The loop of one worker and the way of an event through its rooms. Loop thread, apart from the public
 * functions. Owns every room and all jobs; each room owns the jobs that are inside it until they are
 * collected here and moved on. */
#include "worker/worker.h"

#include "common/chan.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/assignment.h"
#include "worker/forward.h"
#include "worker/http.h"
#include "worker/inflight.h"
#include "worker/intake.h"
#include "worker/job.h"
#include "worker/retry.h"
#include "worker/store.h"
#include "worker/token.h"
#include "worker/verify.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Nothing depends on a wake-up: the loop turns at least this often. */
enum { TURN_MS = 100, EVENTS_MAX = 256 };
/* Records are small. Large ones, which anybody may put on the topic, are bounded by their bytes. */
enum { RECORD_BYTES_MAX = 16 * 1024 * 1024 };

struct worker {
    const struct settings *settings;
    struct metrics *metrics;
    int exit_fd;
    pthread_t thread;
    bool started;
    _Atomic int64_t drain_until_ns; /* 0: run */
    _Atomic bool ended;
    struct error failure; /* of the thread, read after ended */

    int epoll_fd;
    int wake_fd; /* the rooms' libraries and threads signal here */
    struct job_pool *jobs;
    struct intake *intake;
    struct http *http;
    struct token *token;
    struct verify *verify;
    struct retry *retry;
    struct store *store;
    struct forward *forward;
    struct inflight inflight;

    struct job_list arrived; /* from intake, not looked at yet */
    struct job_list ready;   /* to be verified */
    struct job_list refused; /* answered 401: ready again with the next token */
    uint64_t refused_serial; /* of the token that is not to be used for them */
    size_t capacity;         /* jobs in flight at the most */
    size_t in_flight;
    size_t record_bytes; /* of the jobs in flight */
    bool draining;
};

/* ---- the way of an event ---- */

/* The one place where a job leaves the worker. */
static void worker_release(struct worker *worker, struct job *job)
{
    worker->in_flight--;
    worker->record_bytes -= job->record.size;
    job_pool_give(worker->jobs, job);
}

/* The job's event is stored or handed over, acknowledged: its offset may advance. */
static void worker_complete(struct worker *worker, struct job *job)
{
    job->state = JOB_ENDED;
    metrics_observe(worker->metrics, HISTOGRAM_EVENT, clock_ns() - job->begun_ns);
    intake_done(worker->intake, job);
    worker_release(worker, job);
}

/* The job's partition was given up: its new owner gets the event again. A twin from a partition that is still
 * held takes over. */
static void worker_drop(struct worker *worker, struct job *job)
{
    struct job *heir = job->imp_uid[0] ? inflight_succeed(&worker->inflight, job) : NULL;
    if (heir)
        job_move(heir, NULL, &worker->ready, JOB_READY);
    intake_drop(worker->intake, job);
    worker_release(worker, job);
}

static void worker_forward(struct worker *worker, struct job *job, int64_t now_ns)
{
    log_info("dead letter", LOG_TEXT("imp_uid", job->imp_uid),
        LOG_TEXT("reason", reason_name(job->verdict.reason)), LOG_TEXT("error", job->verdict.error),
        LOG_NUMBER("attempts", job->attempts), LOG_TEXT("topic", job->partition->topic),
        LOG_NUMBER("partition", job->partition->id), LOG_NUMBER("offset", job->offset));
    forward_send(worker->forward, job, now_ns);
}

/* The job, on no list, failed for good; its twins end as it does. */
static void worker_reject(struct worker *worker, struct job *job, int64_t now_ns)
{
    if (job->partition->state == PARTITION_GONE) {
        worker_drop(worker, job);
        return;
    }
    if (job->imp_uid[0])
        inflight_leave(&worker->inflight, job);
    struct job *twin;
    while ((twin = TAILQ_FIRST(&job->twins))) {
        job_move(twin, &job->twins, NULL, JOB_FORWARDING);
        twin->verdict = job->verdict;
        twin->attempts = job->attempts;
        twin->first_failed_ms = job->first_failed_ms;
        worker_forward(worker, twin, now_ns);
    }
    worker_forward(worker, job, now_ns);
}

static void worker_accept(struct worker *worker, struct job *job, int64_t now_ns)
{
    struct error why;
    size_t size;
    const char *value = job_value(job, &size);
    worker->in_flight++;
    worker->record_bytes += job->record.size;
    if (job->has_value && event_parse(value, size, job->imp_uid, &why)) {
        job_move(job, &worker->arrived, NULL, JOB_READY);
        if (inflight_join(&worker->inflight, job))
            job_move(job, NULL, &worker->ready, JOB_READY);
        return;
    }
    job->imp_uid[0] = '\0';
    job->first_failed_ms = clock_wall_ms();
    verdict_set(&job->verdict, OUTCOME_REJECTED, REASON_INVALID_EVENT, "%s",
        job->has_value ? why.text : "the value is null");
    metrics_count_reason(worker->metrics, METRIC_FAILED_TRIES, REASON_INVALID_EVENT);
    job_move(job, &worker->arrived, NULL, JOB_FORWARDING);
    worker_reject(worker, job, now_ns);
}

/* The job, on no list, goes on after a wait of at least least_ns and a backoff. */
static void worker_wait(
    struct worker *worker, struct job *job, int failures, int64_t least_ns, int64_t now_ns)
{
    metrics_add(worker->metrics, METRIC_RETRIES, 1);
    log_debug("try failed", LOG_TEXT("imp_uid", job->imp_uid),
        LOG_TEXT("reason", reason_name(job->verdict.reason)), LOG_TEXT("error", job->verdict.error),
        LOG_NUMBER("attempts", job->attempts));
    if (!retry_add(worker->retry, job, failures, least_ns, now_ns))
        job_move(job, NULL, &worker->ready, JOB_READY); /* out of memory: sooner than it should */
}

static void worker_failed_try(struct worker *worker, struct job *job, int64_t now_ns)
{
    metrics_count_reason(worker->metrics, METRIC_FAILED_TRIES, job->verdict.reason);
    job->attempts++;
    job->throttled = 0;
    job->token_renewed = false;
    if (job->verdict.outcome != OUTCOME_REJECTED && job->verdict.outcome != OUTCOME_LATER &&
        retry_left(worker->retry, job))
        worker_wait(worker, job, job->attempts, 0, now_ns);
    else
        worker_reject(worker, job, now_ns);
}

/* A token that was refused is replaced, and its job tries again with the next; refused once more it is a
 * failed try. */
static void worker_unauthorized(struct worker *worker, struct job *job, int64_t now_ns)
{
    token_refused(worker->token, job->token_serial, now_ns);
    if (job->token_renewed) {
        worker_failed_try(worker, job, now_ns);
        return;
    }
    job->token_renewed = true;
    worker->refused_serial = job->token_serial;
    job_move(job, NULL, &worker->refused, JOB_READY);
}

static void worker_release_refused(struct worker *worker)
{
    if (token_serial(worker->token) != worker->refused_serial)
        TAILQ_CONCAT(&worker->ready, &worker->refused, link);
}

static void worker_throttled(struct worker *worker, struct job *job, int64_t now_ns)
{
    metrics_count_reason(worker->metrics, METRIC_FAILED_TRIES, job->verdict.reason);
    worker_wait(worker, job, ++job->throttled, job->verdict.retry_after_s * CLOCK_S, now_ns);
}

static void worker_judge(struct worker *worker, struct job *job, int64_t now_ns)
{
    job_move(job, verify_answered(worker->verify), NULL, JOB_VERIFYING);
    if (job->verdict.outcome == OUTCOME_VERIFIED) {
        job->attempts++;
        store_add(worker->store, job, now_ns);
        return;
    }
    if (!job->first_failed_ms)
        job->first_failed_ms = clock_wall_ms();
    if (job->partition->state == PARTITION_GONE)
        worker_drop(worker, job);
    else if (job->verdict.outcome == OUTCOME_UNAUTHORIZED)
        worker_unauthorized(worker, job, now_ns);
    else if (job->verdict.outcome == OUTCOME_THROTTLED)
        worker_throttled(worker, job, now_ns);
    else
        worker_failed_try(worker, job, now_ns);
}

static void worker_stored(struct worker *worker, struct job *job, int64_t now_ns)
{
    job_move(job, store_collect(worker->store), NULL, JOB_STORING);
    if (job->verdict.outcome == OUTCOME_REJECTED) {
        job->first_failed_ms = job->first_failed_ms ? job->first_failed_ms : clock_wall_ms();
        metrics_count_reason(worker->metrics, METRIC_FAILED_TRIES, job->verdict.reason);
        worker_reject(worker, job, now_ns);
        return;
    }
    inflight_leave(&worker->inflight, job);
    struct job *twin;
    while ((twin = TAILQ_FIRST(&job->twins))) {
        job_move(twin, &job->twins, NULL, JOB_ENDED);
        metrics_add(worker->metrics, METRIC_STORED, 1);
        worker_complete(worker, twin);
    }
    metrics_add(worker->metrics, METRIC_STORED, 1);
    worker_complete(worker, job);
}

/* ---- the loop ---- */

static size_t worker_room(const struct worker *worker, int64_t now_ns)
{
    /* Without a token nothing is consumed: events are safer on Kafka. */
    if (worker->draining || !token_value(worker->token, now_ns) || worker->in_flight >= worker->capacity ||
        worker->record_bytes >= RECORD_BYTES_MAX)
        return 0;
    return worker->capacity - worker->in_flight;
}

static void worker_drop_orphans(struct worker *worker)
{
    struct job *job = TAILQ_FIRST(&worker->ready);
    while (job) {
        struct job *next = TAILQ_NEXT(job, link);
        if (job->partition->state == PARTITION_GONE) {
            job_move(job, &worker->ready, NULL, JOB_READY);
            worker_drop(worker, job);
        }
        job = next;
    }
}

static void worker_move_jobs(struct worker *worker, int64_t now_ns)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&worker->arrived)))
        worker_accept(worker, job, now_ns);
    while (retry_release(worker->retry, &worker->ready, now_ns))
        ;
    worker_release_refused(worker);
    worker_drop_orphans(worker);
    verify_start(worker->verify, &worker->ready, now_ns);
    while ((job = TAILQ_FIRST(verify_answered(worker->verify))))
        worker_judge(worker, job, now_ns);
    store_turn(worker->store, now_ns);
    while ((job = TAILQ_FIRST(store_collect(worker->store))))
        worker_stored(worker, job, now_ns);
    forward_turn(worker->forward, now_ns);
    while ((job = TAILQ_FIRST(forward_collect(worker->forward)))) {
        job_move(job, forward_collect(worker->forward), NULL, JOB_FORWARDING);
        worker_complete(worker, job);
    }
}

static void worker_turn(struct worker *worker)
{
    int64_t now = clock_ns();
    metrics_turned(worker->metrics, now);
    token_turn(worker->token, now);
    intake_turn(worker->intake, worker->jobs, worker_room(worker, now), &worker->arrived, now);
    worker_move_jobs(worker, now);
    http_turn(worker->http, clock_ns());
    metrics_set(worker->metrics, METRIC_IN_FLIGHT, worker->in_flight);
    metrics_set(worker->metrics, METRIC_WAITING, retry_count(worker->retry));
    metrics_set(worker->metrics, METRIC_STORING, store_count(worker->store));
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int worker_sleep_ms(const struct worker *worker)
{
    int64_t now = clock_ns();
    if (!TAILQ_EMPTY(verify_answered(worker->verify)) ||
        (intake_has_more(worker->intake) && worker_room(worker, now)))
        return 0;
    int64_t due = earlier(http_due_ns(worker->http), token_due_ns(worker->token));
    due = earlier(due, earlier(retry_due_ns(worker->retry), store_due_ns(worker->store)));
    due = earlier(due, forward_due_ns(worker->forward));
    if (due <= now)
        return 0;
    int64_t wait_ms = due == CLOCK_NEVER ? TURN_MS : (due - now + CLOCK_MS - 1) / CLOCK_MS;
    return (int)earlier(wait_ms, TURN_MS);
}

static void worker_sleep(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, worker_sleep_ms(worker));
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd != worker->wake_fd) {
            http_ready(worker->http, events[i].data.fd, events[i].events);
            continue;
        }
        uint64_t wakes;
        ssize_t got = read(worker->wake_fd, &wakes, sizeof wakes);
        (void)got; /* what woke us is looked at in each turn anyway */
    }
}

/* Without a token, and none being asked for, jobs that wait for one can't be finished. */
static bool worker_drained(const struct worker *worker, int64_t now_ns)
{
    return !worker->in_flight ||
           (!token_value(worker->token, now_ns) && !token_asking(worker->token) &&
               !verify_busy(worker->verify) && !store_count(worker->store) && !forward_busy(worker->forward));
}

static void worker_run_until_stop(struct worker *worker)
{
    while (!atomic_load(&worker->drain_until_ns) && !intake_failed(worker->intake, &worker->failure)) {
        worker_turn(worker);
        worker_sleep(worker);
    }
}

/* Finishes what is in flight, then commits and waits for the answer, all until the deadline. */
static void worker_drain(struct worker *worker)
{
    worker->draining = true;
    intake_stop(worker->intake);
    while (clock_ns() < atomic_load(&worker->drain_until_ns) && !worker_drained(worker, clock_ns())) {
        worker_turn(worker);
        worker_sleep(worker);
    }
    intake_commit(worker->intake);
    while (clock_ns() < atomic_load(&worker->drain_until_ns) && !intake_committed(worker->intake)) {
        worker_turn(worker);
        worker_sleep(worker);
    }
    log_info("drained", LOG_NUMBER("left_for_redelivery", (int64_t)worker->in_flight));
}

/* Leaves the group before anything that may have to wait. */
static void worker_close_rooms(struct worker *worker)
{
    intake_close(worker->intake);
    http_close(worker->http);
    forward_close(worker->forward);
    store_close(worker->store);
    verify_close(worker->verify);
    retry_free(worker->retry);
    token_close(worker->token);
    HASH_CLEAR(by_imp_uid, worker->inflight.leaders);
    job_pool_free(worker->jobs);
    worker->jobs = NULL;
    worker->intake = NULL;
    worker->http = NULL;
    worker->forward = NULL;
    worker->store = NULL;
    worker->verify = NULL;
    worker->retry = NULL;
    worker->token = NULL;
}

static void *worker_thread(void *context)
{
    struct worker *worker = context;
    worker_run_until_stop(worker);
    if (!worker->failure.text[0])
        worker_drain(worker);
    worker_close_rooms(worker);
    atomic_store(&worker->ended, true);
    wake_signal(worker->exit_fd);
    return NULL;
}

/* ---- opening and closing, on the main thread ---- */

static bool worker_open_loop(struct worker *worker, struct error *error)
{
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = worker->wake_fd};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) == 0 ||
           error_set(error, "no file descriptor for the loop: %s", strerror(errno));
}

static bool worker_open_rooms(
    struct worker *worker, mongoc_client_pool_t *clients, struct health *health, struct error *error)
{
    const struct settings *settings = worker->settings;
    struct health_part *kafka = health_add(health, "kafka"), *iamport = health_add(health, "iamport");
    struct health_part *mongodb = health_add(health, "mongodb"), *dlq = health_add(health, "dlq");
    struct http_config http = {
        .timeout_ms = settings_ms(settings, SETTING_TIMEOUT),
        .connect_timeout_ms = settings_ms(settings, SETTING_CONNECT_TIMEOUT),
        .connections = (int64_t)worker->capacity + 1,
    };
    if (!kafka || !iamport || !mongodb || !dlq)
        return error_set(error, "out of memory");
    worker->jobs = job_pool_new(worker->capacity);
    worker->retry = retry_new(settings);
    worker->http = http_open(&http, worker->epoll_fd, error);
    if (!worker->jobs || !worker->retry || !worker->http)
        return error_set(error, "out of memory");
    worker->token = token_open(settings, worker->http, iamport, worker->metrics);
    worker->verify =
        worker->token ? verify_open(settings, worker->http, worker->token, worker->metrics) : NULL;
    if (!worker->verify)
        return error_set(error, "out of memory");
    worker->forward = forward_open(settings, worker->wake_fd, dlq, worker->metrics, error);
    worker->intake =
        worker->forward ? intake_open(settings, worker->wake_fd, kafka, worker->metrics, error) : NULL;
    worker->store = worker->intake
                        ? store_open(settings, clients, worker->wake_fd, mongodb, worker->metrics, error)
                        : NULL;
    return worker->store;
}

struct worker *worker_open(const struct settings *settings, mongoc_client_pool_t *clients,
    struct health *health, struct metrics *metrics, int exit_fd, struct error *error)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker) {
        error_set(error, "out of memory");
        return NULL;
    }
    worker->settings = settings;
    worker->metrics = metrics;
    worker->exit_fd = exit_fd;
    worker->capacity = (size_t)settings_number(settings, SETTING_IN_FLIGHT);
    TAILQ_INIT(&worker->arrived);
    TAILQ_INIT(&worker->ready);
    TAILQ_INIT(&worker->refused);
    metrics_turned(metrics, clock_ns());
    if (worker_open_loop(worker, error) && worker_open_rooms(worker, clients, health, error))
        return worker;
    worker_close(worker);
    return NULL;
}

void worker_close(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->started) {
        worker_stop(worker, clock_ns());
        pthread_join(worker->thread, NULL);
    }
    worker_close_rooms(worker);
    close(worker->epoll_fd);
    close(worker->wake_fd);
    free(worker);
}

bool worker_start(struct worker *worker, struct error *error)
{
    int result = pthread_create(&worker->thread, NULL, worker_thread, worker);
    worker->started = result == 0;
    return worker->started || error_set(error, "a thread could not be started: %s", strerror(result));
}

void worker_stop(struct worker *worker, int64_t drain_until_ns)
{
    atomic_store(&worker->drain_until_ns, drain_until_ns);
    wake_signal(worker->wake_fd);
}

bool worker_ended(struct worker *worker, struct error *error)
{
    if (!atomic_load(&worker->ended))
        return false;
    *error = worker->failure;
    return true;
}
