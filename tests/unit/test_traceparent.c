/* The header traceparent: which texts are one, by W3C Trace Context. */
#include "common/traceparent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static const char *const valid[] = {
    "00-" TRACE "-" PARENT "-01",
    "00-" TRACE "-" PARENT "-00",
    "00-" TRACE "-" PARENT "-ff", /* flags that nobody knows yet */
    "00-00000000000000000000000000000001-0000000000000001-00",
    "01-" TRACE "-" PARENT "-01", /* a later version, which may have more */
    "cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like",
    "01-" TRACE "-" PARENT "-01-",
};

static const char *const invalid[] = {
    "",
    "00",
    "00-" TRACE "-" PARENT,
    "00-" TRACE "-" PARENT "-",
    "00-" TRACE "-" PARENT "-1",
    "00-" TRACE "-" PARENT "-01-", /* version 00 has nothing behind its flags */
    "00-" TRACE "-" PARENT "-01-more",
    "00-" TRACE "-" PARENT "-01 ",
    " 00-" TRACE "-" PARENT "-01",
    "01-" TRACE "-" PARENT "-01more",
    "01-" TRACE "-" PARENT "-01.more",
    "ff-" TRACE "-" PARENT "-01", /* the one version that is none */
    "FF-" TRACE "-" PARENT "-01",
    "0-" TRACE "-" PARENT "-01-",
    "000-" TRACE "-" PARENT "-01",
    "0x-" TRACE "-" PARENT "-01",
    "00-00000000000000000000000000000000-" PARENT "-01",
    "00-" TRACE "-0000000000000000-01",
    "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
    "00-" TRACE "-B7AD6B7169203331-01",
    "00-" TRACE "-" PARENT "-0A",
    "00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
    "00-" TRACE "-b7ad6b716920333-001",
    "00-" TRACE "0-b7ad6b716920333-01",
    "00_" TRACE "_" PARENT "_01",
    "00-" TRACE "-" PARENT "\x0b"
    "01",
    "00-" TRACE "-" PARENT "-\xed\x99",
};

static void traceparent_is_taken_as_w3c_writes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        if (!traceparent_valid(valid[i], strlen(valid[i])))
            fail_msg("refused: \"%s\"", valid[i]);
}

static void traceparent_is_refused_otherwise(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        if (traceparent_valid(invalid[i], strlen(invalid[i])))
            fail_msg("taken: \"%s\"", invalid[i]);
}

static void traceparent_has_no_nul_and_an_end(void **state)
{
    (void)state;
    char text[TRACEPARENT_MOST + 1];
    memset(text, 'x', sizeof text);
    memcpy(text, "01-" TRACE "-" PARENT "-01-", 56);
    assert_true(traceparent_valid(text, TRACEPARENT_MOST));
    assert_false(traceparent_valid(text, TRACEPARENT_MOST + 1));
    text[100] = '\0';
    assert_false(traceparent_valid(text, TRACEPARENT_MOST));
    assert_true(traceparent_valid(text, 100));
}

static void traceparent_id_is_that_of_the_last_valid_header(void **state)
{
    (void)state;
    static const char first[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char last[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    char id[TRACEPARENT_ID_SIZE];
    traceparent_id(NULL, id);
    assert_string_equal(id, "");
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    traceparent_id(headers, id);
    assert_string_equal(id, "");
    rd_kafka_header_add(headers, "traceparent", -1, first, -1);
    rd_kafka_header_add(headers, "traceparent", -1, last, -1);
    traceparent_id(headers, id);
    assert_string_equal(id, "4bf92f3577b34da6a3ce929d0e0e4736");
    rd_kafka_header_add(headers, "traceparent", -1, "00-secret-01", -1);
    traceparent_id(headers, id);
    assert_string_equal(id, "");
    rd_kafka_header_add(headers, "traceparent", -1, NULL, 0);
    traceparent_id(headers, id);
    assert_string_equal(id, "");
    rd_kafka_headers_destroy(headers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traceparent_is_taken_as_w3c_writes_it),
        cmocka_unit_test(traceparent_is_refused_otherwise),
        cmocka_unit_test(traceparent_has_no_nul_and_an_end),
        cmocka_unit_test(traceparent_id_is_that_of_the_last_valid_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
