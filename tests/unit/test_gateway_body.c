/* Bodies of requests to the gateway: what is an imp_uid in JSON and in forms, and that nothing is read behind
 * the end or quoted, whatever comes. */
#include "producer/gateway_body.h"
#include "tests/unit/mutant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As the gateway reads it: in a block of its own, closed by a NUL. */
static bool read_body(enum body_type type, const char *data, size_t size,
    char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why)
{
    char *block = malloc(size + 1);
    assert_non_null(block);
    memcpy(block, data, size);
    block[size] = '\0';
    bool read = body_read(type, block, size, imp_uid, why);
    free(block);
    return read;
}

static void must_read(enum body_type type, const char *body, const char *wanted)
{
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error why = {.text = ""};
    if (!read_body(type, body, strlen(body), imp_uid, &why))
        fail_msg("\"%s\": %s", body, why.text);
    assert_string_equal(imp_uid, wanted);
}

static void must_refuse_bytes(enum body_type type, const char *body, size_t size, const char *part)
{
    char imp_uid[EVENT_IMP_UID_SIZE];
    struct error why = {.text = ""};
    if (read_body(type, body, size, imp_uid, &why))
        fail_msg("\"%s\" gave %s", body, imp_uid);
    if (!strstr(why.text, part))
        fail_msg("\"%s\": no \"%s\" in \"%s\"", body, part, why.text);
}

static void must_refuse(enum body_type type, const char *body, const char *part)
{
    must_refuse_bytes(type, body, strlen(body), part);
}

static void gateway_body_types_are_known_by_their_names(void **state)
{
    (void)state;
    assert_int_equal(body_type("application/json"), BODY_JSON);
    assert_int_equal(body_type("Application/JSON;charset=utf-8"), BODY_JSON);
    assert_int_equal(body_type("application/json ; charset=utf-8"), BODY_JSON);
    assert_int_equal(body_type("application/x-www-form-urlencoded; charset=UTF-8"), BODY_FORM);
    assert_int_equal(body_type("application/x-www-form-urlencoded"), BODY_FORM);
    static const char *const others[] = {"", "text/plain", "application/jsonp", "application/json-seq",
        "application/js", "application/x-www-form-urlencodedx", "multipart/form-data; boundary=x", " "};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(body_type(others[i]), BODY_OTHER);
    assert_int_equal(body_type(NULL), BODY_OTHER);
}

static void gateway_body_json_gives_its_imp_uid_alone(void **state)
{
    (void)state;
    must_read(BODY_JSON, "{\"imp_uid\": \"imp_448280090638\"}", "imp_448280090638");
    must_read(BODY_JSON, " {\"phone\":\"01012345678\",\"imp_uid\":\"imp-1\",\"success\":true}\r\n", "imp-1");
    must_read(BODY_JSON, "{\"imp_uid\":\"imp_1\",\"more\":{\"imp_uid\":\"imp_2\"}}", "imp_1");
}

static void gateway_body_json_that_is_no_event_is_told_by_its_shape(void **state)
{
    (void)state;
    must_refuse(BODY_JSON, "", "empty");
    must_refuse(BODY_JSON, "{", "too early");
    must_refuse(BODY_JSON, "imp_1", "not valid JSON");
    must_refuse(BODY_JSON, "\"imp_1\"", "a string");
    must_refuse(BODY_JSON, "[]", "an array");
    must_refuse(BODY_JSON, "{}", "imp_uid is missing");
    must_refuse(BODY_JSON, "{\"imp_uid\": 448280090638}", "a number");
    must_refuse(BODY_JSON, "{\"imp_uid\": \"\"}", "empty");
    must_refuse(BODY_JSON, "{\"imp_uid\": \"im p\"}", "at byte 3");
    must_refuse(BODY_JSON, "{\"imp_uid\": \"a\", \"imp_uid\": \"b\"}", "twice");
    must_refuse(BODY_JSON, "{\"imp_uid\": \"a\"} {}", "follows");
    must_refuse(BODY_JSON, "{\"imp_uid\": \"a\\u0000b\"}", "NUL");
    must_refuse_bytes(BODY_JSON, BYTES("{\"imp_uid\": \"a\"}\0x"), "");
}

static void gateway_body_forms_are_decoded(void **state)
{
    (void)state;
    must_read(BODY_FORM, "imp_uid=imp_1", "imp_1");
    must_read(BODY_FORM, "imp_uid=imp_1&merchant_uid=order+7&status=paid", "imp_1");
    must_read(BODY_FORM, "status=paid&&x&imp%5Fuid=%69%6dp%5F1&", "imp_1");
    must_read(BODY_FORM, "imp_uids=a&IMP_UID=b&imp_uid=c", "c");
}

static void gateway_body_form_declared_as_json_is_read_as_one(void **state)
{
    (void)state;
    must_read(BODY_JSON, "imp_uid=imp_1", "imp_1");
    must_read(BODY_JSON, "success=true&imp_uid=imp_1&phone=01012345678", "imp_1");
}

static void gateway_body_json_declared_as_form_is_refused(void **state)
{
    (void)state;
    must_refuse(BODY_FORM, "{\"imp_uid\": \"imp_1\"}", "missing");
}

static void gateway_body_forms_without_one_good_imp_uid_are_refused(void **state)
{
    (void)state;
    must_refuse(BODY_FORM, "", "empty");
    must_refuse(BODY_FORM, "imp_uid", "missing");
    must_refuse(BODY_FORM, "imp_uid=", "empty");
    must_refuse(BODY_FORM, "x=imp_uid=1", "missing");
    must_refuse(BODY_FORM, "imp_uid=a&imp_uid=a", "twice");
    must_refuse(BODY_FORM, "imp_uid=imp+1", "at byte 4");
    must_refuse(BODY_FORM, "imp_uid=imp%201", "at byte 4");
    must_refuse(BODY_FORM, "imp_uid=imp%", "at byte 4");
    must_refuse(BODY_FORM, "imp_uid=imp%4", "at byte 4");
    must_refuse(BODY_FORM, "imp_uid=imp%zz", "at byte 4");
    must_refuse_bytes(BODY_FORM, BYTES("imp_uid=a\0"), "NUL");
}

static void gateway_body_nul_that_is_encoded_ends_nothing(void **state)
{
    (void)state;
    must_refuse(BODY_FORM, "imp_uid=imp_1%00", "at byte 6");
    must_refuse(BODY_FORM, "imp_uid=imp_1%00x", "at byte 6");
    must_refuse(BODY_FORM, "imp_uid=%00", "at byte 1");
    must_refuse(BODY_FORM, "imp_uid%00x=imp_1", "missing");
    must_read(BODY_FORM, "imp_uid%00=imp_1&imp_uid=imp_2", "imp_2");
}

static void gateway_body_imp_uids_are_1_to_64_long(void **state)
{
    (void)state;
    char body[128], imp_uid[66] = "";
    memset(imp_uid, 'x', 64);
    snprintf(body, sizeof body, "imp_uid=%s", imp_uid);
    must_read(BODY_FORM, body, imp_uid);
    imp_uid[64] = 'x';
    snprintf(body, sizeof body, "imp_uid=%s", imp_uid);
    must_refuse(BODY_FORM, body, "65 bytes");
    snprintf(body, sizeof body, "{\"imp_uid\": \"%s\"}", imp_uid);
    must_refuse(BODY_JSON, body, "65 bytes");
}

static void gateway_body_quotes_nothing(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"imp_uid\": \"01012345678 x\"}", "{\"01012345678\": 1}",
        "01012345678", "{\"imp_uid\": 01012345678}", "imp_uid=01012345678+", "phone=01012345678"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        for (enum body_type type = BODY_JSON; type <= BODY_FORM; type++) {
            char imp_uid[EVENT_IMP_UID_SIZE];
            struct error why = {.text = ""};
            assert_false(read_body(type, bodies[i], strlen(bodies[i]), imp_uid, &why));
            assert_null(strstr(why.text, "0101234"));
        }
    }
}

static void mutate(struct mutant *mutant, struct dice *dice)
{
    static const struct bytes words[] = {{BYTES("%")}, {BYTES("%00")}, {BYTES("%4")}, {BYTES("&")},
        {BYTES("=")}, {BYTES("+")}, {BYTES("imp_uid=")}, {BYTES("\"imp_uid\":")}, {BYTES("\\u0000")},
        {BYTES("{")}, {BYTES("}")}, {BYTES("\0")}, {BYTES("\xed\x99\x8d")}};
    if (!mutant->size)
        return;
    size_t at = draw(dice, mutant->size), left = mutant->size - at;
    switch (draw(dice, 4)) {
    case 0:
        mutant->data[at] = (char)draw(dice, 256);
        break;
    case 1:
        mutant_delete(mutant, at, 1 + draw(dice, left));
        break;
    case 2:
        mutant_duplicate(mutant, at, left < 64 ? left : 64, draw(dice, mutant->size + 1));
        break;
    default:
        mutant_insert_one_of(mutant, dice, at, words, COUNT(words));
        break;
    }
}

/* An imp_uid is valid or there is none, and with the sanitizer on: nothing is touched out of bounds. */
static void gateway_body_survives_mutations(void **state)
{
    (void)state;
    static const struct bytes seeds[] = {{BYTES("{\"imp_uid\": \"imp_448280090638\", \"n\": [1, \"x\"]}")},
        {BYTES("imp_uid=imp_448280090638&merchant_uid=a%20b+c&status=paid")}};
    size_t taken = 0;
    for (unsigned round = 0; round < 40000; round++) {
        static struct mutant mutant;
        struct dice dice = {{(unsigned short)round, (unsigned short)(round >> 16), 7}};
        const struct bytes *seed = &seeds[round % COUNT(seeds)];
        mutant.size = 0;
        mutant_insert(&mutant, 0, seed->data, seed->size);
        for (size_t changes = 1 + draw(&dice, 4); changes; changes--)
            mutate(&mutant, &dice);
        char imp_uid[EVENT_IMP_UID_SIZE];
        struct error why = {.text = ""};
        bool read = read_body(round & 2 ? BODY_JSON : BODY_FORM, mutant.data, mutant.size, imp_uid, &why);
        assert_true(read ? event_imp_uid_valid(imp_uid, strlen(imp_uid)) : why.text[0] != '\0');
        taken += read;
    }
    assert_in_range(taken, 1000, 39000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateway_body_types_are_known_by_their_names),
        cmocka_unit_test(gateway_body_json_gives_its_imp_uid_alone),
        cmocka_unit_test(gateway_body_json_that_is_no_event_is_told_by_its_shape),
        cmocka_unit_test(gateway_body_forms_are_decoded),
        cmocka_unit_test(gateway_body_form_declared_as_json_is_read_as_one),
        cmocka_unit_test(gateway_body_json_declared_as_form_is_refused),
        cmocka_unit_test(gateway_body_forms_without_one_good_imp_uid_are_refused),
        cmocka_unit_test(gateway_body_nul_that_is_encoded_ends_nothing),
        cmocka_unit_test(gateway_body_imp_uids_are_1_to_64_long),
        cmocka_unit_test(gateway_body_quotes_nothing),
        cmocka_unit_test(gateway_body_survives_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
