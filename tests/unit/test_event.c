/* The event codec: which values hold an imp_uid, and that no fault quotes what it refuses. */
#include "common/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define ID64 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff0123"

struct value {
    const char *bytes;
    size_t length;
    const char *imp_uid; /* NULL: refused */
    const char *why;     /* part of the reason */
};

static const struct value values[] = {
    {BYTES("{\"imp_uid\": \"imp_448280090638\"}"), "imp_448280090638", NULL},
    {BYTES("{\"imp_uid\":\"a\"}"), "a", NULL},
    {BYTES(" \t{\"imp_uid\":\"-_9Z\"}\r\n"), "-_9Z", NULL},
    {BYTES("{\"imp_uid\":\"" ID64 "\"}"), ID64, NULL},
    {BYTES("{\"order\":{\"imp_uid\":\"other\"},\"imp_uid\":\"i\",\"n\":[1,2]}"), "i", NULL},
    {BYTES("{\"imp_uid\":\"i\",\"big\":123456789012345678901234567890}"), "i", NULL},
    {BYTES("{\"imp_uid\":\"\\u0069mp\"}"), "imp", NULL},
    {BYTES("{\"imp_uid\":\"i\",\"name\":\"\xed\x99\x8d\"}"), "i", NULL},
    {BYTES(""), NULL, "value is empty"},
    {BYTES(" "), NULL, "too early"},
    {BYTES("{"), NULL, "too early"},
    {BYTES("imp_1"), NULL, "not valid JSON"},
    {BYTES("\"imp_1\""), NULL, "a string, expected a JSON object"},
    {BYTES("[\"imp_1\"]"), NULL, "an array, expected a JSON object"},
    {BYTES("null"), NULL, "null, expected a JSON object"},
    {BYTES("12"), NULL, "a number, expected a JSON object"},
    {BYTES("{}"), NULL, "imp_uid is missing"},
    {BYTES("{\"IMP_UID\":\"i\"}"), NULL, "imp_uid is missing"},
    {BYTES("{\"imp_uid\":null}"), NULL, "imp_uid is null"},
    {BYTES("{\"imp_uid\":17}"), NULL, "imp_uid is a number"},
    {BYTES("{\"imp_uid\":true}"), NULL, "imp_uid is a boolean"},
    {BYTES("{\"imp_uid\":{}}"), NULL, "imp_uid is an object"},
    {BYTES("{\"imp_uid\":[]}"), NULL, "imp_uid is an array"},
    {BYTES("{\"imp_uid\":\"\"}"), NULL, "imp_uid is empty"},
    {BYTES("{\"imp_uid\":\"" ID64 "4\"}"), NULL, "65 bytes long"},
    {BYTES("{\"imp_uid\":\"im p\"}"), NULL, "at byte 3"},
    {BYTES("{\"imp_uid\":\"imp/../x\"}"), NULL, "at byte 4"},
    {BYTES("{\"imp_uid\":\"imp\\n\"}"), NULL, "at byte 4"},
    {BYTES("{\"imp_uid\":\"\xed\x99\x8d\"}"), NULL, "at byte 1"},
    {BYTES("{\"imp_uid\":\"a\",\"imp_uid\":\"b\"}"), NULL, "stands twice"},
    {BYTES("{\"imp_uid\":\"a\"}{\"imp_uid\":\"b\"}"), NULL, "something follows"},
    {BYTES("{\"imp_uid\":\"a\"}x"), NULL, "something follows"},
    {BYTES("{\"imp_uid\":\"a\"}\0"), NULL, ""},
    {BYTES("{\"imp_uid\":\"a\0b\"}"), NULL, ""},
    {BYTES("{\"imp_uid\":\"a\\u0000b\"}"), NULL, "NUL"},
    /* jansson passes over a NUL byte behind a number. */
    {BYTES("{\"imp_uid\":\"a\",\"x\":[1\0,2]}"), NULL, "a NUL byte, at byte 22"},
    {BYTES("{\"imp_uid\":\"a\",\"x\":1\0}"), NULL, "a NUL byte"},
    {BYTES("{\"imp_uid\":\"a\",\"x\":\"\xff\"}"), NULL, "not valid UTF-8"},
    {BYTES("{\"imp_uid\":\"a\",\"x\":\"\xc0\xaf\"}"), NULL, "not valid UTF-8"},
    {BYTES("{\"imp_uid\":\"a\",\"x\":1e999}"), NULL, "out of range"},
};

static void event_takes_only_a_valid_imp_uid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const struct value *value = &values[i];
        char imp_uid[EVENT_IMP_UID_SIZE];
        struct error why = {.text = ""};
        bool ok = event_parse(value->bytes, value->length, imp_uid, &why);
        if (ok != (value->imp_uid != NULL))
            fail_msg("value %zu (%s): %s", i, value->bytes, ok ? "taken" : why.text);
        if (ok)
            assert_string_equal(imp_uid, value->imp_uid);
        else if (!strstr(why.text, value->why))
            fail_msg("value %zu (%s): %s", i, value->bytes, why.text);
    }
}

static void event_refuses_a_tombstone(void **state)
{
    (void)state;
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error why;
    assert_false(event_parse(NULL, 0, imp_uid, &why));
    assert_non_null(strstr(why.text, "empty"));
}

static void event_refuses_deep_nesting(void **state)
{
    (void)state;
    static char deep[100000];
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error why;
    memset(deep, '[', sizeof deep);
    assert_false(event_parse(deep, sizeof deep, imp_uid, &why));
    assert_non_null(strstr(why.text, "nested too deeply"));
}

static void event_faults_never_quote_the_value(void **state)
{
    (void)state;
    static const char *const faulty[] = {"{\"imp_uid\":\"SECRET /\"}", "{\"phone\":\"SECRET\"}",
        "{\"phone\":\"SECRET", "SECRET", "{\"imp_uid\":\"a\",\"SECRET\":1,\"SECRET\":2}",
        "{\"imp_uid\":\"a\"} SECRET", "\"SECRET\"", "{\"imp_uid\":SECRET}",
        "{\"imp_uid\":\"a\",\"x\":\"SECRET\xff\"}"};
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        char imp_uid[EVENT_IMP_UID_SIZE];
        struct error why;
        assert_false(event_parse(faulty[i], strlen(faulty[i]), imp_uid, &why));
        assert_null(strstr(why.text, "SECRET"));
    }
}

static void event_imp_uid_is_1_to_64_plain_characters(void **state)
{
    (void)state;
    struct error why;
    assert_true(event_imp_uid_valid("imp_448280090638", 16));
    assert_true(event_imp_uid_valid(ID64, 64));
    assert_true(event_imp_uid_valid("a b", 1));
    assert_false(event_imp_uid_valid("", 0));
    assert_false(event_imp_uid_valid(ID64 "4", 65));
    for (int c = 0; c < 256; c++) {
        const char text[] = {'a', (char)c};
        bool plain = c && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", c);
        assert_int_equal(event_imp_uid_valid(text, 2), plain);
        assert_int_equal(event_imp_uid_check(text, 2, &why), plain);
    }
}

static void event_format_writes_what_event_parse_reads(void **state)
{
    (void)state;
    char text[EVENT_TEXT_SIZE], imp_uid[EVENT_IMP_UID_SIZE];
    struct error why;
    size_t length = event_format("imp_448280090638", text);
    assert_string_equal(text, "{\"imp_uid\": \"imp_448280090638\"}");
    assert_int_equal(length, strlen(text));
    length = event_format(ID64, text);
    assert_int_equal(length, strlen(text));
    assert_true(event_parse(text, length, imp_uid, &why));
    assert_string_equal(imp_uid, ID64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_takes_only_a_valid_imp_uid),
        cmocka_unit_test(event_refuses_a_tombstone),
        cmocka_unit_test(event_refuses_deep_nesting),
        cmocka_unit_test(event_faults_never_quote_the_value),
        cmocka_unit_test(event_imp_uid_is_1_to_64_plain_characters),
        cmocka_unit_test(event_format_writes_what_event_parse_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
