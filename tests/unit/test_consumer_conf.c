/* How consumers are set up: what a property file may change, and that librdkafka takes the whole. */
#include "worker/consumer_conf.h"

#include "common/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The configuration of a group with these lines in IMPCERT_KAFKA_CONFIG; the caller owns it. */
static rd_kafka_conf_t *conf_of_group(const char *suffix, const char *lines)
{
    static const struct program program = {.id = PROGRAM_WORKER, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL}, path[] = "/tmp/impcert-conf.XXXXXX";
    int exit_code, file = mkstemp(path);
    struct error error = {0};
    assert_int_equal(write(file, lines, strlen(lines)), (ssize_t)strlen(lines));
    close(file);
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "127.0.0.1:1", 1);
    setenv("IMPCERT_KAFKA_CONFIG", path, 1);
    setenv("IMPCERT_GROUP", "own", 1);
    setenv("IMPCERT_INSTANCE_ID", "pod", 1);
    setenv("IAMPORT_KEY", "key", 1);
    setenv("IAMPORT_SECRET", "secret", 1);
    setenv("MONGODB_URI", "mongodb://127.0.0.1", 1);
    struct settings *settings = settings_start(&program, 1, argv, &exit_code);
    assert_non_null(settings);
    rd_kafka_conf_t *conf = consumer_conf_new(settings, suffix, 3, &error);
    settings_free(settings);
    unlink(path);
    assert_string_equal(error.text, "");
    return conf;
}

static rd_kafka_conf_t *conf_of(const char *lines)
{
    return conf_of_group(".retry", lines);
}

static void assert_property(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
    char value[64];
    size_t size = sizeof value;
    assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, wanted);
}

/* Takes conf. */
static void assert_taken(rd_kafka_conf_t *conf)
{
    struct error error = {0};
    rd_kafka_t *consumer = kafka_open(RD_KAFKA_CONSUMER, conf, &error);
    assert_string_equal(error.text, "");
    rd_kafka_destroy(consumer);
}

static void names_are_of_the_group_and_the_worker(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf = conf_of("");
    assert_property(conf, "group.id", "own.retry");
    assert_property(conf, "group.instance.id", "pod-3");
    assert_taken(conf);
}

static void a_file_may_change_what_is_no_guarantee(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf = conf_of("queued.min.messages=77\nsession.timeout.ms=9000\n");
    assert_property(conf, "queued.min.messages", "77");
    assert_property(conf, "session.timeout.ms", "9000");
    assert_taken(conf);
}

static void large_messages_make_large_fetches(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf = conf_of("message.max.bytes=5000000\n");
    assert_property(conf, "fetch.max.bytes", "5000000");
    assert_taken(conf);
    conf = conf_of("fetch.max.bytes=7000000\nmessage.max.bytes=5000000\n");
    assert_property(conf, "fetch.max.bytes", "7000000");
    assert_taken(conf);
}

/* Fetches that find a single record each, or none, cost the broker more than the records do. */
static void fetches_wait_a_little_and_those_of_retry_topics_longer(void **state)
{
    (void)state;
    static const struct {
        const char *suffix, *lines, *wait;
    } cases[] = {
        {"", "", "10"},
        {".retry", "", "250"},
        {"", "fetch.wait.max.ms=40\n", "40"},
        {".retry", "fetch.wait.max.ms=40\n", "40"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rd_kafka_conf_t *conf = conf_of_group(cases[i].suffix, cases[i].lines);
        assert_property(conf, "fetch.wait.max.ms", cases[i].wait);
        assert_property(conf, "fetch.min.bytes", "8192");
        assert_taken(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_of_the_group_and_the_worker),
        cmocka_unit_test(a_file_may_change_what_is_no_guarantee),
        cmocka_unit_test(large_messages_make_large_fetches),
        cmocka_unit_test(fetches_wait_a_little_and_those_of_retry_topics_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
