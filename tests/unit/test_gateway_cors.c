/* Which origins the gateway's allow-list lets in. */
#include "producer/gateway_cors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LIST "https://shop.example, https://m.shop.example:8443,http://localhost:3000"

static void gateway_cors_without_a_list_lets_no_page_in(void **state)
{
    (void)state;
    assert_null(cors_allow(NULL, "https://shop.example"));
    assert_null(cors_allow(NULL, NULL));
}

static void gateway_cors_without_an_origin_says_nothing(void **state)
{
    (void)state;
    assert_null(cors_allow(LIST, NULL));
    assert_null(cors_allow("*", NULL));
}

static void gateway_cors_star_lets_all_in(void **state)
{
    (void)state;
    assert_string_equal(cors_allow("*", "https://any.example"), "*");
    assert_string_equal(cors_allow("*", "null"), "*");
}

static void gateway_cors_answers_listed_origins_with_themselves(void **state)
{
    (void)state;
    static const char *const listed[] = {
        "https://shop.example", "https://m.shop.example:8443", "http://localhost:3000"};
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++)
        assert_ptr_equal(cors_allow(LIST, listed[i]), listed[i]);
}

static void gateway_cors_lets_in_nothing_that_only_looks_alike(void **state)
{
    (void)state;
    static const char *const others[] = {"", "*", "null", "http://shop.example", "https://shop.example:443",
        "https://shop.example/", "https://shop.example.evil.example", "https://evil-shop.example",
        "https://m.shop.example", "https://shop", "HTTPS://shop.example", " https://shop.example",
        "https://shop.example, https://m.shop.example:8443", "https://shop.example,", LIST};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cors_allow(LIST, others[i]))
            fail_msg("\"%s\" was let in", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateway_cors_without_a_list_lets_no_page_in),
        cmocka_unit_test(gateway_cors_without_an_origin_says_nothing),
        cmocka_unit_test(gateway_cors_star_lets_all_in),
        cmocka_unit_test(gateway_cors_answers_listed_origins_with_themselves),
        cmocka_unit_test(gateway_cors_lets_in_nothing_that_only_looks_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
