/* Counters of the gateway. Loop thread, which also writes the page: nothing is atomic. */
#include "producer/gateway_metrics.h"

#include "common/clock.h"
#include "common/exposition.h"

#include <inttypes.h>
#include <stdlib.h>

#define STATUS_FIRST 100
#define STATUS_LAST 599

struct gateway_metrics {
    uint64_t answered[STATUS_LAST - STATUS_FIRST + 1];
    uint64_t too_slow;
    struct exposition_histogram publish;
};

struct gateway_metrics *gateway_metrics_new(void)
{
    return calloc(1, sizeof(struct gateway_metrics));
}

void gateway_metrics_free(struct gateway_metrics *metrics)
{
    free(metrics);
}

void gateway_metrics_answered(struct gateway_metrics *metrics, unsigned status)
{
    if (status >= STATUS_FIRST && status <= STATUS_LAST)
        metrics->answered[status - STATUS_FIRST]++;
}

void gateway_metrics_published(struct gateway_metrics *metrics, int64_t duration_ns)
{
    metrics->publish.buckets[exposition_bucket(&exposition_durations, duration_ns)]++;
    metrics->publish.sum += (uint64_t)duration_ns;
}

void gateway_metrics_too_slow(struct gateway_metrics *metrics)
{
    metrics->too_slow++;
}

/* 202 and 503 are there from the start: a rate needs a value before the first. */
static bool gateway_metrics_page_answers(const struct gateway_metrics *metrics, struct buf *page)
{
    static const char name[] = "impcert_gateway_responses_total";
    if (!exposition_head(page, name, "Requests answered, by HTTP status.", "counter"))
        return false;
    for (unsigned status = STATUS_FIRST; status <= STATUS_LAST; status++) {
        uint64_t count = metrics->answered[status - STATUS_FIRST];
        if ((count || status == 202 || status == 503) &&
            !buf_format(page, "%s{status=\"%u\"} %" PRIu64 "\n", name, status, count))
            return false;
    }
    return true;
}

bool gateway_metrics_page(
    const struct gateway_metrics *metrics, const struct gateway_gauges *gauges, struct buf *page)
{
    static const char publish_name[] = "impcert_gateway_publish_seconds";
    return gateway_metrics_page_answers(metrics, page) &&
           exposition_value(page, "impcert_gateway_slow_connections_total",
               "Connections cut since a request did not come in whole in time.", "counter",
               metrics->too_slow) &&
           exposition_value(
               page, "impcert_gateway_connections", "Open connections.", "gauge", gauges->connections) &&
           exposition_value(page, "impcert_gateway_in_flight",
               "Events that wait for Kafka's acknowledgement.", "gauge", gauges->in_flight) &&
           exposition_head(page, publish_name,
               "Time from a whole request to Kafka's acknowledgement, or to giving up.", "histogram") &&
           exposition_histogram(page, publish_name, "", &exposition_durations, &metrics->publish) &&
           exposition_process(page);
}
