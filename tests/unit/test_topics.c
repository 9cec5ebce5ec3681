/* The thread that creates topics, against librdkafka's mock cluster, which lists topics and creates those
 * that are asked for by name. It has no controller, so that a request to create or to describe one stays
 * open: that is left to the system tests. */
#include "common/clock.h"
#include "worker/topics.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAIN "certifications"
#define DLQ "certifications.dlq"
#define RETRY "certifications.retry.30s"
#define DEADLINE (20 * CLOCK_S)

enum { API_METADATA = 3 };

static rd_kafka_t *client;
static rd_kafka_mock_cluster_t *cluster;
static struct settings *settings;
static struct health *health;
static struct topics *topics;
static struct buf page;
static FILE *log_file;
static int stderr_fd;

static void make_topic(const char *name)
{
    assert_int_equal(rd_kafka_mock_topic_create(cluster, name, 3, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static int open_cluster(void **state)
{
    (void)state;
    char error[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", error, sizeof error);
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    cluster = client ? rd_kafka_mock_cluster_new(client, 1) : NULL;
    health = health_new();
    assert_non_null(health);
    buf_init(&page, 65536);
    stderr_fd = dup(STDERR_FILENO);
    log_file = tmpfile();
    if (!cluster || !health || !log_file)
        return -1;
    return dup2(fileno(log_file), STDERR_FILENO) < 0 ? -1 : 0;
}

static int close_cluster(void **state)
{
    (void)state;
    dup2(stderr_fd, STDERR_FILENO);
    close(stderr_fd);
    fclose(log_file);
    topics_close(topics);
    topics = NULL;
    health_free(health);
    settings_free(settings);
    buf_cleanup(&page);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}

/* The names are the caller's for the call alone. */
static void open_topics_at(const char *brokers)
{
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL}, retry[] = RETRY, dlq[] = DLQ;
    const char *names[] = {retry, dlq};
    struct error error = {.text = ""};
    int exit_code;
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", brokers, 1);
    setenv("IMPCERT_LOG_LEVEL", "debug", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://127.0.0.1", 1);
    settings = settings_start(&program, 1, argv, &exit_code);
    assert_non_null(settings);
    struct health_part *part = health_add(health, "topics");
    assert_non_null(part);
    topics = topics_open(settings, names, 2, part, &error);
    assert_string_equal(error.text, "");
    assert_non_null(topics);
    memset(retry, 'x', sizeof retry - 1);
    memset(dlq, 'x', sizeof dlq - 1);
}

static void open_topics(void)
{
    open_topics_at(rd_kafka_mock_cluster_bootstraps(cluster));
}

static bool ready(void)
{
    buf_reset(&page, page.limit);
    return health_ready(health, &page);
}

static void wait_until_ready(void)
{
    int64_t until = clock_ns() + DEADLINE;
    while (!ready() && clock_ns() < until)
        usleep(1000);
    assert_true(ready());
}

static void wait_for_reason(const char *text)
{
    int64_t until = clock_ns() + DEADLINE;
    while ((ready() || !strstr(page.data, text)) && clock_ns() < until)
        usleep(1000);
    assert_non_null(strstr(page.data, text));
}

static bool logged(const char *text)
{
    static char log[65536];
    ssize_t size = pread(fileno(log_file), log, sizeof log - 1, 0);
    assert_true(size >= 0);
    log[size] = '\0';
    return strstr(log, text);
}

static void wait_until_logged(const char *text)
{
    int64_t until = clock_ns() + DEADLINE;
    while (!logged(text) && clock_ns() < until)
        usleep(1000);
    assert_true(logged(text));
}

static void close_at_once(void)
{
    int64_t begun = clock_ns();
    topics_close(topics);
    topics = NULL;
    assert_true(clock_ns() - begun < 2 * CLOCK_S);
}

static void topics_are_ready_when_all_exist(void **state)
{
    (void)state;
    make_topic(MAIN);
    make_topic(RETRY);
    make_topic(DLQ);
    open_topics();
    wait_until_ready();
    assert_false(logged("not ready"));
}

static void topics_wait_for_the_main_topic(void **state)
{
    (void)state;
    make_topic(RETRY);
    make_topic(DLQ);
    open_topics();
    wait_for_reason("the topic " MAIN " does not exist");
    make_topic(MAIN); /* fails where it was created by asking for it */
    wait_until_ready();
}

static void topics_pass_over_an_answer_that_fails(void **state)
{
    (void)state;
    make_topic(MAIN);
    make_topic(RETRY);
    make_topic(DLQ);
    rd_kafka_mock_push_request_errors(
        cluster, API_METADATA, 2, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TRANSPORT);
    open_topics();
    wait_until_ready();
}

static void topics_tell_that_no_broker_answers_and_close_at_once(void **state)
{
    (void)state;
    open_topics_at("127.0.0.1:1");
    wait_for_reason("127.0.0.1:1");
    close_at_once();
}

static void topics_close_at_once_while_something_is_missing(void **state)
{
    (void)state;
    open_topics();
    wait_for_reason(MAIN);
    close_at_once();
}

static void topics_close_at_once_while_a_request_is_under_way(void **state)
{
    (void)state;
    make_topic(MAIN);
    open_topics();
    wait_until_logged("creating topics");
    close_at_once();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_cluster, close_cluster)
    const struct CMUnitTest tests[] = {
        TEST(topics_are_ready_when_all_exist),
        TEST(topics_wait_for_the_main_topic),
        TEST(topics_pass_over_an_answer_that_fails),
        TEST(topics_tell_that_no_broker_answers_and_close_at_once),
        TEST(topics_close_at_once_while_something_is_missing),
        TEST(topics_close_at_once_while_a_request_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
