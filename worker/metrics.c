/* The worker's numbers. Counters are relaxed atomics: each is right by itself, and no two need to agree. What
 * is more than a number is set about once a second, under a mutex. */
#include "worker/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct histogram_data {
    _Atomic uint64_t buckets[EXPOSITION_BUCKETS];
    _Atomic uint64_t sum;
};

struct client_data {
    struct metrics_partition *partitions; /* owned */
    size_t partition_count;
    struct kafka_statistics kafka;
};

struct metrics {
    _Atomic uint64_t values[METRIC_COUNT];
    _Atomic uint64_t reasons[METRIC_BY_REASON_COUNT][REASON_COUNT];
    struct histogram_data histograms[HISTOGRAM_COUNT];
    _Atomic int64_t turned_ns;
    _Atomic int64_t token_ends_ns;

    pthread_mutex_t mutex; /* for clients */
    struct client_data clients[METRICS_CLIENTS];
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics)
        pthread_mutex_init(&metrics->mutex, NULL);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (int i = 0; i < METRICS_CLIENTS; i++)
        free(metrics->clients[i].partitions);
    pthread_mutex_destroy(&metrics->mutex);
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

const struct exposition_scale *metrics_scale(enum histogram histogram)
{
    switch (histogram) {
    case HISTOGRAM_STORE_BATCH:
        return &exposition_sizes;
    case HISTOGRAM_EVENT_ATTEMPTS:
        return &exposition_tries;
    case HISTOGRAM_EVENT_STORED:
        return &exposition_delays;
    default:
        return &exposition_durations;
    }
}

void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t value)
{
    struct histogram_data *data = &metrics->histograms[histogram];
    value = value > 0 ? value : 0;
    size_t bucket = exposition_bucket(metrics_scale(histogram), value);
    atomic_fetch_add_explicit(&data->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&data->sum, (uint64_t)value, memory_order_relaxed);
}

enum histogram metrics_http(long http_status)
{
    if (http_status >= 500)
        return HISTOGRAM_HTTP_5XX;
    if (http_status >= 400)
        return HISTOGRAM_HTTP_4XX;
    if (http_status >= 300)
        return HISTOGRAM_HTTP_3XX;
    return http_status >= 200 ? HISTOGRAM_HTTP_2XX : HISTOGRAM_HTTP_NONE;
}

void metrics_turned(struct metrics *metrics, int64_t now_ns)
{
    atomic_store_explicit(&metrics->turned_ns, now_ns, memory_order_relaxed);
}

int64_t metrics_last_turn_ns(const struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->turned_ns, memory_order_relaxed);
}

void metrics_token(struct metrics *metrics, int64_t ends_ns)
{
    atomic_store_explicit(&metrics->token_ends_ns, ends_ns, memory_order_relaxed);
}

int64_t metrics_token_ends_ns(const struct metrics *metrics)
{
    return atomic_load_explicit(&metrics->token_ends_ns, memory_order_relaxed);
}

void metrics_set_partitions(
    struct metrics *metrics, enum metrics_client client, const struct metrics_partition *list, size_t count)
{
    struct client_data *data = &metrics->clients[client];
    struct metrics_partition *copy = count ? malloc(count * sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, list, count * sizeof *copy);
    pthread_mutex_lock(&metrics->mutex);
    struct metrics_partition *before = data->partitions;
    data->partitions = copy;
    data->partition_count = copy ? count : 0;
    pthread_mutex_unlock(&metrics->mutex);
    free(before);
}

void metrics_set_kafka(
    struct metrics *metrics, enum metrics_client client, const struct kafka_statistics *statistics)
{
    pthread_mutex_lock(&metrics->mutex);
    metrics->clients[client].kafka = *statistics;
    pthread_mutex_unlock(&metrics->mutex);
}

/* ---- for the page ---- */

uint64_t metrics_value(const struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

uint64_t metrics_reason(const struct metrics *metrics, enum metric_by_reason metric, enum reason reason)
{
    return atomic_load_explicit(&metrics->reasons[metric][reason], memory_order_relaxed);
}

void metrics_add_histogram(
    const struct metrics *metrics, enum histogram histogram, struct exposition_histogram *sum)
{
    const struct histogram_data *data = &metrics->histograms[histogram];
    for (size_t bucket = 0; bucket < EXPOSITION_BUCKETS; bucket++)
        sum->buckets[bucket] += atomic_load_explicit(&data->buckets[bucket], memory_order_relaxed);
    sum->sum += atomic_load_explicit(&data->sum, memory_order_relaxed);
}

void metrics_add_kafka(struct metrics *metrics, enum metrics_client client, struct kafka_statistics *sum)
{
    pthread_mutex_lock(&metrics->mutex);
    kafka_statistics_add(sum, &metrics->clients[client].kafka);
    pthread_mutex_unlock(&metrics->mutex);
}

bool metrics_add_partitions(struct metrics *metrics, struct buf *list)
{
    bool added = true;
    pthread_mutex_lock(&metrics->mutex);
    for (int i = 0; i < METRICS_CLIENTS && added; i++) {
        const struct client_data *data = &metrics->clients[i];
        added = buf_append(list, data->partitions, data->partition_count * sizeof *data->partitions);
    }
    pthread_mutex_unlock(&metrics->mutex);
    return added;
}
