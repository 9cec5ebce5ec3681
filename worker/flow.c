/* The way of an event through the rooms of one worker. Loop thread. Owns every room and all jobs; each room
 * owns the jobs that are inside it until they are collected here and moved on. */
#include "worker/flow.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/traceparent.h"
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

#include <stdlib.h>

/* Records are small. Large ones, which anybody may put on the topic, are bounded by their bytes. */
enum { RECORD_BYTES_MAX = 16 * 1024 * 1024 };
#define FLOW_REPORT_EVERY CLOCK_S

struct flow {
    const struct tiers *tiers; /* borrowed */
    struct metrics *metrics;   /* borrowed */
    struct job_pool *jobs;
    struct intake *intakes[INTAKE_SOURCES];
    size_t intake_count;
    size_t next_intake; /* takes records first in this turn */
    struct http *http;
    struct token *token;
    struct verify *verify;
    struct retry *retry;
    struct store *store;
    struct forward *forward;
    struct inflight inflight;

    struct job_list arrived; /* from the intakes, not looked at yet */
    struct job_list ready;   /* to be verified */
    struct job_list refused; /* answered 401: ready again with the next token */
    uint64_t refused_serial; /* of the token that is not to be used for them */
    size_t capacity;         /* jobs in flight at the most */
    size_t in_flight;
    size_t record_bytes;   /* of the jobs in flight */
    uint64_t probes_fed;   /* failed probes after which records have come in */
    int64_t report_due_ns; /* when partitions are reported again */
    bool draining;
    bool finishing;
};

/* ---- the way of an event ---- */

/* Where the job came from. */
static struct intake *flow_intake(const struct flow *flow, const struct job *job)
{
    return flow->intakes[job->partition->tier == TIER_MAIN ? INTAKE_MAIN : INTAKE_RETRY];
}

/* The one place where a job ends. */
static void flow_release(struct flow *flow, struct job *job)
{
    flow->in_flight--;
    flow->record_bytes -= job->record.size;
    job_pool_give(flow->jobs, job);
}

/* What identifies an event, on every line about one. */
#define LOG_JOB(job, trace)                                                                                  \
    LOG_TEXT("imp_uid", (job)->imp_uid), LOG_TEXT("topic", (job)->partition->topic),                         \
        LOG_NUMBER("partition", (job)->partition->id), LOG_NUMBER("offset", (job)->offset),                  \
        LOG_TEXT_IF_ANY("trace_id", trace)

static void flow_log_failure(enum log_level level, const char *message, const struct job *job)
{
    char trace[TRACEPARENT_ID_SIZE];
    if (!log_enabled(level))
        return;
    traceparent_id(job->headers, trace);
    log_fields(level, message, LOG_JOB(job, trace), LOG_TEXT("reason", reason_name(job->verdict.reason)),
        LOG_TEXT("error", job->verdict.error), LOG_NUMBER("attempts", job->attempts), LOG_END);
}

static void flow_log_stored(const struct job *job)
{
    char trace[TRACEPARENT_ID_SIZE];
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    traceparent_id(job->headers, trace);
    log_debug("stored", LOG_JOB(job, trace), LOG_NUMBER("attempts", job->attempts));
}

/* The job's event is stored or handed over, acknowledged: its offset may advance. */
static void flow_complete(struct flow *flow, struct job *job)
{
    job->state = JOB_ENDED;
    metrics_observe(flow->metrics, HISTOGRAM_EVENT, clock_ns() - job->begun_ns);
    metrics_observe(flow->metrics, HISTOGRAM_EVENT_ATTEMPTS, job->attempts);
    intake_done(flow_intake(flow, job), job);
    flow_release(flow, job);
}

/* The job's partition was given up: its new owner gets the event again. A twin from a partition that is still
 * held takes over. */
static void flow_drop(struct flow *flow, struct job *job)
{
    struct job *heir = job->imp_uid[0] ? inflight_succeed(&flow->inflight, job) : NULL;
    if (heir)
        job_move(heir, NULL, &flow->ready, JOB_READY);
    intake_drop(flow_intake(flow, job), job);
    flow_release(flow, job);
}

/* What is refused for good is a dead letter at once; the rest takes the next retry tier while there is one.
 */
static void flow_forward(struct flow *flow, struct job *job, int64_t now_ns)
{
    job->to_tier =
        job->verdict.outcome == OUTCOME_REJECTED ? TIER_NONE : tiers_next(flow->tiers, job->partition->tier);
    flow_log_failure(LOG_LEVEL_INFO, job->to_tier == TIER_NONE ? "dead letter" : "deferred", job);
    forward_send(flow->forward, job, now_ns);
}

/* The job, on no list, can't be verified now, or never; its twins end as it does. */
static void flow_give_up(struct flow *flow, struct job *job, int64_t now_ns)
{
    if (job->partition->state == PARTITION_GONE) {
        flow_drop(flow, job);
        return;
    }
    if (job->imp_uid[0])
        inflight_leave(&flow->inflight, job);
    struct job *twin;
    while ((twin = TAILQ_FIRST(&job->twins))) {
        job_move(twin, &job->twins, NULL, JOB_FORWARDING);
        twin->verdict = job->verdict;
        twin->attempts = job->attempts;
        twin->first_failed_ms = job->first_failed_ms;
        flow_forward(flow, twin, now_ns);
    }
    flow_forward(flow, job, now_ns);
}

static void flow_accept(struct flow *flow, struct job *job, int64_t now_ns)
{
    struct error why;
    size_t size;
    const char *value = job_value(job, &size);
    flow->in_flight++;
    flow->record_bytes += job->record.size;
    if (job->has_value && event_parse(value, size, job->imp_uid, &why)) {
        job_move(job, &flow->arrived, NULL, JOB_READY);
        if (!inflight_join(&flow->inflight, job))
            return;
        if (job->due_ns <= now_ns || !retry_add_due(flow->retry, job))
            job_move(job, NULL, &flow->ready, JOB_READY);
        return;
    }
    job->imp_uid[0] = '\0';
    job->first_failed_ms = clock_wall_ms();
    verdict_set(&job->verdict, OUTCOME_REJECTED, REASON_INVALID_EVENT, "%s",
        job->has_value ? why.text : "the value is null");
    metrics_count_reason(flow->metrics, METRIC_FAILED_TRIES, REASON_INVALID_EVENT);
    job_move(job, &flow->arrived, NULL, JOB_FORWARDING);
    flow_give_up(flow, job, now_ns);
}

static void flow_note_failure(struct flow *flow, const struct job *job)
{
    metrics_count_reason(flow->metrics, METRIC_FAILED_TRIES, job->verdict.reason);
    flow_log_failure(LOG_LEVEL_DEBUG, "try failed", job);
}

/* The job, on no list, goes on after the backoff behind that many failures. */
static void flow_wait(struct flow *flow, struct job *job, int failures, int64_t now_ns)
{
    metrics_add(flow->metrics, METRIC_RETRIES, 1);
    if (!retry_add(flow->retry, job, failures, now_ns))
        job_move(job, NULL, &flow->ready, JOB_READY); /* out of memory: sooner than it should */
}

static void flow_failed_try(struct flow *flow, struct job *job, int64_t now_ns)
{
    job->attempts++;
    job->unspent = 0;
    job->token_renewed = false;
    flow_note_failure(flow, job);
    if (job->verdict.outcome != OUTCOME_REJECTED && job->verdict.outcome != OUTCOME_LATER &&
        retry_left(flow->retry, job))
        flow_wait(flow, job, job->attempts, now_ns);
    else
        flow_give_up(flow, job, now_ns);
}

/* A token that was refused is replaced, and its job tries again with the next; refused once more it is a
 * failed try. */
static void flow_unauthorized(struct flow *flow, struct job *job, int64_t now_ns)
{
    token_refused(flow->token, job->token_serial, now_ns);
    if (job->token_renewed) {
        flow_failed_try(flow, job, now_ns);
        return;
    }
    job->token_renewed = true;
    flow->refused_serial = job->token_serial;
    job_move(job, NULL, &flow->refused, JOB_READY);
}

static void flow_release_refused(struct flow *flow)
{
    if (token_serial(flow->token) != flow->refused_serial)
        TAILQ_CONCAT(&flow->ready, &flow->refused, link);
}

/* 429, or a failure in an outage: the gates before the ready list say when to go on. The wait is the job's
 * own, for an event that alone is answered so. */
static void flow_failed_unspent(struct flow *flow, struct job *job, int64_t now_ns)
{
    flow_note_failure(flow, job);
    flow_wait(flow, job, ++job->unspent, now_ns);
}

static void flow_judge(struct flow *flow, struct job *job, int64_t now_ns)
{
    enum outcome outcome = job->verdict.outcome;
    job_move(job, verify_answered(flow->verify), NULL, JOB_VERIFYING);
    if (outcome == OUTCOME_VERIFIED) {
        job->attempts++;
        store_add(flow->store, job, now_ns);
        return;
    }
    if (!job->first_failed_ms)
        job->first_failed_ms = clock_wall_ms();
    if (job->partition->state == PARTITION_GONE)
        flow_drop(flow, job);
    else if (outcome == OUTCOME_UNAUTHORIZED)
        flow_unauthorized(flow, job, now_ns);
    else if (outcome == OUTCOME_THROTTLED || outcome == OUTCOME_OUTAGE)
        flow_failed_unspent(flow, job, now_ns);
    else
        flow_failed_try(flow, job, now_ns);
}

/* Since when the event is on its way: on a retry topic, where each hop has a timestamp of its own, since it
 * first failed. */
static int64_t flow_published_ms(const struct job *job)
{
    struct letter_history history;
    if (job->partition->tier == TIER_MAIN)
        return job->published_ms;
    letter_read(job->headers, &history);
    return history.first_failed_ms ? history.first_failed_ms : job->published_ms;
}

/* A document of it is acknowledged, by this job's call or its twin's. */
static void flow_store_done(struct flow *flow, struct job *job, int64_t wall_ms)
{
    int64_t published_ms = flow_published_ms(job);
    metrics_add(flow->metrics, METRIC_STORED, 1);
    if (published_ms > 0)
        metrics_observe(flow->metrics, HISTOGRAM_EVENT_STORED, (wall_ms - published_ms) * CLOCK_MS);
    flow_log_stored(job);
    flow_complete(flow, job);
}

static void flow_stored(struct flow *flow, struct job *job, int64_t now_ns)
{
    job_move(job, store_collect(flow->store), NULL, JOB_STORING);
    if (job->verdict.outcome == OUTCOME_REJECTED) {
        job->first_failed_ms = job->first_failed_ms ? job->first_failed_ms : clock_wall_ms();
        metrics_count_reason(flow->metrics, METRIC_FAILED_TRIES, job->verdict.reason);
        flow_give_up(flow, job, now_ns);
        return;
    }
    inflight_leave(&flow->inflight, job);
    int64_t wall_ms = clock_wall_ms();
    struct job *twin;
    while ((twin = TAILQ_FIRST(&job->twins))) {
        job_move(twin, &job->twins, NULL, JOB_ENDED);
        flow_store_done(flow, twin, wall_ms);
    }
    flow_store_done(flow, job, wall_ms);
}

/* ---- a turn ---- */

/* So many jobs that are being stored don't count against the capacity: it is to be what the API can be asked
 * at once. */
static size_t flow_storing_most(size_t capacity)
{
    return capacity / 8;
}

/* Jobs in flight that count against the capacity. */
static size_t flow_counted(const struct flow *flow)
{
    size_t storing = store_count(flow->store), most = flow_storing_most(flow->capacity);
    return flow->in_flight - (storing < most ? storing : most);
}

/* In an outage, only jobs to probe with: enough to end a pause of the partitions. While there is one that has
 * never failed, none but after each probe that failed: those that are there may all be at fault themselves.
 */
static size_t flow_probe_room(const struct flow *flow)
{
    size_t enough = flow->capacity / 4 + 1, left = flow->capacity - flow_counted(flow);
    bool fed = flow->probes_fed == verify_failed_probes(flow->verify);
    if (verify_has_fresh(flow->verify) && (fed || left < flow->capacity / 2))
        return 0;
    return enough < left ? enough : left;
}

static size_t flow_room(const struct flow *flow, int64_t now_ns)
{
    /* Without a token nothing is consumed: events are safer on Kafka. */
    if (flow->draining || !token_value(flow->token, now_ns) || flow_counted(flow) >= flow->capacity ||
        flow->record_bytes >= RECORD_BYTES_MAX)
        return 0;
    return verify_suspended(flow->verify) ? flow_probe_room(flow) : flow->capacity - flow_counted(flow);
}

/* New events and those to be tried again take turns at being first, so that neither keeps the other out. */
static void flow_consume(struct flow *flow, int64_t now_ns)
{
    size_t room = flow_room(flow, now_ns), partitions = 0;
    for (size_t i = 0; i < flow->intake_count; i++) {
        struct intake *intake = flow->intakes[(flow->next_intake + i) % flow->intake_count];
        size_t used = intake_turn(intake, room, &flow->arrived, now_ns);
        room -= used < room ? used : room;
        if (used)
            flow->probes_fed = verify_failed_probes(flow->verify);
        partitions += intake_partitions(intake);
    }
    flow->next_intake++;
    metrics_set(flow->metrics, METRIC_PARTITIONS, partitions);
}

/* Jobs that wait for a call and whose partition is asked back, or gone: its next owner gets them. */
static void flow_drop_orphans(struct flow *flow)
{
    struct job *job = TAILQ_FIRST(&flow->ready);
    while (job) {
        struct job *next = TAILQ_NEXT(job, link);
        if (job->partition->state != PARTITION_ASSIGNED) {
            job_move(job, &flow->ready, NULL, JOB_READY);
            flow_drop(flow, job);
        }
        job = next;
    }
}

static void flow_move_jobs(struct flow *flow, int64_t now_ns)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&flow->arrived)))
        flow_accept(flow, job, now_ns);
    while (retry_release(flow->retry, &flow->ready, now_ns))
        ;
    flow_release_refused(flow);
    flow_drop_orphans(flow);
    if (!flow->finishing)
        verify_start(flow->verify, &flow->ready, now_ns);
    while ((job = TAILQ_FIRST(verify_answered(flow->verify))))
        flow_judge(flow, job, now_ns);
    store_turn(flow->store, now_ns);
    while ((job = TAILQ_FIRST(store_collect(flow->store))))
        flow_stored(flow, job, now_ns);
    forward_turn(flow->forward, now_ns);
    while ((job = TAILQ_FIRST(forward_collect(flow->forward)))) {
        job_move(job, forward_collect(flow->forward), NULL, JOB_FORWARDING);
        flow_complete(flow, job);
    }
}

static void flow_see_begin(struct job *job)
{
    if (job->begun_ns < job->partition->oldest_ns)
        job->partition->oldest_ns = job->begun_ns;
}

/* What takes a look at every job and partition is done now and then. */
static void flow_report(struct flow *flow, int64_t now_ns)
{
    metrics_set(flow->metrics, METRIC_IN_FLIGHT, flow->in_flight);
    metrics_set(flow->metrics, METRIC_WAITING, retry_count(flow->retry));
    metrics_set(flow->metrics, METRIC_STORING, store_count(flow->store));
    if (now_ns < flow->report_due_ns)
        return;
    flow->report_due_ns = now_ns + FLOW_REPORT_EVERY;
    job_pool_each(flow->jobs, flow_see_begin);
    for (size_t i = 0; i < flow->intake_count; i++)
        intake_report(flow->intakes[i]);
}

void flow_turn(struct flow *flow)
{
    int64_t now = clock_ns();
    metrics_turned(flow->metrics, now);
    token_turn(flow->token, now);
    flow_consume(flow, now);
    flow_move_jobs(flow, now);
    http_turn(flow->http, clock_ns());
    if (!flow->in_flight)
        verify_idle(flow->verify, now);
    flow_report(flow, now);
}

static int64_t flow_records_due_ns(const struct flow *flow, int64_t now_ns)
{
    int64_t due = CLOCK_NEVER;
    if (!flow_room(flow, now_ns))
        return due;
    for (size_t i = 0; i < flow->intake_count; i++) {
        if (intake_has_more(flow->intakes[i]))
            return now_ns;
        due = clock_earlier(due, intake_due_ns(flow->intakes[i]));
    }
    return due;
}

int64_t flow_due_ns(const struct flow *flow)
{
    int64_t now = clock_ns();
    if (!TAILQ_EMPTY(verify_answered(flow->verify)))
        return now;
    int64_t due = clock_earlier(http_due_ns(flow->http), token_due_ns(flow->token));
    due = clock_earlier(due, clock_earlier(retry_due_ns(flow->retry), store_due_ns(flow->store)));
    due = clock_earlier(due, forward_due_ns(flow->forward));
    due = clock_earlier(due, flow_records_due_ns(flow, now));
    return TAILQ_EMPTY(&flow->ready) ? due : clock_earlier(due, verify_due_ns(flow->verify));
}

void flow_socket(struct flow *flow, int fd, uint32_t events)
{
    http_ready(flow->http, fd, events);
}

bool flow_failed(const struct flow *flow, struct error *error)
{
    for (size_t i = 0; i < flow->intake_count; i++)
        if (intake_failed(flow->intakes[i], error))
            return true;
    return false;
}

/* ---- the end ---- */

void flow_drain(struct flow *flow)
{
    flow->draining = true;
    for (size_t i = 0; i < flow->intake_count; i++)
        intake_stop(flow->intakes[i]);
}

int64_t flow_drain_jobs_until_ns(int64_t begun_ns, int64_t until_ns)
{
    int64_t tenth = (until_ns - begun_ns) / 10;
    return until_ns - (tenth < CLOCK_S ? tenth : CLOCK_S);
}

/* Whether a call is running, or one may start before the drain has to end. */
static bool flow_may_verify(const struct flow *flow, int64_t now_ns, int64_t until_ns)
{
    if (verify_busy(flow->verify) || token_asking(flow->token))
        return true;
    return token_value(flow->token, now_ns) && verify_opens_before(flow->verify, until_ns);
}

bool flow_drained(const struct flow *flow, int64_t until_ns)
{
    if (!flow->in_flight)
        return true;
    return !store_count(flow->store) && !forward_busy(flow->forward) &&
           !flow_may_verify(flow, clock_ns(), until_ns);
}

void flow_finish(struct flow *flow)
{
    flow->finishing = true;
    for (size_t i = 0; i < flow->intake_count; i++)
        intake_commit(flow->intakes[i]);
}

bool flow_finished(const struct flow *flow)
{
    if (verify_busy(flow->verify) || store_count(flow->store) || forward_busy(flow->forward))
        return false;
    for (size_t i = 0; i < flow->intake_count; i++)
        if (!intake_committed(flow->intakes[i]))
            return false;
    return true;
}

size_t flow_in_flight(const struct flow *flow)
{
    return flow->in_flight;
}

/* ---- opening and closing ---- */

static bool flow_open_calls(struct flow *flow, const struct flow_config *config, struct health_part *iamport,
    struct health_part *circuit, struct error *error)
{
    const struct settings *settings = config->settings;
    struct http_config http = {
        .url = settings_text(settings, SETTING_IAMPORT_URL),
        .timeout_ms = settings_ms(settings, SETTING_TIMEOUT),
        .connect_timeout_ms = settings_ms(settings, SETTING_CONNECT_TIMEOUT),
        .ca_file = settings_text(settings, SETTING_CA_FILE),
        .connections = (int64_t)flow->capacity + 1,
    };
    flow->retry = retry_new(settings);
    flow->http = http_open(&http, config->epoll_fd, error);
    if (!flow->http)
        return false;
    if (!flow->retry)
        return error_set(error, "out of memory");
    flow->token = token_open(settings, flow->http, iamport, flow->metrics);
    if (!flow->token)
        return error_set(error, "out of memory");
    struct verify_config verify = {
        .settings = settings,
        .http = flow->http,
        .token = flow->token,
        .limiter = config->limiter,
        .health = circuit,
        .metrics = flow->metrics,
    };
    flow->verify = verify_open(&verify);
    return flow->verify || error_set(error, "out of memory");
}

static bool flow_open_intake(
    struct flow *flow, const struct flow_config *config, enum intake_source source, struct error *error)
{
    struct intake_config intake = {
        .settings = config->settings,
        .tiers = flow->tiers,
        .topics = config->topics,
        .source = source,
        .number = config->number,
        .wake_fd = config->wake_fd,
        .jobs = flow->jobs,
        .health = health_add(config->health, "kafka"),
        .metrics = flow->metrics,
    };
    if (!intake.health)
        return error_set(error, "out of memory");
    flow->intakes[source] = intake_open(&intake, error);
    flow->intake_count += flow->intakes[source] != NULL;
    return flow->intakes[source];
}

static bool flow_open_ends(struct flow *flow, const struct flow_config *config, struct health_part *mongodb,
    struct health_part *forwarding, struct error *error)
{
    struct forward_config forward = {
        .settings = config->settings,
        .tiers = flow->tiers,
        .wake_fd = config->wake_fd,
        .health = forwarding,
        .metrics = flow->metrics,
    };
    flow->forward = forward_open(&forward, error);
    if (!flow->forward || !flow_open_intake(flow, config, INTAKE_MAIN, error))
        return false;
    if (flow->tiers->count && !flow_open_intake(flow, config, INTAKE_RETRY, error))
        return false;
    flow->store =
        store_open(config->settings, config->clients, config->wake_fd, mongodb, flow->metrics, error);
    return flow->store;
}

static bool flow_open_rooms(struct flow *flow, const struct flow_config *config, struct error *error)
{
    struct health *health = config->health;
    struct health_part *iamport = health_add(health, "iamport"), *circuit = health_add(health, "circuit"),
                       *mongodb = health_add(health, "mongodb"),
                       *forwarding = health_add(health, "forwarding");
    flow->jobs = job_pool_new(flow->capacity + flow_storing_most(flow->capacity));
    if (!iamport || !circuit || !mongodb || !forwarding || !flow->jobs)
        return error_set(error, "out of memory");
    return flow_open_calls(flow, config, iamport, circuit, error) &&
           flow_open_ends(flow, config, mongodb, forwarding, error);
}

struct flow *flow_open(const struct flow_config *config, struct error *error)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (!flow) {
        error_set(error, "out of memory");
        return NULL;
    }
    flow->tiers = config->tiers;
    flow->metrics = config->metrics;
    flow->capacity = (size_t)settings_number(config->settings, SETTING_IN_FLIGHT);
    TAILQ_INIT(&flow->arrived);
    TAILQ_INIT(&flow->ready);
    TAILQ_INIT(&flow->refused);
    metrics_turned(flow->metrics, clock_ns());
    if (flow_open_rooms(flow, config, error))
        return flow;
    flow_close(flow);
    return NULL;
}

/* Leaves the group before anything that may have to wait. */
void flow_close(struct flow *flow)
{
    if (!flow)
        return;
    for (size_t i = 0; i < flow->intake_count; i++)
        intake_close(flow->intakes[i]);
    http_close(flow->http);
    forward_close(flow->forward);
    store_close(flow->store);
    verify_close(flow->verify);
    retry_free(flow->retry);
    token_close(flow->token);
    HASH_CLEAR(by_imp_uid, flow->inflight.leaders);
    job_pool_free(flow->jobs);
    free(flow);
}
