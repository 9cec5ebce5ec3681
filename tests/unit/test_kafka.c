/* Client set-up: order and protection of properties, faults of the property file, and what reaches the log.
 */
#include "common/kafka.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/impcert-kafka.XXXXXX";
static struct settings *settings;

static const struct kafka_property defaults[] = {
    {"linger.ms", "7"}, {"socket.timeout.ms", "9000"}, {NULL, NULL}};
static const struct kafka_property fixed[] = {{"acks", "all"}, {NULL, NULL}};

static void write_properties(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int open_settings(void **state)
{
    (void)state;
    static const struct program program = {.id = PROGRAM_PUBLISH, .name = "impcert-test", .summary = ""};
    char *argv[] = {"impcert-test", NULL};
    int exit_code, file = mkstemp(path);
    if (file < 0)
        return -1;
    close(file);
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "127.0.0.1:1", 1);
    setenv("IMPCERT_KAFKA_CONFIG", path, 1);
    settings = settings_start(&program, 1, argv, &exit_code);
    return settings ? 0 : -1;
}

static int close_settings(void **state)
{
    (void)state;
    settings_free(settings);
    return unlink(path);
}

static rd_kafka_conf_t *make(const char *properties)
{
    struct error error = {.text = ""};
    write_properties(properties);
    rd_kafka_conf_t *conf = kafka_conf_new(settings, defaults, fixed, &error);
    if (!conf)
        fail_msg("%s", error.text);
    return conf;
}

static void must_be(rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
    char value[256];
    size_t size = sizeof value;
    assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, wanted);
}

static void kafka_file_overrides_defaults_but_nothing_fixed(void **state)
{
    (void)state;
    rd_kafka_conf_t *conf = make("# tuning\n"
                                 "\n"
                                 "  linger.ms = 20 \r\n"
                                 "request.required.acks=1\n"
                                 "bootstrap.servers=elsewhere:9092\n"
                                 "topic.message.timeout.ms=1234\n"
                                 "topic.metadata.refresh.interval.ms=5678\n"
                                 "sasl.password=a=b#c");
    must_be(conf, "linger.ms", "20");
    must_be(conf, "socket.timeout.ms", "9000");
    must_be(conf, "acks", "-1");
    must_be(conf, "bootstrap.servers", "127.0.0.1:1");
    must_be(conf, "message.timeout.ms", "1234");
    must_be(conf, "topic.metadata.refresh.interval.ms", "5678");
    must_be(conf, "sasl.password", "a=b#c");
    rd_kafka_conf_destroy(conf);
}

static void kafka_client_id_is_program_and_host(void **state)
{
    (void)state;
    char host[65] = "", wanted[128];
    gethostname(host, sizeof host - 1);
    snprintf(wanted, sizeof wanted, "impcert-test/%s", host);
    rd_kafka_conf_t *conf = make("");
    must_be(conf, "client.id", wanted);
    rd_kafka_conf_destroy(conf);
    conf = make("client.id=mine");
    must_be(conf, "client.id", "mine");
    rd_kafka_conf_destroy(conf);
}

static void kafka_file_faults_name_file_line_and_property(void **state)
{
    (void)state;
    static const char *const faulty[][2] = {
        {"linger.ms=5\nno.such.thing=hidden\n", ":2: no such Kafka property: \"no.such.thing\""},
        {"linger.ms=hidden\n", ":1: Kafka property linger.ms: its value is not valid"},
        {"\n\nlinger.ms=99999999\n", ":3: Kafka property linger.ms: outside allowed range 0..900000"},
        {"security.protocol=hidden\n", ":1: Kafka property security.protocol"},
        {"just hidden words\n", ":1: expected key=value"},
        {"=hidden\n", ":1: expected key=value"},
        {"acks=1\n", ":1: Kafka property acks is fixed"},
        {"topic.acks=1\n", ":1: Kafka property acks is fixed"},
        {"a\x1b[2J=hidden\n", "\"a\\u001b[2J\""},
    };
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        struct error error = {.text = ""};
        write_properties(faulty[i][0]);
        assert_null(kafka_conf_new(settings, defaults, fixed, &error));
        if (!strstr(error.text, faulty[i][1]) || strstr(error.text, "hidden"))
            fail_msg("%zu: %s", i, error.text);
    }
}

static void kafka_open_says_which_properties_contradict(void **state)
{
    (void)state;
    struct error error = {.text = ""};
    rd_kafka_conf_t *conf = make("enable.idempotence=true\nmax.in.flight=100\n");
    assert_null(kafka_open(RD_KAFKA_PRODUCER, conf, &error));
    assert_non_null(strstr(error.text, "max.in.flight"));
}

static void ignore_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    (void)client;
    (void)code;
    (void)reason;
    (void)opaque;
}

/* What a client logs while it is made. That no broker is there goes to its error_cb. */
static void read_log_of_client(rd_kafka_type_t type, const char *properties, char *text, size_t size)
{
    int ends[2];
    struct error error = {.text = ""};
    rd_kafka_conf_t *conf = make(properties);
    rd_kafka_conf_set_error_cb(conf, ignore_error);
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    rd_kafka_t *client = kafka_open(type, conf, &error);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    if (!client)
        fail_msg("%s", error.text);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    rd_kafka_destroy(client);
}

static void kafka_is_quiet_about_properties_of_the_other_client(void **state)
{
    (void)state;
    char text[8192];
    read_log_of_client(RD_KAFKA_CONSUMER, "group.id=g\ncompression.codec=lz4\n", text, sizeof text);
    assert_string_equal(text, "");
    read_log_of_client(RD_KAFKA_PRODUCER, "fetch.min.bytes=2\nsession.timeout.ms=9000\n", text, sizeof text);
    assert_string_equal(text, "");
}

static void kafka_passes_true_warnings_to_the_log(void **state)
{
    (void)state;
    char text[8192];
    read_log_of_client(RD_KAFKA_PRODUCER, "sasl.mechanisms=PLAIN\n", text, sizeof text);
    assert_non_null(strstr(text, "\"level\":\"warn\""));
    assert_non_null(strstr(text, "\"facility\":\"CONFWARN\""));
    assert_non_null(strstr(text, "\"client\":\"impcert-test/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_file_overrides_defaults_but_nothing_fixed),
        cmocka_unit_test(kafka_client_id_is_program_and_host),
        cmocka_unit_test(kafka_file_faults_name_file_line_and_property),
        cmocka_unit_test(kafka_open_says_which_properties_contradict),
        cmocka_unit_test(kafka_is_quiet_about_properties_of_the_other_client),
        cmocka_unit_test(kafka_passes_true_warnings_to_the_log),
    };
    return cmocka_run_group_tests(tests, open_settings, close_settings);
}
