/* Answers that bring a token: which are taken, and that no other ever leaves a part of one. */
#include "worker/token_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANSWER(token, now, end)                                                                              \
    "{\"code\": 0, \"message\": null, \"response\": {\"access_token\": " token ", \"now\": " now             \
    ", \"expired_at\": " end "}}"

static bool read_text(const char *body, struct token_answer *answer, const char **why)
{
    return token_answer_read(body, strlen(body), answer, why);
}

static void a_token_comes_with_its_life(void **state)
{
    (void)state;
    struct token_answer answer;
    const char *why;
    assert_true(read_text(ANSWER("\"a9ace025f90b5da2161075da6ddd3492\"", "100", "1900"), &answer, &why));
    assert_string_equal(answer.value, "a9ace025f90b5da2161075da6ddd3492");
    assert_int_equal(answer.life_s, 1800);
    assert_null(why);
}

static void what_is_no_token_leaves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *body, *why;
    } cases[] = {
        {"", "the answer has no code 0"},
        {"<html>", "the answer has no code 0"},
        {"[]", "the answer has no code 0"},
        {"{\"code\": \"0\"}", "the answer has no code 0"},
        {"{\"code\": -1, \"response\": null}", "the answer has no code 0"},
        {"{\"code\": 0, \"response\": null}", "the answer has no usable access_token"},
        {ANSWER("null", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("17", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"\"", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"a\\r\\nX-Other: b\"", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"a b\"", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"a\\u007f\"", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"\\u00e9\"", "1", "2"), "the answer has no usable access_token"},
        {ANSWER("\"a\"", "2", "2"), "expired_at is not after now"},
        {ANSWER("\"a\"", "0", "2"), "expired_at is not after now"},
        {ANSWER("\"a\"", "-9223372036854775808", "9223372036854775807"), "expired_at is not after now"},
        {ANSWER("\"a\"", "1", "9223372036854775807"), "expired_at is not after now"},
        {ANSWER("\"a\"", "1", "2.5"), "expired_at is not after now"},
        {ANSWER("\"a\"", "1", "2") "x", "the answer has no code 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct token_answer answer;
        const char *why = NULL;
        if (read_text(cases[i].body, &answer, &why) || strcmp(why, cases[i].why) != 0)
            fail_msg("%s: %s", cases[i].body, why ? why : "taken");
        assert_string_equal(answer.value, "");
        assert_int_equal(answer.life_s, 0);
    }
}

static void a_nul_byte_is_no_json(void **state)
{
    (void)state;
    static const char body[] = ANSWER("\"a\"", "1", "2\0");
    struct token_answer answer;
    const char *why;
    assert_false(token_answer_read(body, sizeof body - 1, &answer, &why));
    assert_false(token_answer_read(NULL, 0, &answer, &why));
}

static void a_token_has_a_longest_length(void **state)
{
    (void)state;
    char token[TOKEN_SIZE + 1], body[TOKEN_SIZE + 128];
    struct token_answer answer;
    const char *why;
    for (size_t length = TOKEN_SIZE - 1; length <= TOKEN_SIZE; length++) {
        memset(token, 'a', length);
        token[length] = '\0';
        snprintf(body, sizeof body, ANSWER("\"%s\"", "1", "2"), token);
        assert_int_equal(read_text(body, &answer, &why), length < TOKEN_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_comes_with_its_life),
        cmocka_unit_test(what_is_no_token_leaves_nothing),
        cmocka_unit_test(a_nul_byte_is_no_json),
        cmocka_unit_test(a_token_has_a_longest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
