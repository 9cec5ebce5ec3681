#ifndef IMPCERT_WORKER_METRICS_H
#define IMPCERT_WORKER_METRICS_H

#include "common/buf.h"
#include "common/letter.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers of one worker, as Prometheus shows them. Written without locks by the worker's threads, read by
 * the main thread. Names, units and meanings: the table in metrics.c. No label ever holds an imp_uid. Thread:
 * any. */
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
    METRIC_COUNT
};

/* Failures counted by reason. */
enum metric_by_reason { METRIC_FAILED_TRIES, METRIC_DEFERRED, METRIC_DEAD_LETTERED, METRIC_BY_REASON_COUNT };

enum histogram { HISTOGRAM_HTTP, HISTOGRAM_STORE, HISTOGRAM_EVENT, HISTOGRAM_COUNT };

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric, uint64_t count);
void metrics_set(struct metrics *metrics, enum metric gauge, uint64_t value);
void metrics_count_reason(struct metrics *metrics, enum metric_by_reason metric, enum reason reason);
void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t duration_ns);

/* The worker's loop has turned now; for liveness and impcert_loop_age_seconds. */
void metrics_turned(struct metrics *metrics, int64_t now_ns);
int64_t metrics_last_turn_ns(struct metrics *metrics);

/* Writes the page (text format 0.0.4), all workers summed up. False when out of memory. */
bool metrics_page(struct metrics *const *workers, size_t count, struct buf *page);

#endif
