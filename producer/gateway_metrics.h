#ifndef IMPCERT_PRODUCER_GATEWAY_METRICS_H
#define IMPCERT_PRODUCER_GATEWAY_METRICS_H

#include "common/buf.h"

#include <stdint.h>

/* What the gateway counts, as a page for Prometheus. Thread: loop. */
struct gateway_metrics;

struct gateway_metrics *gateway_metrics_new(void);
void gateway_metrics_free(struct gateway_metrics *metrics);

/* A request was answered with this HTTP status. */
void gateway_metrics_answered(struct gateway_metrics *metrics, unsigned status);
/* An event came to its end after so long. */
void gateway_metrics_published(struct gateway_metrics *metrics, int64_t duration_ns);
/* A connection was cut since its request did not come in whole in time. */
void gateway_metrics_too_slow(struct gateway_metrics *metrics);

/* How things stand now. */
struct gateway_gauges {
    uint64_t connections;
    uint64_t in_flight; /* events that wait for Kafka */
};

/* False when out of memory. */
bool gateway_metrics_page(
    const struct gateway_metrics *metrics, const struct gateway_gauges *gauges, struct buf *page);

#endif
