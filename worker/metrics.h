#ifndef IMPCERT_WORKER_METRICS_H
#define IMPCERT_WORKER_METRICS_H

#include "common/buf.h"
#include "common/exposition.h"
#include "common/kafka_statistics.h"
#include "common/letter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of one worker, written by its threads and read by the main thread. What is counted is counted
 * without locks. Names, units and meanings: metrics_page.c. No label ever holds an imp_uid. Thread: any. */
enum metric {
    METRIC_CONSUMED,
    METRIC_STORED,
    METRIC_RETRIES,
    METRIC_HTTP_CALLS,
    METRIC_TOKEN_REQUESTS,
    METRIC_TOKEN_FAILURES,
    METRIC_STORE_BATCHES,
    METRIC_STORE_UPDATES,
    METRIC_STORE_FAILURES,
    METRIC_FORWARD_FAILURES,
    METRIC_COMMITS,
    METRIC_COMMIT_FAILURES,
    METRIC_REBALANCES,
    METRIC_PAUSES,
    METRIC_PROBES,
    METRIC_OUTAGES,
    METRIC_IN_FLIGHT, /* gauges from here on */
    METRIC_WAITING,
    METRIC_STORING,
    METRIC_PARTITIONS,
    METRIC_CIRCUIT_OPEN,
    METRIC_KEY_PAIR_REFUSED,
    METRIC_COUNT
};

/* Failures counted by reason. */
enum metric_by_reason { METRIC_FAILED_TRIES, METRIC_DEFERRED, METRIC_DEAD_LETTERED, METRIC_BY_REASON_COUNT };

enum histogram {
    HISTOGRAM_HTTP_2XX, /* ns; by the class of the answer's status: see metrics_http */
    HISTOGRAM_HTTP_3XX,
    HISTOGRAM_HTTP_4XX,
    HISTOGRAM_HTTP_5XX,
    HISTOGRAM_HTTP_NONE,      /* no answer */
    HISTOGRAM_STORE,          /* ns */
    HISTOGRAM_STORE_BATCH,    /* documents */
    HISTOGRAM_EVENT,          /* ns */
    HISTOGRAM_EVENT_STORED,   /* ns */
    HISTOGRAM_EVENT_ATTEMPTS, /* tries */
    HISTOGRAM_COUNT
};

/* The clients of librdkafka that a worker has. */
enum metrics_client { METRICS_CONSUMER, METRICS_RETRY, METRICS_PRODUCER, METRICS_CLIENTS };

/* How far a partition is. */
struct metrics_partition {
    const char *topic; /* lives as long as the process */
    int32_t id;
    int64_t lag;       /* records behind the newest that was heard of, unfinished ones included */
    int64_t oldest_ns; /* since when the oldest event in flight is; CLOCK_NEVER: none is */
};

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric, uint64_t count);
void metrics_set(struct metrics *metrics, enum metric gauge, uint64_t value);
void metrics_count_reason(struct metrics *metrics, enum metric_by_reason metric, enum reason reason);
/* A negative value counts as 0. */
void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t value);
/* What it is measured in. */
const struct exposition_scale *metrics_scale(enum histogram histogram);
/* The histogram for a call that was answered with that status, 0 for none. */
enum histogram metrics_http(long http_status);

/* The worker's loop has turned now; for liveness and impcert_loop_age_seconds. */
void metrics_turned(struct metrics *metrics, int64_t now_ns);
int64_t metrics_last_turn_ns(const struct metrics *metrics);
/* Until when its token lives; 0: it has none. */
void metrics_token(struct metrics *metrics, int64_t ends_ns);
int64_t metrics_token_ends_ns(const struct metrics *metrics);
/* The partitions of a client, in place of those before. Out of memory, the list is empty. */
void metrics_set_partitions(
    struct metrics *metrics, enum metrics_client client, const struct metrics_partition *list, size_t count);
void metrics_set_kafka(
    struct metrics *metrics, enum metrics_client client, const struct kafka_statistics *statistics);

/* For the page. What is added up is added to what is there already. */
uint64_t metrics_value(const struct metrics *metrics, enum metric metric);
uint64_t metrics_reason(const struct metrics *metrics, enum metric_by_reason metric, enum reason reason);
void metrics_add_histogram(
    const struct metrics *metrics, enum histogram histogram, struct exposition_histogram *sum);
void metrics_add_kafka(struct metrics *metrics, enum metrics_client client, struct kafka_statistics *sum);
/* Appends struct metrics_partition, of all clients; false when out of memory. */
bool metrics_add_partitions(struct metrics *metrics, struct buf *list);

#endif
