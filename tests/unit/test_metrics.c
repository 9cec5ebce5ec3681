/* The numbers and their page: text that Prometheus reads, all workers summed up, and no count ever lost. */
#include "common/clock.h"
#include "worker/metrics_page.h"

#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORKERS = 3 };

struct fixture {
    struct metrics *workers[WORKERS];
    struct buf page;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    for (int i = 0; i < WORKERS; i++) {
        fixture->workers[i] = metrics_new();
        if (!fixture->workers[i])
            return -1;
        metrics_turned(fixture->workers[i], clock_ns());
    }
    buf_init(&fixture->page, 1 << 20);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < WORKERS; i++)
        metrics_free(fixture->workers[i]);
    buf_cleanup(&fixture->page);
    free(fixture);
    return 0;
}

static const char *page_of(struct fixture *fixture)
{
    buf_reset(&fixture->page, SIZE_MAX);
    assert_true(metrics_page(fixture->workers, WORKERS, &fixture->page));
    return fixture->page.data;
}

/* The value behind a series as it stands in the page, labels and all; it must stand there once. */
static double value_of(const char *page, const char *series)
{
    char line[200];
    int length = snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr(page, line);
    if (!at || strstr(at + 1, line))
        fail_msg("%s: %s", series, at ? "stands twice" : "is missing");
    char *end;
    double value = strtod(at + length, &end);
    assert_int_equal(*end, '\n');
    return value;
}

static void value_is(const char *page, const char *series, double wanted)
{
    double value = value_of(page, series);
    if (value < wanted || value > wanted)
        fail_msg("%s: %g, expected %g", series, value, wanted);
}

/* ---- the format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4) ---- */

struct family {
    char name[100];
    char type[20];
};

static void match(const char *pattern, const char *line)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int result = regexec(&regex, line, 0, NULL, 0);
    regfree(&regex);
    if (result)
        fail_msg("\"%s\" does not match %s", line, pattern);
}

/* A name's end says what it is, so that people and rules can rely on it. */
static void check_type(const struct family *family)
{
    const char *total = strstr(family->name, "_total");
    bool counter = strcmp(family->type, "counter") == 0;
    assert_int_equal(counter, total && !total[strlen("_total")]);
    match("^(counter|gauge|histogram)$", family->type);
    if (strcmp(family->type, "histogram") == 0)
        match("_(seconds|documents|attempts)$", family->name);
}

static void check_sample(const struct family *family, const char *line)
{
    char pattern[300];
    bool histogram = strcmp(family->type, "histogram") == 0;
    snprintf(pattern, sizeof pattern, "^%s%s(\\{([a-z]+=\"[^\"\\\\]*\",?)+\\})? [0-9]+(\\.[0-9]+)?$",
        family->name, histogram ? "_(bucket|sum|count)" : "");
    match(pattern, line);
}

static void check_line(struct family *family, const char *line)
{
    if (strncmp(line, "# HELP ", 7) == 0) {
        match("^# HELP [a-z_]+ [A-Z][^\\]+\\.$", line);
        assert_int_equal(sscanf(line, "# HELP %99s", family->name), 1);
        family->type[0] = '\0';
    } else if (strncmp(line, "# TYPE ", 7) == 0) {
        char name[100];
        assert_int_equal(sscanf(line, "# TYPE %99s %19s", name, family->type), 2);
        assert_string_equal(name, family->name);
        check_type(family);
    } else {
        check_sample(family, line);
    }
}

static void metrics_page_is_prometheus_text(void **state)
{
    char *page = strdup(page_of(*state)), *rest = page, *line;
    struct family family = {.name = ""};
    assert_int_equal(page[strlen(page) - 1], '\n');
    int lines = 0;
    for (; (line = strsep(&rest, "\n")) && rest; lines++)
        check_line(&family, line);
    assert_in_range(lines, 100, 1000);
    free(page);
}

static void metrics_page_has_each_family_once(void **state)
{
    const char *page = page_of(*state);
    for (const char *at = page; (at = strstr(at, "# HELP ")); at++) {
        char head[120];
        assert_int_equal(sscanf(at, "# HELP %99s", head), 1);
        size_t length = strlen(head);
        memcpy(head + length, " ", 2);
        const char *own = strstr(at, head);
        const char *type = strstr(own + 1, "# TYPE ");
        assert_memory_equal(type + strlen("# TYPE "), head, length + 1);
        for (const char *other = type + 1; (other = strstr(other, "# HELP ")); other++)
            assert_memory_not_equal(other + strlen("# HELP "), head, length + 1);
    }
}

static void metrics_page_of_no_worker_is_all_zero(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 1 << 20);
    assert_true(metrics_page(NULL, 0, &page));
    value_is(page.data, "impcert_events_consumed_total", 0);
    value_is(page.data, "impcert_event_seconds_count", 0);
    buf_cleanup(&page);
}

static void metrics_page_without_room_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t whole = strlen(page_of(fixture));
    for (size_t room = 0; room + 100 < whole; room += 97) {
        struct buf page;
        buf_init(&page, room);
        assert_false(metrics_page(fixture->workers, WORKERS, &page));
        assert_true(page.size <= room);
        buf_cleanup(&page);
    }
}

static void metrics_page_names_the_version(void **state)
{
    value_is(page_of(*state), "impcert_build_info{version=\"" IMPCERT_VERSION "\"}", 1);
}

static void metrics_page_tells_the_memory(void **state)
{
    assert_true(value_of(page_of(*state), "process_resident_memory_bytes") > 100000);
}

/* ---- the numbers ---- */

static const struct {
    enum metric metric;
    const char *name;
} names[] = {
    {METRIC_CONSUMED, "impcert_events_consumed_total"},
    {METRIC_STORED, "impcert_events_stored_total"},
    {METRIC_RETRIES, "impcert_retries_total"},
    {METRIC_HTTP_CALLS, "impcert_http_calls_total"},
    {METRIC_TOKEN_REQUESTS, "impcert_token_requests_total"},
    {METRIC_TOKEN_FAILURES, "impcert_token_failures_total"},
    {METRIC_STORE_BATCHES, "impcert_store_batches_total"},
    {METRIC_STORE_UPDATES, "impcert_store_updates_total"},
    {METRIC_STORE_FAILURES, "impcert_store_failures_total"},
    {METRIC_FORWARD_FAILURES, "impcert_forward_failures_total"},
    {METRIC_COMMITS, "impcert_commits_total"},
    {METRIC_COMMIT_FAILURES, "impcert_commit_failures_total"},
    {METRIC_REBALANCES, "impcert_rebalances_total"},
    {METRIC_PAUSES, "impcert_pauses_total"},
    {METRIC_PROBES, "impcert_circuit_probes_total"},
    {METRIC_OUTAGES, "impcert_circuit_openings_total"},
    {METRIC_IN_FLIGHT, "impcert_jobs_in_flight"},
    {METRIC_WAITING, "impcert_jobs_waiting"},
    {METRIC_STORING, "impcert_jobs_storing"},
    {METRIC_PARTITIONS, "impcert_partitions_assigned"},
    {METRIC_CIRCUIT_OPEN, "impcert_circuit_open"},
    {METRIC_KEY_PAIR_REFUSED, "impcert_key_pair_refused"},
};

static void metrics_sum_over_all_workers(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(sizeof names / sizeof *names, METRIC_COUNT);
    for (int worker = 0; worker < WORKERS; worker++)
        for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
            metrics_add(fixture->workers[worker], metric, (uint64_t)metric + 1);
            metrics_add(fixture->workers[worker], metric, 1000);
        }
    const char *page = page_of(fixture);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        value_is(page, names[i].name, WORKERS * ((double)names[i].metric + 1 + 1000));
}

static void metrics_set_replaces_a_gauge(void **state)
{
    struct fixture *fixture = *state;
    metrics_set(fixture->workers[0], METRIC_IN_FLIGHT, 1000);
    metrics_set(fixture->workers[0], METRIC_IN_FLIGHT, 7);
    metrics_set(fixture->workers[1], METRIC_IN_FLIGHT, 30);
    value_is(page_of(fixture), "impcert_jobs_in_flight", 37);
}

static void metrics_keep_numbers_beyond_32_bits_exact(void **state)
{
    struct fixture *fixture = *state;
    metrics_add(fixture->workers[0], METRIC_STORED, UINT64_MAX - 1);
    assert_non_null(strstr(page_of(fixture), "\nimpcert_events_stored_total 18446744073709551614\n"));
}

static void metrics_count_failures_by_reason(void **state)
{
    struct fixture *fixture = *state;
    char series[100];
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        for (int i = 0; i < (int)reason; i++) {
            metrics_count_reason(fixture->workers[i % WORKERS], METRIC_FAILED_TRIES, reason);
            metrics_count_reason(fixture->workers[i % WORKERS], METRIC_FAILED_TRIES, reason);
            metrics_count_reason(fixture->workers[i % WORKERS], METRIC_DEAD_LETTERED, reason);
        }
    const char *page = page_of(fixture);
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        snprintf(series, sizeof series, "impcert_failed_tries_total{reason=\"%s\"}", reason_name(reason));
        value_is(page, series, 2 * (double)reason);
        snprintf(
            series, sizeof series, "impcert_events_dead_lettered_total{reason=\"%s\"}", reason_name(reason));
        value_is(page, series, (double)reason);
    }
    assert_null(strstr(page, "reason=\"none\""));
}

static const char *const bounds[] = {"0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5",
    "1", "2", "5", "10", "30", "60", "+Inf"};
enum { BOUNDS = sizeof bounds / sizeof *bounds };

static const char *const histograms[] = {
    [HISTOGRAM_HTTP_2XX] = "impcert_http_seconds",
    [HISTOGRAM_STORE] = "impcert_store_seconds",
    [HISTOGRAM_EVENT] = "impcert_event_seconds",
};

static double bucket_of(const char *page, enum histogram histogram, size_t bound)
{
    char series[100];
    snprintf(series, sizeof series, "%s_bucket{%sle=\"%s\"}", histograms[histogram],
        histogram == HISTOGRAM_HTTP_2XX ? "status=\"2xx\"," : "", bounds[bound]);
    return value_of(page, series);
}

static void metrics_histogram_counts_up_to_each_bound(void **state)
{
    struct fixture *fixture = *state;
    /* In each bucket one at its bound and one just above the bound before it. */
    for (size_t bound = 0; bound + 1 < BOUNDS; bound++) {
        int64_t ns = (int64_t)(strtod(bounds[bound], NULL) * 1000 + 0.5) * CLOCK_MS;
        metrics_observe(fixture->workers[bound % WORKERS], HISTOGRAM_HTTP_2XX, ns);
        metrics_observe(fixture->workers[bound % WORKERS], HISTOGRAM_HTTP_2XX, ns + 1);
    }
    const char *page = page_of(fixture);
    for (size_t bound = 0; bound + 1 < BOUNDS; bound++)
        assert_true(bucket_of(page, HISTOGRAM_HTTP_2XX, bound) == (double)(2 * bound + 1));
    assert_true(bucket_of(page, HISTOGRAM_HTTP_2XX, BOUNDS - 1) == 2 * (BOUNDS - 1));
    value_is(page, "impcert_http_seconds_count{status=\"2xx\"}", 2 * (BOUNDS - 1));
    value_is(page, "impcert_store_seconds_count", 0);
    value_is(page, "impcert_event_seconds_count", 0);
}

static void metrics_histogram_is_cumulative(void **state)
{
    static const enum histogram measured[] = {HISTOGRAM_HTTP_2XX, HISTOGRAM_STORE, HISTOGRAM_EVENT};
    struct fixture *fixture = *state;
    unsigned short seed[3] = {1, 2, 3};
    for (int i = 0; i < 3000; i++)
        metrics_observe(fixture->workers[i % WORKERS], measured[i / 1000], nrand48(seed) % 100000 * CLOCK_MS);
    const char *page = page_of(fixture);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        double last = 0;
        for (size_t bound = 0; bound < BOUNDS; bound++) {
            double count = bucket_of(page, measured[i], bound);
            assert_true(count >= last);
            last = count;
        }
        assert_true(last == 1000);
    }
    value_is(page, "impcert_event_seconds_count", 1000);
}

static void metrics_histogram_sums_in_seconds(void **state)
{
    struct fixture *fixture = *state;
    metrics_observe(fixture->workers[0], HISTOGRAM_EVENT, 0);
    metrics_observe(fixture->workers[0], HISTOGRAM_EVENT, 1500 * CLOCK_MS);
    metrics_observe(fixture->workers[1], HISTOGRAM_EVENT, 250 * CLOCK_MS);
    metrics_observe(fixture->workers[2], HISTOGRAM_EVENT, 3600 * CLOCK_S);
    value_is(page_of(fixture), "impcert_event_seconds_sum", 3601.75);
}

static void metrics_loop_age_is_that_of_the_slowest(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = clock_ns();
    metrics_turned(fixture->workers[0], now);
    metrics_turned(fixture->workers[1], now - 5 * CLOCK_S);
    metrics_turned(fixture->workers[2], now - 1 * CLOCK_S);
    assert_int_equal(metrics_last_turn_ns(fixture->workers[1]), now - 5 * CLOCK_S);
    double age = value_of(page_of(fixture), "impcert_loop_age_seconds");
    assert_true(age >= 5 && age < 60);
}

static void metrics_tell_calls_apart_by_status(void **state)
{
    static const struct {
        long status;
        const char *label;
    } cases[] = {{200, "2xx"}, {299, "2xx"}, {302, "3xx"}, {404, "4xx"}, {429, "4xx"}, {500, "5xx"},
        {599, "5xx"}, {0, "none"}, {101, "none"}};
    struct fixture *fixture = *state;
    char series[100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(series, sizeof series, "impcert_http_seconds_count{status=\"%s\"}", cases[i].label);
        double before = value_of(page_of(fixture), series);
        metrics_observe(fixture->workers[i % WORKERS], metrics_http(cases[i].status), CLOCK_MS);
        value_is(page_of(fixture), series, before + 1);
    }
}

static void metrics_measure_sizes_and_tries_as_numbers(void **state)
{
    struct fixture *fixture = *state;
    metrics_observe(fixture->workers[0], HISTOGRAM_STORE_BATCH, 500);
    metrics_observe(fixture->workers[1], HISTOGRAM_STORE_BATCH, 3);
    metrics_observe(fixture->workers[0], HISTOGRAM_EVENT_ATTEMPTS, 4);
    metrics_observe(fixture->workers[0], HISTOGRAM_EVENT_STORED, -5); /* another machine's clock is ahead */
    const char *page = page_of(fixture);
    value_is(page, "impcert_store_batch_documents_sum", 503);
    value_is(page, "impcert_store_batch_documents_bucket{le=\"5\"}", 1);
    value_is(page, "impcert_store_batch_documents_bucket{le=\"500\"}", 2);
    value_is(page, "impcert_event_attempts_bucket{le=\"3\"}", 0);
    value_is(page, "impcert_event_attempts_bucket{le=\"4\"}", 1);
    value_is(page, "impcert_event_stored_seconds_bucket{le=\"0.01\"}", 1);
    value_is(page, "impcert_event_stored_seconds_sum", 0);
}

static void metrics_token_is_that_which_ends_first(void **state)
{
    struct fixture *fixture = *state;
    value_is(page_of(fixture), "impcert_token_remaining_seconds", 0);
    for (int i = 0; i < WORKERS; i++)
        metrics_token(fixture->workers[i], clock_ns() + (1000 + i * 100) * CLOCK_S);
    double left = value_of(page_of(fixture), "impcert_token_remaining_seconds");
    assert_true(left > 900 && left <= 1000);
    metrics_token(fixture->workers[1], 0);
    value_is(page_of(fixture), "impcert_token_remaining_seconds", 0);
}

static void metrics_show_each_partition_once(void **state)
{
    struct fixture *fixture = *state;
    const struct metrics_partition first[] = {
        {"certifications", 1, 30, clock_ns() - 100 * CLOCK_S}, {"certifications", 0, 20, CLOCK_NEVER}};
    /* Partition 1 on its way from the first worker to the second. */
    const struct metrics_partition second[] = {{"certifications", 1, 25, CLOCK_NEVER}};
    const struct metrics_partition retry[] = {{"certifications.retry.30s", 0, 1, clock_ns() + 100 * CLOCK_S}};
    metrics_set_partitions(fixture->workers[0], METRICS_CONSUMER, first, 2);
    metrics_set_partitions(fixture->workers[1], METRICS_CONSUMER, second, 1);
    metrics_set_partitions(fixture->workers[1], METRICS_RETRY, retry, 1);
    const char *page = page_of(fixture);
    value_is(page, "impcert_partition_lag{topic=\"certifications\",partition=\"0\"}", 20);
    value_is(page, "impcert_partition_lag{topic=\"certifications\",partition=\"1\"}", 25);
    value_is(page, "impcert_partition_lag{topic=\"certifications.retry.30s\",partition=\"0\"}", 1);
    value_is(page, "impcert_partition_oldest_seconds{topic=\"certifications\",partition=\"0\"}", 0);
    value_is(page, "impcert_partition_oldest_seconds{topic=\"certifications.retry.30s\",partition=\"0\"}", 0);
    metrics_set_partitions(fixture->workers[1], METRICS_CONSUMER, NULL, 0);
    page = page_of(fixture);
    value_is(page, "impcert_partition_lag{topic=\"certifications\",partition=\"1\"}", 30);
    double age = value_of(page, "impcert_partition_oldest_seconds{topic=\"certifications\",partition=\"1\"}");
    assert_true(age >= 100 && age < 160);
}

static void metrics_sum_up_what_librdkafka_tells(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_statistics one = {.sent_bytes = 10, .request_timeouts = 2, .broker_count = 1};
    one.brokers[0] = (struct kafka_broker){.name = "kafka-1:9092", .up = true, .round_trip_us = 1500};
    struct kafka_statistics other = {.sent_bytes = 5, .broker_count = 2};
    other.brokers[0] = (struct kafka_broker){.name = "kafka-2:9092"};
    other.brokers[1] = (struct kafka_broker){.name = "kafka-1:9092", .round_trip_us = 2500};
    metrics_set_kafka(fixture->workers[0], METRICS_PRODUCER, &one);
    metrics_set_kafka(fixture->workers[2], METRICS_PRODUCER, &other);
    const char *page = page_of(fixture);
    value_is(page, "impcert_kafka_sent_bytes_total{client=\"producer\"}", 15);
    value_is(page, "impcert_kafka_sent_bytes_total{client=\"consumer\"}", 0);
    value_is(page, "impcert_kafka_request_timeouts_total{client=\"producer\"}", 2);
    value_is(page, "impcert_kafka_broker_up{client=\"producer\",broker=\"kafka-1:9092\"}", 1);
    value_is(page, "impcert_kafka_broker_up{client=\"producer\",broker=\"kafka-2:9092\"}", 0);
    value_is(page, "impcert_kafka_round_trip_seconds{client=\"producer\",broker=\"kafka-1:9092\"}", 0.0025);
}

static void *count_up(void *context)
{
    struct metrics *metrics = context;
    for (int i = 0; i < 10000; i++) {
        metrics_add(metrics, METRIC_STORED, 1);
        metrics_set(metrics, METRIC_WAITING, (uint64_t)i);
        metrics_count_reason(metrics, METRIC_FAILED_TRIES, REASON_NOT_FOUND);
        metrics_observe(metrics, HISTOGRAM_HTTP_2XX, CLOCK_MS);
        metrics_turned(metrics, i);
    }
    return NULL;
}

static void metrics_lose_no_count_between_threads(void **state)
{
    enum { THREADS = 3 };
    struct fixture *fixture = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, fixture->workers[0]), 0);
    for (int i = 0; i < 20; i++)
        page_of(fixture);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    const char *page = page_of(fixture);
    value_is(page, "impcert_events_stored_total", THREADS * 10000);
    value_is(page, "impcert_failed_tries_total{reason=\"not_found\"}", THREADS * 10000);
    value_is(page, "impcert_http_seconds_count{status=\"2xx\"}", THREADS * 10000);
    value_is(page, "impcert_http_seconds_sum{status=\"2xx\"}", THREADS * 10);
}

#define METRICS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(metrics_page_is_prometheus_text),
        METRICS_TEST(metrics_page_has_each_family_once),
        cmocka_unit_test(metrics_page_of_no_worker_is_all_zero),
        METRICS_TEST(metrics_page_without_room_is_refused),
        METRICS_TEST(metrics_page_names_the_version),
        METRICS_TEST(metrics_page_tells_the_memory),
        METRICS_TEST(metrics_sum_over_all_workers),
        METRICS_TEST(metrics_set_replaces_a_gauge),
        METRICS_TEST(metrics_keep_numbers_beyond_32_bits_exact),
        METRICS_TEST(metrics_count_failures_by_reason),
        METRICS_TEST(metrics_histogram_counts_up_to_each_bound),
        METRICS_TEST(metrics_histogram_is_cumulative),
        METRICS_TEST(metrics_histogram_sums_in_seconds),
        METRICS_TEST(metrics_loop_age_is_that_of_the_slowest),
        METRICS_TEST(metrics_tell_calls_apart_by_status),
        METRICS_TEST(metrics_measure_sizes_and_tries_as_numbers),
        METRICS_TEST(metrics_token_is_that_which_ends_first),
        METRICS_TEST(metrics_show_each_partition_once),
        METRICS_TEST(metrics_sum_up_what_librdkafka_tells),
        METRICS_TEST(metrics_lose_no_count_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
