/* The page of the workers' numbers: the one place where they have names. Main thread. */
#include "worker/metrics_page.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The workers that a page is about. */
struct crew {
    struct metrics *const *workers;
    size_t count;
};

/* ---- numbers ---- */

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
    [METRIC_KEY_PAIR_REFUSED] = {"impcert_key_pair_refused", "Workers whose key pair Iamport refuses."},
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

static bool page_values(const struct crew *crew, struct buf *page)
{
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < crew->count; i++)
            sum += metrics_value(crew->workers[i], metric);
        if (!exposition_value(page, metric_table[metric].name, metric_table[metric].help,
                metric < METRIC_IN_FLIGHT ? "counter" : "gauge", sum))
            return false;
    }
    return true;
}

static bool page_reasons(const struct crew *crew, struct buf *page, enum metric_by_reason metric)
{
    const char *name = reason_table[metric].name;
    if (!exposition_head(page, name, reason_table[metric].help, "counter"))
        return false;
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < crew->count; i++)
            sum += metrics_reason(crew->workers[i], metric, reason);
        if (!buf_format(page, "%s{reason=\"%s\"} %" PRIu64 "\n", name, reason_name(reason), sum))
            return false;
    }
    return true;
}

/* ---- histograms ---- */

/* Those without help belong to the family before. */
static const struct {
    const char *name;
    const char *labels;
    const char *help;
} histogram_table[HISTOGRAM_COUNT] = {
    [HISTOGRAM_HTTP_2XX] = {"impcert_http_seconds", "status=\"2xx\"",
        "Time from a call for a certification to its answer, by class of its status; none: no answer came."},
    [HISTOGRAM_HTTP_3XX] = {"impcert_http_seconds", "status=\"3xx\"", NULL},
    [HISTOGRAM_HTTP_4XX] = {"impcert_http_seconds", "status=\"4xx\"", NULL},
    [HISTOGRAM_HTTP_5XX] = {"impcert_http_seconds", "status=\"5xx\"", NULL},
    [HISTOGRAM_HTTP_NONE] = {"impcert_http_seconds", "status=\"none\"", NULL},
    [HISTOGRAM_STORE] = {"impcert_store_seconds", "", "Time of one batch in MongoDB."},
    [HISTOGRAM_STORE_BATCH] = {"impcert_store_batch_documents", "", "Documents in a batch."},
    [HISTOGRAM_EVENT] = {"impcert_event_seconds", "", "Time from receiving an event to completing it."},
    [HISTOGRAM_EVENT_STORED] = {"impcert_event_stored_seconds", "",
        "Time from publishing an event, by its record's timestamp, to its document; of one that took a retry "
        "tier, from its first failure."},
    [HISTOGRAM_EVENT_ATTEMPTS] = {"impcert_event_attempts", "",
        "Tries of an event in this process until it was stored, deferred or dead-lettered."},
};

static bool page_histogram(const struct crew *crew, struct buf *page, enum histogram histogram)
{
    const char *name = histogram_table[histogram].name, *help = histogram_table[histogram].help;
    struct exposition_histogram sum = {.sum = 0};
    for (size_t i = 0; i < crew->count; i++)
        metrics_add_histogram(crew->workers[i], histogram, &sum);
    return (!help || exposition_head(page, name, help, "histogram")) &&
           exposition_histogram(
               page, name, histogram_table[histogram].labels, metrics_scale(histogram), &sum);
}

/* ---- the workers' loops and tokens ---- */

static bool page_seconds(struct buf *page, const char *name, const char *help, int64_t duration_ns)
{
    double seconds = (double)(duration_ns > 0 ? duration_ns : 0) / (double)CLOCK_S;
    return exposition_head(page, name, help, "gauge") && buf_format(page, "%s %.3f\n", name, seconds);
}

static bool page_worst(const struct crew *crew, struct buf *page)
{
    int64_t now = clock_ns(), turned = now, ends = CLOCK_NEVER;
    for (size_t i = 0; i < crew->count; i++) {
        int64_t own_turned = metrics_last_turn_ns(crew->workers[i]);
        int64_t own_ends = metrics_token_ends_ns(crew->workers[i]);
        turned = own_turned < turned ? own_turned : turned;
        ends = own_ends < ends ? own_ends : ends;
    }
    return page_seconds(page, "impcert_loop_age_seconds", "Time since the slowest worker's loop turned.",
               now - turned) &&
           page_seconds(page, "impcert_token_remaining_seconds",
               "Life left to the access token, of the worker where it is shortest; 0: one has none.",
               crew->count ? ends - now : 0);
}

/* ---- partitions ---- */

static int compare_partitions(const void *left, const void *right)
{
    const struct metrics_partition *a = left, *b = right;
    int topics = strcmp(a->topic, b->topic);
    return topics ? topics : (a->id > b->id) - (a->id < b->id);
}

static int64_t partition_age_ns(const struct metrics_partition *partition, int64_t now_ns)
{
    return partition->oldest_ns < now_ns ? now_ns - partition->oldest_ns : 0;
}

/* A partition on its way from one worker to another may be told of by both: once is enough. Returns how many
 * are left. */
static size_t sort_partitions(struct metrics_partition *list, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(list, count, sizeof *list, compare_partitions);
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_partitions(&list[kept - 1], &list[i]) == 0) {
            if (list[i].lag < list[kept - 1].lag)
                list[kept - 1] = list[i];
        } else
            list[kept++] = list[i];
    }
    return kept;
}

static bool page_partition_list(struct buf *page, struct metrics_partition *list, size_t count)
{
    static const char lag[] = "impcert_partition_lag", oldest[] = "impcert_partition_oldest_seconds";
    int64_t now = clock_ns();
    count = sort_partitions(list, count);
    bool fine = exposition_head(page, lag,
        "Records of an assigned partition that are not finished, as far as was heard: while it is paused, "
        "newer ones are not heard of.",
        "gauge");
    for (size_t i = 0; fine && i < count; i++)
        fine = buf_format(page, "%s{topic=\"%s\",partition=\"%" PRId32 "\"} %" PRId64 "\n", lag,
            list[i].topic, list[i].id, list[i].lag);
    fine = fine && exposition_head(page, oldest,
                       "Age of the oldest event in flight of an assigned partition, since it was received or "
                       "fell due; 0: there is none.",
                       "gauge");
    for (size_t i = 0; fine && i < count; i++)
        fine = buf_format(page, "%s{topic=\"%s\",partition=\"%" PRId32 "\"} %.3f\n", oldest, list[i].topic,
            list[i].id, (double)partition_age_ns(&list[i], now) / (double)CLOCK_S);
    return fine;
}

static bool page_partitions(const struct crew *crew, struct buf *page)
{
    struct buf list;
    buf_init(&list, SIZE_MAX);
    bool fine = true;
    for (size_t i = 0; fine && i < crew->count; i++)
        fine = metrics_add_partitions(crew->workers[i], &list);
    fine = fine && page_partition_list(page, (struct metrics_partition *)(void *)list.data,
                       list.size / sizeof(struct metrics_partition));
    buf_cleanup(&list);
    return fine;
}

/* ---- librdkafka ---- */

static const char *const client_names[METRICS_CLIENTS] = {
    [METRICS_CONSUMER] = "consumer", [METRICS_RETRY] = "retry", [METRICS_PRODUCER] = "producer"};

static const struct {
    const char *name, *type, *help;
    size_t field; /* of struct kafka_statistics */
} kafka_table[] = {
    {"impcert_kafka_sent_bytes_total", "counter", "Bytes sent to brokers.",
        offsetof(struct kafka_statistics, sent_bytes)},
    {"impcert_kafka_received_bytes_total", "counter", "Bytes received from brokers.",
        offsetof(struct kafka_statistics, received_bytes)},
    {"impcert_kafka_request_errors_total", "counter", "Requests to brokers that failed.",
        offsetof(struct kafka_statistics, request_errors)},
    {"impcert_kafka_request_timeouts_total", "counter", "Requests to brokers without an answer in time.",
        offsetof(struct kafka_statistics, request_timeouts)},
    {"impcert_kafka_fetched_records", "gauge", "Records fetched ahead.",
        offsetof(struct kafka_statistics, fetched_records)},
    {"impcert_kafka_fetched_bytes", "gauge", "Bytes of the records fetched ahead.",
        offsetof(struct kafka_statistics, fetched_bytes)},
};

static bool page_kafka_numbers(const struct kafka_statistics *clients, struct buf *page)
{
    for (size_t i = 0; i < sizeof kafka_table / sizeof *kafka_table; i++) {
        const char *name = kafka_table[i].name;
        if (!exposition_head(page, name, kafka_table[i].help, kafka_table[i].type))
            return false;
        for (int client = 0; client < METRICS_CLIENTS; client++) {
            uint64_t value;
            memcpy(&value, (const char *)&clients[client] + kafka_table[i].field, sizeof value);
            if (!buf_format(page, "%s{client=\"%s\"} %" PRIu64 "\n", name, client_names[client], value))
                return false;
        }
    }
    return true;
}

static bool page_broker(
    const struct kafka_broker *broker, const char *client, bool round_trip, struct buf *page)
{
    if (round_trip)
        return buf_format(page, "impcert_kafka_round_trip_seconds{client=\"%s\",broker=\"%s\"} %.6f\n",
            client, broker->name, (double)broker->round_trip_us / 1e6);
    return buf_format(
        page, "impcert_kafka_broker_up{client=\"%s\",broker=\"%s\"} %d\n", client, broker->name, broker->up);
}

static bool page_brokers(const struct kafka_statistics *clients, bool round_trip, struct buf *page)
{
    for (int client = 0; client < METRICS_CLIENTS; client++)
        for (size_t i = 0; i < clients[client].broker_count; i++)
            if (!page_broker(&clients[client].brokers[i], client_names[client], round_trip, page))
                return false;
    return true;
}

static bool page_kafka(const struct crew *crew, struct buf *page)
{
    struct kafka_statistics *clients = calloc(METRICS_CLIENTS, sizeof *clients);
    if (!clients)
        return false;
    for (size_t i = 0; i < crew->count; i++)
        for (enum metrics_client client = 0; client < METRICS_CLIENTS; client++)
            metrics_add_kafka(crew->workers[i], client, &clients[client]);
    bool fine = page_kafka_numbers(clients, page) &&
                exposition_head(page, "impcert_kafka_broker_up",
                    "Whether a connection stands to a broker that one was needed to.", "gauge") &&
                page_brokers(clients, false, page) &&
                exposition_head(page, "impcert_kafka_round_trip_seconds",
                    "Time of a request to a broker and its answer, mean of the last seconds.", "gauge") &&
                page_brokers(clients, true, page);
    free(clients);
    return fine;
}

bool metrics_page(struct metrics *const *workers, size_t count, struct buf *page)
{
    const struct crew crew = {.workers = workers, .count = count};
    if (!page_values(&crew, page) || !page_worst(&crew, page) || !exposition_process(page))
        return false;
    for (enum metric_by_reason metric = 0; metric < METRIC_BY_REASON_COUNT; metric++)
        if (!page_reasons(&crew, page, metric))
            return false;
    for (enum histogram histogram = 0; histogram < HISTOGRAM_COUNT; histogram++)
        if (!page_histogram(&crew, page, histogram))
            return false;
    return page_partitions(&crew, page) && page_kafka(&crew, page);
}
