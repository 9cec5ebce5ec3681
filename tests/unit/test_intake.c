/* The consumer against librdkafka's mock cluster, whose answers a test can make fail. */
#include "common/clock.h"
#include "worker/intake.h"

#include <librdkafka/rdkafka_mock.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define TOPIC "certifications"
#define DEADLINE (20 * CLOCK_S)

enum { API_OFFSET_COMMIT = 8 };

static char path[] = "/tmp/impcert-intake.XXXXXX";
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;
static struct settings *settings;
static struct tiers tiers;
static struct health *health;
static struct metrics *metrics;
static struct job_pool *jobs;
static struct intake *intake;
static struct job_list arrived;
static int wake_fd;

static void open_cluster(void)
{
    char error[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    assert_non_null(producer);
    cluster = rd_kafka_mock_cluster_new(producer, 1);
    assert_non_null(cluster);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, TOPIC, 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_brokers_add(producer, rd_kafka_mock_cluster_bootstraps(cluster)), 1);
}

static void open_settings(void)
{
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL};
    int exit_code, file = mkstemp(path);
    /* A retried commit comes later than the next one would. */
    static const char properties[] = "retry.backoff.ms=2500\n";
    assert_int_equal(write(file, properties, sizeof properties - 1), sizeof properties - 1);
    close(file);
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", rd_kafka_mock_cluster_bootstraps(cluster), 1);
    setenv("IMPCERT_KAFKA_CONFIG", path, 1);
    setenv("IMPCERT_RETRY_DELAYS", "", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://127.0.0.1", 1);
    settings = settings_start(&program, 1, argv, &exit_code);
    assert_non_null(settings);
}

static int open_all(void **state)
{
    (void)state;
    struct error error = {.text = ""};
    open_cluster();
    open_settings();
    health = health_new();
    assert_non_null(health);
    metrics = metrics_new();
    jobs = job_pool_new(16);
    struct health_part *part = health_add(health, "kafka");
    assert_true(metrics && jobs && part);
    wake_fd = eventfd(0, EFD_NONBLOCK);
    TAILQ_INIT(&arrived);
    tiers_init(&tiers, settings);
    const struct intake_config config = {
        .settings = settings,
        .tiers = &tiers,
        .wake_fd = wake_fd,
        .jobs = jobs,
        .health = part,
        .metrics = metrics,
    };
    intake = intake_open(&config, &error);
    assert_string_equal(error.text, "");
    return intake ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    intake_close(intake);
    job_pool_free(jobs);
    metrics_free(metrics);
    health_free(health);
    settings_free(settings);
    close(wake_fd);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(producer);
    return unlink(path);
}

static void publish(int count)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, TOPIC, NULL);
    for (int i = 0; i < count; i++)
        assert_int_equal(
            rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t) "{}", 2, NULL, 0, NULL), 0);
    assert_int_equal(rd_kafka_flush(producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_destroy(topic);
}

static void turn(void)
{
    intake_turn(intake, 16, &arrived, clock_ns());
    usleep(1000);
}

static struct job *take(void)
{
    for (int64_t until = clock_ns() + DEADLINE; TAILQ_EMPTY(&arrived) && clock_ns() < until;)
        turn();
    struct job *job = TAILQ_FIRST(&arrived);
    assert_non_null(job);
    job_move(job, &arrived, NULL, JOB_ENDED);
    return job;
}

static void finish(struct job *job)
{
    intake_done(intake, job);
    job_pool_give(jobs, job);
}

static int64_t committed(void)
{
    char error[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "group.id", "impcert", error, sizeof error);
    rd_kafka_conf_set(
        conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), error, sizeof error);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, TOPIC, 0);
    assert_int_equal(rd_kafka_committed(reader, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(reader);
    return offset;
}

static void wait_until_committed(void)
{
    int64_t until = clock_ns() + DEADLINE;
    do
        turn();
    while (!intake_committed(intake) && clock_ns() < until);
    assert_true(intake_committed(intake));
}

/* librdkafka repeats a commit that failed for the moment; one sent meanwhile would be overtaken by it. */
static void intake_lets_no_repeated_commit_overtake_a_newer_one(void **state)
{
    (void)state;
    publish(2);
    struct job *first = take(), *second = take();
    rd_kafka_mock_push_request_errors(
        cluster, API_OFFSET_COMMIT, 1, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
    finish(first);
    for (int64_t until = clock_ns() + 1100 * CLOCK_MS; clock_ns() < until;)
        turn();
    finish(second);
    wait_until_committed();
    assert_int_equal(committed(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            intake_lets_no_repeated_commit_overtake_a_newer_one, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
