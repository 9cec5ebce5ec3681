/* The settings: every type of value, every source, every fault in one message, and the options made from the
 * table. */
#include "common/cores.h"
#include "common/settings.h"
#include "common/settings_check.h"
#include "common/settings_names.h"
#include "common/settings_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGUMENTS_MOST 8

static const struct program worker = {.id = PROGRAM_WORKER, .name = "impcert-worker", .summary = "Verifies."};
static const struct program publisher = {
    .id = PROGRAM_PUBLISH, .name = "impcert-publish", .summary = "Publishes.", .operands = "[IMP_UID]..."};

static const struct program gateway = {
    .id = PROGRAM_GATEWAY, .name = "impcert-gateway", .summary = "Takes events."};

/* What settings_start returned and printed. */
struct outcome {
    struct settings *settings;
    int exit_code;
    char out[16384];
    char err[16384];
};

static char directory[] = "/tmp/impcert-settings.XXXXXX";

static const char *write_file(const char *name, const char *content)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    return path;
}

static int redirect(FILE *stream, const char *name)
{
    fflush(stream);
    int saved = dup(fileno(stream));
    FILE *file = fopen(write_file(name, ""), "w");
    assert_non_null(file);
    dup2(fileno(file), fileno(stream));
    fclose(file);
    return saved;
}

static void restore(FILE *stream, int saved, const char *name, char *text, size_t size)
{
    fflush(stream);
    dup2(saved, fileno(stream));
    close(saved);
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void start(struct outcome *outcome, const struct program *program, const char *const *arguments)
{
    char *argv[ARGUMENTS_MOST + 2] = {(char *)program->name};
    int argc = 1;
    for (; arguments && arguments[argc - 1]; argc++)
        argv[argc] = (char *)arguments[argc - 1];
    int out = redirect(stdout, "out"), err = redirect(stderr, "err");
    outcome->settings = settings_start(program, argc, argv, &outcome->exit_code);
    restore(stdout, out, "out", outcome->out, sizeof outcome->out);
    restore(stderr, err, "err", outcome->err, sizeof outcome->err);
}

static int with_required_settings(void **state)
{
    (void)state;
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "kafka-1:9092", 1);
    setenv("IAMPORT_KEY", "the-key", 1);
    setenv("IAMPORT_SECRET", "the-secret", 1);
    setenv("MONGODB_URI", "mongodb://user:pass-word@db/", 1);
    return 0;
}

static void must_say(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void must_not_say(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" in:\n%s", part, text);
}

/* number -1: refused, with why as part of the reason. */
static const struct {
    enum setting setting;
    const char *text;
    int64_t number;
    const char *why;
} checks[] = {
    {SETTING_ATTEMPTS, "1", 1, NULL},
    {SETTING_ATTEMPTS, "100", 100, NULL},
    {SETTING_ATTEMPTS, "0", -1, "from 1 to 100"},
    {SETTING_ATTEMPTS, "101", -1, "from 1 to 100"},
    {SETTING_ATTEMPTS, "+4", -1, "whole number"},
    {SETTING_ATTEMPTS, " 4", -1, "whole number"},
    {SETTING_ATTEMPTS, "4x", -1, "whole number"},
    {SETTING_ATTEMPTS, "0x4", -1, "whole number"},
    {SETTING_ATTEMPTS, "-1", -1, "whole number"},
    {SETTING_ATTEMPTS, "99999999999999999999999", -1, "whole number"},
    {SETTING_ENCRYPTION_KEY,
        "ABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XY"
        "ABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XY",
        0, NULL},
    {SETTING_ENCRYPTION_KEY,
        "ABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XY\n"
        "ABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XY\n",
        0, NULL},
    {SETTING_ENCRYPTION_KEY, "ABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XYABCDabcd0123+/XY", -1,
        "(not shown: a secret) has 64 characters of base64, expected 128"},
    {SETTING_ENCRYPTION_KEY, "ABCD=", -1, "(not shown: a secret) is not base64"},
    {SETTING_ENCRYPTION_KEY, " ", -1, "has 0 characters"},
    {SETTING_ENCRYPTION_KEY_VAULT, "keys.vault", 0, NULL},
    {SETTING_ENCRYPTION_KEY_VAULT, "keys.__keyVault.2", 0, NULL},
    {SETTING_ENCRYPTION_KEY_VAULT, "vault", -1, "a database, a dot"},
    {SETTING_ENCRYPTION_KEY_VAULT, ".vault", -1, "a database, a dot"},
    {SETTING_ENCRYPTION_KEY_VAULT, "keys.", -1, "a database, a dot"},
    {SETTING_ENCRYPTION_KEY_VAULT, "keys.$x", -1, "a database, a dot"},
    {SETTING_ENCRYPTION_KEY_VAULT, "a234567890123456789012345678901234567890123456789012345678901234.keys",
        -1, "a database, a dot"},
    {SETTING_RETENTION, "8760h", INT64_C(31536000000), NULL},
    {SETTING_RETENTION, "1s", 1000, NULL},
    {SETTING_RETENTION, "2147483647s", INT64_C(2147483647000), NULL},
    {SETTING_RETENTION, "2147483648s", -1, "expected 1s to 2147483647s"},
    {SETTING_RETENTION, "999ms", -1, "expected 1s to 2147483647s"},
    {SETTING_RETENTION, "365d", -1, "is no duration"},
    {SETTING_RATE_LIMIT, "0", 0, NULL},
    {SETTING_RATE_LIMIT, "-1", -1, "whole number"},
    {SETTING_RETRY_DELAYS, "", 0, NULL},
    {SETTING_RETRY_DELAYS, "30s,5m,1h", 3, NULL},
    {SETTING_RETRY_DELAYS, "1s, 2s ,4s,8s,16s,32s,64s,128s", 8, NULL},
    {SETTING_RETRY_DELAYS, "1s,2s,4s,8s,16s,32s,64s,128s,256s", -1, "more than 8 entries"},
    {SETTING_RETRY_DELAYS, "30s,,1h", -1, "no duration"},
    {SETTING_RETRY_DELAYS, "30", -1, "no unit"},
    {SETTING_RETRY_DELAYS, "5m,30s", -1, "longer than the one before"},
    {SETTING_RETRY_DELAYS, "60s,1m", -1, "longer than the one before"},
    {SETTING_RETRY_DELAYS, "999ms", -1, "expected 1s to 168h"},
    {SETTING_RETRY_DELAYS, "30s;5m", -1, "no duration"},
    {SETTING_INSTANCE_ID, "impcert-worker-0", 0, NULL},
    {SETTING_INSTANCE_ID, "a b", -1, "1 to 240"},
    {SETTING_GROUP, "impcert of the shop", 0, NULL},
    {SETTING_BACKOFF, "200ms", 200, NULL},
    {SETTING_BACKOFF, "2s", 2000, NULL},
    {SETTING_BACKOFF, "3m", 180000, NULL},
    {SETTING_BACKOFF, "1h", 3600000, NULL},
    {SETTING_BACKOFF, "2h", -1, "expected 1ms to 1h"},
    {SETTING_BACKOFF, "0s", -1, "out of range"},
    {SETTING_BACKOFF, "200", -1, "has no unit, expected a whole number with ms, s, m or h"},
    {SETTING_BACKOFF, "1.5s", -1, "no duration"},
    {SETTING_BACKOFF, "5d", -1, "no duration"},
    {SETTING_BACKOFF, "ms", -1, "no duration"},
    {SETTING_BACKOFF, "1 s", -1, "no duration"},
    {SETTING_BACKOFF, "999999999999999999h", -1, "out of range"},
    {SETTING_DRAIN_TIMEOUT, "0s", 0, NULL},
    {SETTING_DRAIN_TIMEOUT, "9h", -1, "expected 0s to 1h"},
    {SETTING_LOG_LEVEL, "debug", 0, NULL},
    {SETTING_LOG_LEVEL, "error", 3, NULL},
    {SETTING_LOG_LEVEL, "Info", -1, "expected debug, info, warn or error"},
    {SETTING_STORE_FIELDS, "name", 0, NULL},
    {SETTING_STORE_FIELDS, "name, foreigner_v2,origin", 0, NULL},
    {SETTING_STORE_FIELDS, "name,unique_key", -1, "\"unique_key\""},
    {SETTING_STORE_FIELDS, "name,", -1, "\"\""},
    {SETTING_STORE_FIELDS, "name phone", -1, "separated by commas"},
    {SETTING_HTTP_LISTEN, "off", 0, NULL},
    {SETTING_HTTP_LISTEN, "127.0.0.1:0", 0, NULL},
    {SETTING_HTTP_LISTEN, "[::1]:9464", 0, NULL},
    {SETTING_HTTP_LISTEN, "localhost:65535", 0, NULL},
    {SETTING_HTTP_LISTEN, "localhost:65536", -1, "host:port"},
    {SETTING_HTTP_LISTEN, "localhost", -1, "host:port"},
    {SETTING_HTTP_LISTEN, ":9464", -1, "host:port"},
    {SETTING_HTTP_LISTEN, "::1:9464", -1, "host:port"},
    {SETTING_HTTP_LISTEN, "[::1:9464", -1, "host:port"},
    {SETTING_HTTP_LISTEN, "a b:1", -1, "host:port"},
    {SETTING_GATEWAY_LISTEN, "0.0.0.0:80", 0, NULL},
    {SETTING_GATEWAY_LISTEN, "0.0.0.0", -1, "host:port"},
    {SETTING_GATEWAY_IN_FLIGHT, "1000000", 1000000, NULL},
    {SETTING_GATEWAY_IN_FLIGHT, "0", -1, "from 1 to 1000000"},
    {SETTING_PUBLISH_TIMEOUT, "10ms", 10, NULL},
    {SETTING_PUBLISH_TIMEOUT, "9ms", -1, "expected 10ms to 10m"},
    {SETTING_CONNECTIONS, "0", -1, "from 1 to 1000000"},
    {SETTING_CLIENT_CONNECTIONS, "0", 0, NULL},
    {SETTING_REQUEST_TIMEOUT, "1s", 1000, NULL},
    {SETTING_IDLE_TIMEOUT, "999ms", -1, "expected 1s to 1h"},
    {SETTING_CORS_ORIGINS, "*", 0, NULL},
    {SETTING_CORS_ORIGINS, "https://shop.example", 0, NULL},
    {SETTING_CORS_ORIGINS, "https://shop.example, http://localhost:3000 ,https://[::1]:8443", 0, NULL},
    {SETTING_CORS_ORIGINS, "*,https://shop.example", -1, "\"*\" is no origin"},
    {SETTING_CORS_ORIGINS, "https://shop.example,", -1, "\"\" is no origin"},
    {SETTING_CORS_ORIGINS, "https://shop.example/", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "https://", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "shop.example", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "https://*.shop.example", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "https://user@shop.example", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "null", -1, "is no origin"},
    {SETTING_CORS_ORIGINS, "https://Shop.example", -1, "as browsers write it"},
    {SETTING_CORS_ORIGINS, "https://shop.example:443", -1, "as browsers write it"},
    {SETTING_CORS_ORIGINS, "http://shop.example:80", -1, "as browsers write it"},
    {SETTING_CORS_ORIGINS, "http://shop.example:443,https://shop.example:8443", 0, NULL},
    {SETTING_BEARER_TOKENS, "0123456789abcdef", 0, NULL},
    {SETTING_BEARER_TOKENS, "  0123456789-._~+/==,\tABCDEFGHIJKLMNOP\r\n", 0, NULL},
    {SETTING_BEARER_TOKENS, "hidden", -1, "token 1 (not shown) has 6 characters"},
    {SETTING_BEARER_TOKENS, "0123456789abcdef hidden", -1, "token 2 (not shown) has 6 characters"},
    {SETTING_BEARER_TOKENS, "hidden-hidden-hidden\"", -1, "token 1 (not shown) has a character other than"},
    {SETTING_BEARER_TOKENS, " ,\n", -1, "holds no token"},
    {SETTING_KAFKA_BROKERS, "a", 0, NULL},
    {SETTING_KAFKA_BROKERS, "a:1, SASL_SSL://b:2 ,[::1]:9092", 0, NULL},
    {SETTING_KAFKA_BROKERS, "a:1,", -1, "\"\""},
    {SETTING_KAFKA_BROKERS, "a:0", -1, "\"a:0\""},
    {SETTING_KAFKA_BROKERS, "a:b", -1, "\"a:b\""},
    {SETTING_KAFKA_BROKERS, "a:1;b:2", -1, "\"a:1;b:2\""},
    {SETTING_IAMPORT_URL, "https://api.iamport.kr", 0, NULL},
    {SETTING_IAMPORT_URL, "HTTP://[::1]:8080/base/", 0, NULL},
    {SETTING_IAMPORT_URL, "ftp://a", -1, "http:// or https://"},
    {SETTING_IAMPORT_URL, "api.iamport.kr", -1, "http:// or https://"},
    {SETTING_IAMPORT_URL, "https://", -1, "a host"},
    {SETTING_IAMPORT_URL, "https://a:port", -1, "a port"},
    {SETTING_IAMPORT_URL, "https://a/?x=1", -1, "query or fragment"},
    {SETTING_IAMPORT_URL, "https://a#x", -1, "query or fragment"},
    {SETTING_IAMPORT_URL, "https://a/b c", -1, "no URL has"},
    {SETTING_IAMPORT_URL, "https://user:hidden@a/", -1, "user info"},
    {SETTING_KAFKA_CONFIG, "/dev/null", 0, NULL},
    {SETTING_KAFKA_CONFIG, "/nowhere/at/all", -1, "No such file"},
    {SETTING_KAFKA_CONFIG, "/tmp", -1, "is a directory"},
    {SETTING_TOPIC, "certifications.v2_A-1", 0, NULL},
    {SETTING_TOPIC, "a/b", -1, "topic name"},
    {SETTING_TOPIC, "..", -1, "topic name"},
    {SETTING_GROUP, "any \xed\x99\x8d group", 0, NULL},
    {SETTING_GROUP, "two\nlines", -1, "\"two\\u000alines\""},
    {SETTING_GROUP, "\xff", -1, "\"\\xff\""},
    {SETTING_MONGODB_DATABASE, "impcert", 0, NULL},
    {SETTING_MONGODB_DATABASE, "imp.cert", -1, "database name"},
    {SETTING_MONGODB_DATABASE, "a b", -1, "database name"},
    {SETTING_MONGODB_COLLECTION, "a.b", 0, NULL},
    {SETTING_MONGODB_COLLECTION, "system.users", -1, "collection name"},
    {SETTING_MONGODB_COLLECTION, "a$b", -1, "collection name"},
    {SETTING_MONGODB_COLLECTION, ".a", -1, "collection name"},
    {SETTING_MONGODB_URI, "mongodb+srv://cluster.example/", 0, NULL},
    {SETTING_MONGODB_URI, "mongodb://", -1, "no MongoDB URI"},
    {SETTING_MONGODB_URI, "http://user:hidden@db", -1, "not shown"},
    {SETTING_IAMPORT_SECRET, "hidden\n", -1, "not shown"},
};

static void settings_check_takes_only_values_of_the_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct error why = {.text = ""};
        int64_t number = -1;
        bool ok = settings_check(&settings_table[checks[i].setting], checks[i].text, &number, &why);
        if (ok != (checks[i].number >= 0))
            fail_msg("\"%s\": %s", checks[i].text, ok ? "taken" : why.text);
        if (ok) {
            assert_int_equal(number, checks[i].number);
        } else {
            must_say(why.text, checks[i].why);
            must_not_say(why.text, "hidden");
        }
    }
}

static void settings_topics_have_at_most_249_characters(void **state)
{
    (void)state;
    char topic[251];
    struct error why;
    int64_t number;
    memset(topic, 'a', 250);
    topic[250] = '\0';
    assert_false(settings_check(&settings_table[SETTING_TOPIC], topic, &number, &why));
    topic[249] = '\0';
    assert_true(settings_check(&settings_table[SETTING_TOPIC], topic, &number, &why));
}

static void settings_have_the_defaults_of_the_table(void **state)
{
    (void)state;
    struct outcome outcome;
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_string_equal(outcome.err, "");
    const struct settings *settings = outcome.settings;
    char host[256];
    uint16_t port;
    assert_string_equal(settings_program(settings), "impcert-worker");
    assert_string_equal(settings_text(settings, SETTING_TOPIC), "certifications");
    assert_string_equal(settings_text(settings, SETTING_DLQ_TOPIC), "certifications.dlq");
    assert_null(settings_text(settings, SETTING_KAFKA_CONFIG));
    assert_int_equal(settings_number(settings, SETTING_WORKERS), cores_usable());
    assert_int_equal(settings_number(settings, SETTING_IN_FLIGHT), 1024);
    assert_int_equal(settings_ms(settings, SETTING_BACKOFF_MAX), 10000);
    assert_false(settings_has_word(settings, SETTING_STORE_FIELDS, "name"));
    assert_true(settings_address(settings, SETTING_HTTP_LISTEN, host, &port));
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 9464);
    assert_string_equal(settings_text(settings, SETTING_LOG_FORMAT), "json");
    settings_free(outcome.settings);
}

static void settings_of_the_gateway_have_their_own_meaning(void **state)
{
    (void)state;
    struct outcome outcome;
    char host[256];
    uint16_t port;
    unsetenv("IAMPORT_KEY"); /* it needs none of what only the worker does */
    unsetenv("IAMPORT_SECRET");
    unsetenv("MONGODB_URI");
    setenv("IMPCERT_BEARER_TOKENS", "hidden-token-0123", 1);
    start(&outcome, &gateway, NULL);
    assert_non_null(outcome.settings);
    const struct settings *settings = outcome.settings;
    assert_true(settings_address(settings, SETTING_GATEWAY_LISTEN, host, &port));
    assert_int_equal(port, 8080);
    assert_int_equal(settings_number(settings, SETTING_GATEWAY_IN_FLIGHT), 10000);
    assert_int_equal(settings_ms(settings, SETTING_PUBLISH_TIMEOUT), 5000);
    assert_int_equal(settings_number(settings, SETTING_CONNECTIONS), 20000);
    assert_null(settings_text(settings, SETTING_CORS_ORIGINS));
    settings_free(outcome.settings);
    start(&outcome, &gateway, (const char *[]){"--print-config", NULL});
    must_say(outcome.out, "IMPCERT_BEARER_TOKENS");
    must_not_say(outcome.out, "hidden");
    setenv("IMPCERT_HTTP_LISTEN", "127.0.0.1:7000", 1);
    start(&outcome, &gateway, NULL);
    assert_non_null(outcome.settings);
    assert_true(settings_address(outcome.settings, SETTING_GATEWAY_LISTEN, host, &port));
    assert_int_equal(port, 7000);
    settings_free(outcome.settings);
}

static void settings_take_values_from_the_environment(void **state)
{
    (void)state;
    struct outcome outcome;
    char host[256];
    uint16_t port;
    setenv("IMPCERT_TOPIC", "events", 1);
    setenv("IMPCERT_GROUP", "", 1); /* counts as not set */
    setenv("IMPCERT_STORE_FIELDS", "birthday, gender", 1);
    setenv("IMPCERT_HTTP_LISTEN", "[::1]:0", 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_string_equal(settings_text(outcome.settings, SETTING_DLQ_TOPIC), "events.dlq");
    assert_string_equal(settings_text(outcome.settings, SETTING_GROUP), "impcert");
    assert_true(settings_has_word(outcome.settings, SETTING_STORE_FIELDS, "gender"));
    assert_false(settings_has_word(outcome.settings, SETTING_STORE_FIELDS, "birth"));
    assert_true(settings_address(outcome.settings, SETTING_HTTP_LISTEN, host, &port));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 0);
    settings_free(outcome.settings);
    with_required_settings(state);
    setenv("IMPCERT_HTTP_LISTEN", "off", 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_false(settings_address(outcome.settings, SETTING_HTTP_LISTEN, host, &port));
    settings_free(outcome.settings);
}

static void settings_take_secrets_out_of_the_environment(void **state)
{
    (void)state;
    struct outcome outcome;
    const char *shown = getenv("IAMPORT_SECRET");
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_string_equal(settings_text(outcome.settings, SETTING_IAMPORT_SECRET), "the-secret");
    assert_string_equal(shown, "");
    assert_null(getenv("IAMPORT_SECRET"));
    assert_null(getenv("MONGODB_URI"));
    assert_string_equal(getenv("IMPCERT_KAFKA_BROKERS"), "kafka-1:9092");

    struct faults faults;
    faults_init(&faults);
    settings_try(outcome.settings, &faults);
    assert_int_equal(faults.count, 0);
    setenv("IMPCERT_TOPIC", "not a topic", 1);
    settings_try(outcome.settings, &faults);
    assert_int_equal(faults.count, 1);
    faults_cleanup(&faults);

    assert_true(settings_restore_environment(outcome.settings));
    assert_string_equal(getenv("IAMPORT_SECRET"), "the-secret");
    assert_string_equal(getenv("MONGODB_URI"), "mongodb://user:pass-word@db/");
    settings_free(outcome.settings);
}

static bool list_file(void *context, const char *path)
{
    char *list = context;
    strcat(strcat(list, path), "\n");
    return true;
}

static void settings_name_the_files_that_are_read_once(void **state)
{
    (void)state;
    struct outcome outcome;
    char list[1024] = "", uri[128], properties[128];
    snprintf(uri, sizeof uri, "%s", write_file("uri", "mongodb://db/"));
    snprintf(properties, sizeof properties, "%s", write_file("properties", "linger.ms=5\n"));
    unsetenv("MONGODB_URI");
    unsetenv("IAMPORT_KEY");
    setenv("MONGODB_URI_FILE", uri, 1);
    setenv("IMPCERT_KAFKA_CONFIG", properties, 1);
    setenv("IAMPORT_KEY_FILE", write_file("key", "the-key"), 1); /* read again for each token */
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_true(settings_each_file(outcome.settings, list_file, list));
    must_say(list, uri);
    must_say(list, properties);
    must_not_say(list, "/key\n");
    settings_free(outcome.settings);
}

static void settings_name_no_file_that_a_gateway_reads_again(void **state)
{
    (void)state;
    struct outcome outcome;
    char list[1024] = "";
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "kafka-1:9092", 1);
    setenv("IMPCERT_TLS_CERT_FILE", write_file("cert", "a certificate"), 1);
    setenv("IMPCERT_TLS_KEY_FILE", write_file("cert-key", "its key"), 1);
    setenv("IMPCERT_BEARER_TOKENS_FILE", write_file("tokens", "token-of-the-shop-1"), 1);
    start(&outcome, &gateway, NULL);
    assert_non_null(outcome.settings);
    assert_true(settings_each_file(outcome.settings, list_file, list));
    assert_string_equal(list, "");
    settings_free(outcome.settings);
}

static void settings_take_values_from_files_and_read_them_again(void **state)
{
    (void)state;
    struct outcome outcome;
    struct error why;
    char value[16];
    unsetenv("IAMPORT_SECRET");
    setenv("IAMPORT_SECRET_FILE", write_file("secret", "first\r\n\n"), 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_string_equal(settings_text(outcome.settings, SETTING_IAMPORT_SECRET), "");
    assert_true(settings_reread(outcome.settings, SETTING_IAMPORT_SECRET, value, sizeof value, &why));
    assert_string_equal(value, "first");
    write_file("secret", "second\n");
    assert_true(settings_reread(outcome.settings, SETTING_IAMPORT_SECRET, value, sizeof value, &why));
    assert_string_equal(value, "second");
    assert_true(settings_reread(outcome.settings, SETTING_IAMPORT_KEY, value, sizeof value, &why));
    assert_string_equal(value, "the-key");
    write_file("secret", "hidden-and-far-too-long");
    assert_false(settings_reread(outcome.settings, SETTING_IAMPORT_SECRET, value, sizeof value, &why));
    must_not_say(why.text, "hidden");
    write_file("secret", "\n");
    assert_false(settings_reread(outcome.settings, SETTING_IAMPORT_SECRET, value, sizeof value, &why));
    must_say(why.text, "is empty");
    unlink(write_file("secret", ""));
    assert_false(settings_reread(outcome.settings, SETTING_IAMPORT_SECRET, value, sizeof value, &why));
    must_say(why.text, "IAMPORT_SECRET_FILE");
    must_say(why.text, "No such file");
    settings_free(outcome.settings);
}

static void settings_say_every_fault_in_one_message(void **state)
{
    (void)state;
    struct outcome outcome;
    clearenv();
    setenv("IAMPORT_KEY", "hidden-key", 1);
    setenv("IAMPORT_KEY_FILE", "/run/secrets/key", 1);
    setenv("IAMPORT_SECERT", "hidden-secret", 1);
    setenv("MONGODB_URI", "postgres://user:hidden@db", 1);
    setenv("MONGODB_DATABASE_FILE", "/nowhere/database", 1);
    setenv("IMPCERT_BACKOFF", "30s", 1);
    setenv("IMPCERT_TIMEOUT", "10", 1);
    setenv("IMPCERT_DLQ_TOPIC", "certifications", 1);
    setenv("IMPCERT_WORKER", "4", 1);
    start(&outcome, &worker, NULL);
    assert_null(outcome.settings);
    assert_int_equal(outcome.exit_code, 2);
    assert_string_equal(outcome.out, "");
    must_say(outcome.err, "impcert-worker: 9 settings are wrong:\n");
    must_say(outcome.err, "\n  IMPCERT_KAFKA_BROKERS: not set, expected");
    must_say(outcome.err, "\n  IAMPORT_KEY: given twice, also by IAMPORT_KEY_FILE");
    must_say(outcome.err, "\n  IAMPORT_SECRET: not set (IAMPORT_SECERT is");
    must_say(outcome.err, "\n  MONGODB_URI: ");
    must_say(outcome.err, "\n  MONGODB_DATABASE_FILE: file /nowhere/database can't be read");
    must_say(outcome.err,
        "\n  IMPCERT_BACKOFF: 30s, expected at most IMPCERT_BACKOFF_MAX, which is 10s (its default)");
    must_say(outcome.err, "\n  IMPCERT_TIMEOUT: \"10\" has no unit");
    must_say(outcome.err, "\n  IMPCERT_DLQ_TOPIC: \"certifications\" is IMPCERT_TOPIC too");
    must_say(outcome.err, "\n  IMPCERT_WORKER: no such setting, the nearest is IMPCERT_WORKERS");
    must_not_say(outcome.err, "hidden");
}

static void settings_set_to_nothing_are_a_value_only_where_that_means_none(void **state)
{
    with_required_settings(state);
    struct outcome outcome;
    char text[SETTING_DURATION_SIZE];
    int64_t ms;
    setenv("IMPCERT_RETRY_DELAYS", "", 1);
    setenv("IMPCERT_GROUP", "", 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_false(settings_duration_at(outcome.settings, SETTING_RETRY_DELAYS, 0, text, &ms));
    assert_string_equal(settings_text(outcome.settings, SETTING_GROUP), "impcert");
    settings_free(outcome.settings);
}

static void settings_know_the_topics_that_they_are_made_of(void **state)
{
    with_required_settings(state);
    struct outcome outcome;
    char topic[246] = "";
    memset(topic, 't', sizeof topic - 1);
    setenv("IMPCERT_TOPIC", topic, 1);
    setenv("IMPCERT_DLQ_TOPIC", "dlq", 1);
    start(&outcome, &worker, NULL);
    assert_null(outcome.settings);
    must_say(outcome.err, "IMPCERT_TOPIC: the retry topic \"....retry.30s\" would be longer than 249");
    setenv("IMPCERT_TOPIC", "events", 1);
    setenv("IMPCERT_DLQ_TOPIC", "events.retry.5m", 1);
    start(&outcome, &worker, NULL);
    assert_null(outcome.settings);
    must_say(
        outcome.err, "IMPCERT_DLQ_TOPIC: \"events.retry.5m\" is a retry topic of IMPCERT_RETRY_DELAYS too");
}

static void settings_refuse_plain_http_to_iamport_unless_it_is_allowed(void **state)
{
    with_required_settings(state);
    struct outcome outcome;
    setenv("IAMPORT_URL", "HTTP://iamport.invalid/", 1);
    start(&outcome, &worker, NULL);
    assert_null(outcome.settings);
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "IAMPORT_URL: \"HTTP://iamport.invalid/\" would send the key pair");
    must_say(outcome.err, "IMPCERT_ALLOW_HTTP=true");
    setenv("IMPCERT_ALLOW_HTTP", "yes", 1);
    start(&outcome, &worker, NULL);
    assert_null(outcome.settings);
    must_say(outcome.err, "IMPCERT_ALLOW_HTTP: \"yes\", expected false or true");
    setenv("IMPCERT_ALLOW_HTTP", "true", 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_int_equal(settings_number(outcome.settings, SETTING_ALLOW_HTTP), 1);
    settings_free(outcome.settings);
    with_required_settings(state);
    setenv("IMPCERT_ALLOW_HTTP", "false", 1);
    setenv("IAMPORT_URL", "https://iamport.invalid/", 1);
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_int_equal(settings_number(outcome.settings, SETTING_ALLOW_HTTP), 0);
    settings_free(outcome.settings);
}

static void settings_of_other_programs_are_neither_read_nor_refused(void **state)
{
    (void)state;
    struct outcome outcome;
    setenv("IMPCERT_WORKERS", "not a number", 1);
    setenv("IMPCERT_DLQ_TOPIC_FILE", "/nowhere", 1);
    start(&outcome, &publisher, NULL);
    assert_string_equal(outcome.err, "");
    assert_non_null(outcome.settings);
    settings_free(outcome.settings);
}

static void settings_files_are_bounded_text(void **state)
{
    (void)state;
    struct outcome outcome;
    static char large[70000];
    memset(large, 'a', sizeof large - 1);
    setenv("IMPCERT_TOPIC_FILE", write_file("topic", large), 1);
    start(&outcome, &publisher, NULL);
    must_say(outcome.err, "holds more than 64 KiB");
    setenv("IMPCERT_TOPIC_FILE", "/dev/zero", 1);
    start(&outcome, &publisher, NULL);
    must_say(outcome.err, "holds more than 64 KiB");
    setenv("IMPCERT_TOPIC_FILE", directory, 1);
    start(&outcome, &publisher, NULL);
    must_say(outcome.err, "Is a directory");
}

static void settings_nearest_name_is_what_was_meant(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"IMPCERT_WORKER", "IMPCERT_WORKERS"},
        {"IMPCERT_TOPCI", "IMPCERT_TOPIC"},
        {"IMPCERT_BROKERS", "IMPCERT_KAFKA_BROKERS"},
        {"IMPCERT_KAFKA_BROKER", "IMPCERT_KAFKA_BROKERS"},
        {"IMPCERT_INFLIGHT", "IMPCERT_IN_FLIGHT"},
        {"IMPCERT_BACKOFFMAX", "IMPCERT_BACKOFF_MAX"},
        {"IMPCERT_TOPIC_FIEL", "IMPCERT_TOPIC_FILE"},
        {"IMPCERT_MONGODB_URI", "MONGODB_URI"},
        {"IMPCERT_SECRET", "IAMPORT_SECRET"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char nearest[SETTING_NAME_SIZE];
        settings_names_nearest(pairs[i][0], nearest);
        assert_string_equal(nearest, pairs[i][1]);
    }
}

static void settings_ignore_what_kubernetes_sets(void **state)
{
    (void)state;
    static const char *const names[] = {"IMPCERT_GATEWAY_SERVICE_HOST", "IMPCERT_GATEWAY_SERVICE_PORT",
        "IMPCERT_GATEWAY_SERVICE_PORT_HTTP", "IMPCERT_GATEWAY_PORT", "IMPCERT_GATEWAY_PORT_8080_TCP",
        "IMPCERT_GATEWAY_PORT_8080_TCP_PROTO", "IMPCERT_GATEWAY_PORT_8080_TCP_PORT",
        "IMPCERT_GATEWAY_PORT_8080_TCP_ADDR", "IMPCERT_DNS_PORT_53_UDP_ADDR", "IMPCERT_SERVICE_HOST",
        "IMPCERT_PORT"};
    static const char *const others[] = {"IMPCERT_PORTS", "IMPCERT_GATEWAY_PORT_TCP",
        "IMPCERT_GATEWAY_PORT_80_HTTP", "IMPCERT_SERVICE_HOSTS", "IMPCERT_GATEWAY_PORT_80_TCP_X"};
    struct outcome outcome;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(settings_names_from_kubernetes(names[i]));
        setenv(names[i], "tcp://10.0.0.1:80", 1);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(settings_names_from_kubernetes(others[i]));
    start(&outcome, &worker, NULL);
    assert_non_null(outcome.settings);
    assert_string_equal(outcome.err, "");
    settings_free(outcome.settings);
}

static void settings_check_config_says_ok(void **state)
{
    (void)state;
    struct outcome outcome;
    start(&outcome, &worker, (const char *const[]){"--check-config", NULL});
    assert_null(outcome.settings);
    assert_int_equal(outcome.exit_code, 0);
    assert_string_equal(outcome.out, "configuration ok\n");
    setenv("IMPCERT_WORKERS", "none", 1);
    start(&outcome, &worker, (const char *const[]){"--check-config", NULL});
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "IMPCERT_WORKERS");
}

static void settings_print_config_masks_secrets_and_tells_origins(void **state)
{
    (void)state;
    struct outcome outcome;
    unsetenv("IAMPORT_KEY");
    setenv("IAMPORT_KEY_FILE", write_file("key", "the-key"), 1);
    start(&outcome, &worker, (const char *const[]){"--print-config", NULL});
    assert_int_equal(outcome.exit_code, 0);
    must_say(outcome.out, "IMPCERT_KAFKA_BROKERS=kafka-1:9092 ");
    must_say(outcome.out, " # environment\n");
    must_say(outcome.out, "IMPCERT_TOPIC=certifications ");
    must_say(outcome.out, " # default\n");
    must_say(outcome.out, "IAMPORT_KEY=*** ");
    must_say(outcome.out, " # file /tmp/impcert-settings.");
    must_say(outcome.out, "IAMPORT_SECRET=*** ");
    must_say(outcome.out, "MONGODB_URI=*** ");
    must_not_say(outcome.out, "the-key");
    must_not_say(outcome.out, "the-secret");
    must_not_say(outcome.out, "pass-word");
}

static void help_must_name_its_settings(const struct program *program, struct outcome *outcome)
{
    start(outcome, program, (const char *const[]){"--help", NULL});
    assert_int_equal(outcome->exit_code, 0);
    for (int setting = 0; setting < SETTING_COUNT; setting++)
        if (settings_table[setting].programs & program->id)
            must_say(outcome->out, settings_table[setting].name);
    for (const char *line = outcome->out; *line; line += strcspn(line, "\n") + 1)
        if (strcspn(line, "\n") > 100)
            fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
}

static void settings_help_names_all_settings_within_100_columns(void **state)
{
    (void)state;
    struct outcome outcome;
    clearenv();
    help_must_name_its_settings(&gateway, &outcome);
    must_not_say(outcome.out, "MONGODB_URI");
    help_must_name_its_settings(&worker, &outcome);
    must_say(outcome.out, "[<topic>.dlq]");
    start(&outcome, &publisher, (const char *const[]){"-h", NULL});
    must_say(outcome.out, "Usage: impcert-publish [OPTION]... [IMP_UID]...");
    must_not_say(outcome.out, "MONGODB_URI");
}

static void settings_refuse_unknown_options_and_operands(void **state)
{
    (void)state;
    struct outcome outcome;
    start(&outcome, &worker, (const char *const[]){"--chekc-config", NULL});
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "unknown option '--chekc-config'");
    must_say(outcome.err, "impcert-worker --help");
    start(&outcome, &worker, (const char *const[]){"-x", NULL});
    must_say(outcome.err, "unknown option '-x'");
    start(&outcome, &worker, (const char *const[]){"--help=no", NULL});
    must_say(outcome.err, "option '--help' takes no value");
    start(&outcome, &worker, (const char *const[]){"imp_1", NULL});
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "takes no operands, but 'imp_1' is given");
    start(&outcome, &worker, (const char *const[]){"--version", NULL});
    assert_int_equal(outcome.exit_code, 0);
    assert_string_equal(outcome.out, "impcert-worker " IMPCERT_VERSION "\n");
}

static bool keep_value(void *context, const char *value, struct error *why)
{
    if (strcmp(value, "bad") == 0)
        return error_set(why, "expected anything but bad");
    *(const char **)context = value;
    return true;
}

static void settings_hand_a_program_its_own_options(void **state)
{
    (void)state;
    struct outcome outcome;
    const char *kept = NULL;
    const struct program_option options[] = {
        {.name = "colour", .argument = "NAME", .help = "any colour", .take = keep_value, .context = &kept},
        {.name = NULL}};
    struct program program = publisher;
    program.options = options;
    start(&outcome, &program, (const char *const[]){"imp_1", "--colour=red", "imp_2", NULL});
    assert_non_null(outcome.settings);
    assert_string_equal(kept, "red");
    settings_free(outcome.settings);
    start(&outcome, &program, (const char *const[]){"--colour", "bad", NULL});
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "--colour: expected anything but bad");
    start(&outcome, &program, (const char *const[]){"--colour", NULL});
    must_say(outcome.err, "option '--colour' needs a value");
    start(&outcome, &program, (const char *const[]){"--help", NULL});
    must_say(outcome.out, "--colour NAME");
}

static bool count_flag(void *context, const char *value, struct error *why)
{
    (void)why;
    assert_null(value);
    ++*(int *)context;
    return true;
}

static void print_answer(FILE *out)
{
    fputs("the answer\n", out);
}

static void settings_options_may_be_flags(void **state)
{
    (void)state;
    struct outcome outcome;
    int given = 0;
    const struct program_option options[] = {
        {.name = "loud", .help = "be loud", .take = count_flag, .context = &given}, {.name = NULL}};
    struct program program = publisher;
    program.options = options;
    start(&outcome, &program, (const char *const[]){"--loud", "imp_1", "--loud", NULL});
    assert_non_null(outcome.settings);
    assert_int_equal(given, 2);
    settings_free(outcome.settings);
    start(&outcome, &program, (const char *const[]){"--loud=very", NULL});
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "option '--loud' takes no value");
    start(&outcome, &program, (const char *const[]){"--help", NULL});
    must_say(outcome.out, "  --loud                    be loud\n");
}

static void settings_options_that_print_need_no_settings(void **state)
{
    (void)state;
    struct outcome outcome;
    const struct program_option options[] = {{.name = "answer", .print = print_answer}, {.name = NULL}};
    struct program program = worker;
    program.options = options;
    clearenv();
    start(&outcome, &program, (const char *const[]){"--answer", NULL});
    assert_null(outcome.settings);
    assert_int_equal(outcome.exit_code, 0);
    assert_string_equal(outcome.out, "the answer\n");
    assert_string_equal(outcome.err, "");
    start(&outcome, &program, (const char *const[]){"--answer", "--nonsense", NULL});
    assert_int_equal(outcome.exit_code, 2);
    assert_string_equal(outcome.out, "");
}

static void settings_of_a_task_are_read_instead_of_the_programs(void **state)
{
    (void)state;
    struct outcome outcome;
    static const struct program validator = {.id = PROGRAM_VALIDATOR, .name = "impcert-worker"};
    const struct program_option options[] = {{.name = "task", .instead = &validator}, {.name = NULL}};
    struct program program = worker;
    program.options = options;
    clearenv();
    setenv("MONGODB_URI", "mongodb://user:pass-word@db/", 1);
    setenv("IMPCERT_ATTEMPTS", "of no matter here", 1);
    start(&outcome, &program, (const char *const[]){"--task", NULL});
    assert_non_null(outcome.settings);
    assert_string_equal(settings_text(outcome.settings, SETTING_MONGODB_COLLECTION), "certifications");
    settings_free(outcome.settings);
    unsetenv("MONGODB_URI");
    start(&outcome, &program, (const char *const[]){"--task", NULL});
    assert_null(outcome.settings);
    assert_int_equal(outcome.exit_code, 2);
    must_say(outcome.err, "1 setting is wrong");
    must_say(outcome.err, "MONGODB_URI");
    start(&outcome, &program, (const char *const[]){"--task", "--help", NULL});
    must_say(outcome.out, "IMPCERT_KAFKA_BROKERS");
}

/* ---- settings of a library ---- */

static const struct program library = {.id = PROGRAM_LIBRARY, .name = "libimpcert"};

/* What settings_open says where it refuses. */
static void open_must_say(const struct setting_given *given, bool environment, const char *const parts[])
{
    struct faults faults;
    faults_init(&faults);
    assert_null(settings_open(&library, given, environment, &faults));
    fflush(faults.out);
    unsigned count = 0;
    for (; parts[count]; count++)
        must_say(faults.text, parts[count]);
    assert_int_equal(faults.count, count);
    faults_cleanup(&faults);
}

static struct settings *open_given(const struct setting_given *given, bool environment)
{
    struct faults faults;
    faults_init(&faults);
    struct settings *settings = settings_open(&library, given, environment, &faults);
    fflush(faults.out);
    if (!settings)
        fail_msg("%s", faults.text);
    assert_int_equal(faults.count, 0);
    faults_cleanup(&faults);
    return settings;
}

static void settings_given_come_before_the_environment(void **state)
{
    (void)state;
    const struct setting_given given[] = {
        {"IMPCERT_KAFKA_BROKERS", "given:9092"}, {"IMPCERT_TOPIC", NULL}, {NULL, NULL}};
    setenv("IMPCERT_TOPIC", "of-the-environment", 1);
    struct settings *settings = open_given(given, true);
    assert_string_equal(settings_text(settings, SETTING_KAFKA_BROKERS), "given:9092");
    assert_string_equal(settings_text(settings, SETTING_TOPIC), "of-the-environment");
    assert_string_equal(settings_program(settings), "libimpcert");
    settings_free(settings);
    /* Also before a file, and without being given twice. */
    unsetenv("IMPCERT_KAFKA_BROKERS");
    setenv("IMPCERT_KAFKA_BROKERS_FILE", "/nowhere", 1);
    settings = open_given(given, true);
    assert_string_equal(settings_text(settings, SETTING_KAFKA_BROKERS), "given:9092");
    settings_free(settings);
    unsetenv("IMPCERT_TOPIC");
    setenv("IMPCERT_TOPIC_FILE", write_file("topic", "of-a-file\n"), 1);
    settings = open_given(given, true);
    assert_string_equal(settings_text(settings, SETTING_TOPIC), "of-a-file");
    settings_free(settings);
    setenv("IMPCERT_KAFKA_BROKERS_FILE", write_file("brokers", "filed:9092"), 1);
    settings = open_given(NULL, true);
    assert_string_equal(settings_text(settings, SETTING_KAFKA_BROKERS), "filed:9092");
    settings_free(settings);
}

static void settings_may_leave_the_environment_alone(void **state)
{
    (void)state;
    const struct setting_given given[] = {{"IMPCERT_KAFKA_BROKERS", "given:9092"}, {NULL, NULL}};
    setenv("IMPCERT_TOPIC", "of-the-environment", 1);
    setenv("IMPCERT_KAFKA_CONFIG_FILE", "/nowhere", 1);
    setenv("IMPCERT_TOPCI", "x", 1);
    setenv("KAFKA_BROKERS", "x", 1);
    struct settings *settings = open_given(given, false);
    assert_string_equal(settings_text(settings, SETTING_TOPIC), "certifications");
    assert_null(settings_text(settings, SETTING_KAFKA_CONFIG));
    settings_free(settings);
    open_must_say(
        given + 1, false, (const char *const[]){"  IMPCERT_KAFKA_BROKERS: not set, expected", NULL});
}

static void settings_given_are_checked_like_others(void **state)
{
    (void)state;
    const struct setting_given given[] = {{"IMPCERT_KAFKA_BROKERS", ""}, {"IMPCERT_TOPIC", "a/b"},
        {"IMPCERT_KAFKA_CONFIG", "/nowhere"}, {NULL, NULL}};
    setenv("IMPCERT_TOPCI", "x", 1);
    const char *const all[] = {"  IMPCERT_KAFKA_BROKERS: \"\" is no host:port", "  IMPCERT_TOPIC: \"a/b\"",
        "  IMPCERT_KAFKA_CONFIG: \"/nowhere\" can't be read",
        "  IMPCERT_TOPCI: no such setting, the nearest is IMPCERT_TOPIC", NULL};
    open_must_say(given, true, all);
    struct faults faults;
    faults_init(&faults);
    faults_add(&faults, "queue_events", "too many");
    const struct setting_given good[] = {{"IMPCERT_KAFKA_BROKERS", "kafka:9092"}, {NULL, NULL}};
    assert_null(settings_open(&library, good, false, &faults)); /* a fault found before is one */
    faults_cleanup(&faults);
}

/* ---- cores ---- */

/* A control group below the test's directory. */
static void write_group(const char *path, const char *file, const char *content)
{
    char name[64];
    char *partial = strdup(path);
    for (char *slash = partial; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        snprintf(name, sizeof name, "%s/%s", directory, partial);
        mkdir(name, 0700);
    }
    free(partial);
    snprintf(name, sizeof name, "%s%s", path, file);
    write_file(name, content);
}

static void cores_respect_the_tightest_quota(void **state)
{
    (void)state;
    char list[128];
    snprintf(list, sizeof list, "%s/proc_cgroup", directory);
    write_file("proc_cgroup", "0::/pod/container\n");
    assert_int_equal(cores_quota(directory, list), 0);
    write_group("pod/container/", "cpu.max", "max 100000\n");
    assert_int_equal(cores_quota(directory, list), 0);
    write_group("pod/", "cpu.max", "250000 100000\n");
    assert_int_equal(cores_quota(directory, list), 3);
    write_group("pod/container/", "cpu.max", "50000 100000\n");
    assert_int_equal(cores_quota(directory, list), 1);
    write_file("proc_cgroup", "0::/not/mounted/here\n");
    write_file("cpu.max", "400000 100000\n");
    assert_int_equal(cores_quota(directory, list), 4);
    write_file("proc_cgroup", "3:memory:/x\n4:cpu,cpuacct:/pod\n");
    write_group("cpu,cpuacct/pod/", "cpu.cfs_quota_us", "150000\n");
    write_group("cpu,cpuacct/pod/", "cpu.cfs_period_us", "100000\n");
    assert_int_equal(cores_quota(directory, list), 2);
    write_group("cpu,cpuacct/pod/", "cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cores_quota(directory, list), 0);
    assert_int_equal(cores_quota(directory, "/nowhere"), 0);
    assert_true(cores_usable() >= 1);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", directory);
    setenv("PATH", "/usr/bin:/bin", 1);
    return system(command);
}

#define SETTINGS_TEST(test) cmocka_unit_test_setup(test, with_required_settings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(settings_check_takes_only_values_of_the_type),
        SETTINGS_TEST(settings_topics_have_at_most_249_characters),
        SETTINGS_TEST(settings_have_the_defaults_of_the_table),
        SETTINGS_TEST(settings_of_the_gateway_have_their_own_meaning),
        SETTINGS_TEST(settings_take_values_from_the_environment),
        SETTINGS_TEST(settings_take_secrets_out_of_the_environment),
        SETTINGS_TEST(settings_name_the_files_that_are_read_once),
        SETTINGS_TEST(settings_name_no_file_that_a_gateway_reads_again),
        SETTINGS_TEST(settings_take_values_from_files_and_read_them_again),
        SETTINGS_TEST(settings_say_every_fault_in_one_message),
        SETTINGS_TEST(settings_set_to_nothing_are_a_value_only_where_that_means_none),
        SETTINGS_TEST(settings_know_the_topics_that_they_are_made_of),
        SETTINGS_TEST(settings_refuse_plain_http_to_iamport_unless_it_is_allowed),
        SETTINGS_TEST(settings_of_other_programs_are_neither_read_nor_refused),
        SETTINGS_TEST(settings_files_are_bounded_text),
        SETTINGS_TEST(settings_nearest_name_is_what_was_meant),
        SETTINGS_TEST(settings_ignore_what_kubernetes_sets),
        SETTINGS_TEST(settings_check_config_says_ok),
        SETTINGS_TEST(settings_print_config_masks_secrets_and_tells_origins),
        SETTINGS_TEST(settings_help_names_all_settings_within_100_columns),
        SETTINGS_TEST(settings_refuse_unknown_options_and_operands),
        SETTINGS_TEST(settings_hand_a_program_its_own_options),
        SETTINGS_TEST(settings_options_may_be_flags),
        SETTINGS_TEST(settings_options_that_print_need_no_settings),
        SETTINGS_TEST(settings_of_a_task_are_read_instead_of_the_programs),
        SETTINGS_TEST(settings_given_come_before_the_environment),
        SETTINGS_TEST(settings_may_leave_the_environment_alone),
        SETTINGS_TEST(settings_given_are_checked_like_others),
        cmocka_unit_test(cores_respect_the_tightest_quota),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
