/* What an operator is told where TLS or a password is the reason: first what to look at, then the libraries'
 * words. */
#include "common/kafka_trouble.h"
#include "worker/mongo_trouble.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>

/* As librdkafka 2.0.2 and OpenSSL 3 write them. */
#define UNTRUSTED                                                                                            \
    "ssl://kafka:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify "     \
    "failed: broker "                                                                                        \
    "certificate could not be verified"
#define ALERT                                                                                                \
    "ssl://kafka:9093/bootstrap: Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: " \
    "SSL alert "                                                                                             \
    "number 42"
#define NO_TLS "ssl://kafka:9092/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected eof"
#define SCRAM                                                                                                \
    "sasl_ssl://kafka:9094/bootstrap: SASL authentication error: Authentication failed during "              \
    "authentication due to "                                                                                 \
    "invalid credentials with SASL mechanism SCRAM-SHA-512"

static void must_begin_and_hold(const char *reason, const char *beginning)
{
    char text[KAFKA_TROUBLE_SIZE];
    kafka_trouble(reason, text, sizeof text);
    assert_memory_equal(text, beginning, strlen(beginning));
    assert_non_null(strstr(text, reason));
}

static void trouble_with_a_broker_says_what_to_look_at(void **state)
{
    (void)state;
    must_begin_and_hold(UNTRUSTED, "the broker's certificate is of an authority that is not trusted");
    must_begin_and_hold(ALERT, "the broker refuses the client certificate");
    must_begin_and_hold(NO_TLS, "the broker speaks no TLS there");
    must_begin_and_hold(
        SCRAM, rd_kafka_version() < 0x02060100 ? "a wrong user or password, or the librdkafka" : SCRAM);
    must_begin_and_hold(
        "kafka:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused", "kafka:9092/1: ");
}

static void trouble_is_the_same_each_time(void **state)
{
    (void)state;
    char text[KAFKA_TROUBLE_SIZE];
    kafka_trouble(
        "kafka:9092/1: timed out (after 12ms in state CONNECT, 3 identical error(s))", text, sizeof text);
    assert_string_equal(text, "kafka:9092/1: timed out");
}

static void trouble_fits_where_it_goes(void **state)
{
    (void)state;
    char text[80], small[8];
    kafka_trouble(UNTRUSTED, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
    kafka_trouble("kafka:9092/1: refused", small, sizeof small);
    assert_true(strlen(small) < sizeof small);
}

static void trouble_with_mongodb_says_what_to_look_at(void **state)
{
    (void)state;
    static const struct {
        const char *message, *beginning;
    } cases[] = {
        {"No suitable servers found: [TLS handshake failed: error:0A000086:SSL routines::certificate verify "
         "failed]",
            "MongoDB's certificate is of an authority that is not trusted"},
        {"No suitable servers found: [TLS handshake failed: Failed certificate]",
            "MongoDB speaks no TLS there"},
        {"No suitable servers found: [Failed to read 4 bytes: socket error or timeout]",
            "MongoDB hangs up or is away"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = mongo_trouble(cases[i].message);
        assert_memory_equal(text, cases[i].beginning, strlen(cases[i].beginning));
    }
    assert_string_equal(mongo_trouble("Authentication failed."), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trouble_with_a_broker_says_what_to_look_at),
        cmocka_unit_test(trouble_is_the_same_each_time),
        cmocka_unit_test(trouble_fits_where_it_goes),
        cmocka_unit_test(trouble_with_mongodb_says_what_to_look_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
