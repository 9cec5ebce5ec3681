/* The worker's numbers and their page. Counters are relaxed atomics: each is right by itself, and no two need
 * to agree. */
#include "worker/metrics.h"

#include "common/clock.h"
#include "common/exposition.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *help;
} metric_table[METRIC_COUNT] = {
    [METRIC_CONSUMED] = {"impcert_events_consumed_total", "Events received from Kafka."},
    [METRIC_STORED] = {"impcert_events_stored_total", "Events whose document MongoDB has acknowledged."},
    [METRIC_RETRIES] = {"impcert_retries_total", "Tries that were followed by another one in process."},
    [METRIC_HTTP_CALLS] = {"impcert_http_calls_total", "Calls for a certification."},
    [METRIC_TOKEN_REQUESTS] = {"impcert_token_requests_total", "Requests for an access token."},
    [METRIC_TOKEN_FAILURES] = {"impcert_token_failures_total", "Requests that brought no access token."},
    [METRIC_STORE_BATCHES] = {"impcert_store_batches_total", "Batches written to MongoDB."},
    [METRIC_STORE_UPDATES] = {"impcert_store_updates_total",
        "Documents that were there already and were updated."},
    [METRIC_STORE_FAILURES] = {"impcert_store_failures_total",
        "Writes that MongoDB did not acknowledge and that were repeated."},
    [METRIC_FORWARD_FAILURES] = {"impcert_forward_failures_total",
        "Records that Kafka did not acknowledge and that were sent again."},
    [METRIC_COMMITS] = {"impcert_commits_total", "Offset commits sent."},
    [METRIC_COMMIT_FAILURES] = {"impcert_commit_failures_total", "Offset commits that failed."},
    [METRIC_REBALANCES] = {"impcert_rebalances_total", "Assignments and revocations of partitions."},
    [METRIC_PAUSES] = {"impcert_pauses_total", "Times that the partitions were paused."},
    [METRIC_PROBES] = {"impcert_circuit_probes_total", "Calls let through an open circuit breaker."},
    [METRIC_OUTAGES] = {"impcert_circuit_openings_total", "Times that a circuit breaker opened."},
    [METRIC_IN_FLIGHT] = {"impcert_jobs_in_flight", "Events received and not completed."},
    [METRIC_WAITING] = {"impcert_jobs_waiting", "Events waiting for their next try."},
    [METRIC_STORING] = {"impcert_jobs_storing", "Events on their way to MongoDB."},
    [METRIC_PARTITIONS] = {"impcert_partitions_assigned", "Partitions assigned."},
    [METRIC_CIRCUIT_OPEN] = {"impcert_circuit_open", "Workers whose circuit breaker is not closed."},
};

static const struct {
    const char *name;
    const char *help;
} reason_table[METRIC_BY_REASON_COUNT] = {
    [METRIC_FAILED_TRIES] = {"impcert_failed_tries_total", "Tries that failed, by reason."},
    [METRIC_DEFERRED] = {"impcert_events_deferred_total", "Events put on a retry topic, by reason."},
    [METRIC_DEAD_LETTERED] = {"impcert_events_dead_lettered_total",
        "Events put on the dead letter queue, by reason."},
};

static const struct {
    const char *name;
    const char *help;
} histogram_table[HISTOGRAM_COUNT] = {
    [HISTOGRAM_HTTP] = {"impcert_http_seconds", "Time from a call for a certification to its answer."},
    [HISTOGRAM_STORE] = {"impcert_store_seconds", "Time of one batch in MongoDB."},
    [HISTOGRAM_EVENT] = {"impcert_event_seconds", "Time from receiving an event to completing it."},
};

struct histogram_data {
    _Atomic uint64_t buckets[EXPOSITION_BUCKETS]; /* each by itself, the last beyond all bounds */
    _Atomic uint64_t sum_ns;
};

struct metrics {
    _Atomic uint64_t values[METRIC_COUNT];
    _Atomic uint64_t reasons[METRIC_BY_REASON_COUNT][REASON_COUNT];
    struct histogram_data histograms[HISTOGRAM_COUNT];
    _Atomic int64_t turned_ns;
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

void metrics_add(struct metrics *metrics, enum metric metric, uint64_t count)
{
    atomic_fetch_add_explicit(&metrics->values[metric], count, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, enum metric gauge, uint64_t value)
{
    atomic_store_explicit(&metrics->values[gauge], value, memory_order_relaxed);
}

void metrics_count_reason(struct metrics *metrics, enum metric_by_reason metric, enum reason reason)
{
    atomic_fetch_add_explicit(&metrics->reasons[metric][reason], 1, memory_order_relaxed);
}

void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t duration_ns)
{
    struct histogram_data *data = &metrics->histograms[histogram];
    size_t bucket = exposition_bucket(duration_ns);
    atomic_fetch_add_explicit(&data->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&data->sum_ns, (uint64_t)duration_ns, memory_order_relaxed);
}

void metrics_turned(struct metrics *metrics, int64_t now_ns)
{
    atomic_store_explicit(&metrics->turned_ns, now_ns, memory_order_relaxed);
}

int64_t metrics_last_turn_ns(struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->turned_ns, memory_order_relaxed);
}

static bool page_values(struct metrics *const *workers, size_t count, struct buf *page)
{
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += atomic_load_explicit(&workers[i]->values[metric], memory_order_relaxed);
        const char *name = metric_table[metric].name;
        if (!exposition_head(
                page, name, metric_table[metric].help, metric < METRIC_IN_FLIGHT ? "counter" : "gauge") ||
            !buf_format(page, "%s %" PRIu64 "\n", name, sum))
            return false;
    }
    return true;
}

static bool page_reasons(
    struct metrics *const *workers, size_t count, struct buf *page, enum metric_by_reason metric)
{
    const char *name = reason_table[metric].name;
    if (!exposition_head(page, name, reason_table[metric].help, "counter"))
        return false;
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += atomic_load_explicit(&workers[i]->reasons[metric][reason], memory_order_relaxed);
        if (!buf_format(page, "%s{reason=\"%s\"} %" PRIu64 "\n", name, reason_name(reason), sum))
            return false;
    }
    return true;
}

static bool page_histogram(
    struct metrics *const *workers, size_t count, struct buf *page, enum histogram histogram)
{
    struct exposition_histogram sum = {.sum_ns = 0};
    for (size_t i = 0; i < count; i++) {
        struct histogram_data *data = &workers[i]->histograms[histogram];
        for (size_t bucket = 0; bucket < EXPOSITION_BUCKETS; bucket++)
            sum.buckets[bucket] += atomic_load_explicit(&data->buckets[bucket], memory_order_relaxed);
        sum.sum_ns += atomic_load_explicit(&data->sum_ns, memory_order_relaxed);
    }
    return exposition_histogram(page, histogram_table[histogram].name, histogram_table[histogram].help, &sum);
}

static bool page_process(struct metrics *const *workers, size_t count, struct buf *page)
{
    int64_t oldest = clock_ns();
    for (size_t i = 0; i < count; i++)
        oldest = metrics_last_turn_ns(workers[i]) < oldest ? metrics_last_turn_ns(workers[i]) : oldest;
    return exposition_head(
               page, "impcert_loop_age_seconds", "Time since the slowest worker's loop turned.", "gauge") &&
           buf_format(page, "impcert_loop_age_seconds %.3f\n", (double)(clock_ns() - oldest) / 1e9) &&
           exposition_process(page);
}

bool metrics_page(struct metrics *const *workers, size_t count, struct buf *page)
{
    if (!page_values(workers, count, page) || !page_process(workers, count, page))
        return false;
    for (enum metric_by_reason metric = 0; metric < METRIC_BY_REASON_COUNT; metric++)
        if (!page_reasons(workers, count, page, metric))
            return false;
    for (enum histogram histogram = 0; histogram < HISTOGRAM_COUNT; histogram++)
        if (!page_histogram(workers, count, page, histogram))
            return false;
    return true;
}
