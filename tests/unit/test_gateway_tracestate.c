/* The header tracestate: what W3C Trace Context allows, and nothing else. */
#include "producer/gateway_tracestate.h"
#include "tests/unit/mutant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void tracestate_takes_what_is_valid(void **state)
{
    (void)state;
    static const char *const valid[] = {"shop=1", "a=b,c=d", "a=b , c=d", "a=b,,c=d,", "1@shop=x!~ y",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a-b_c*d/e=:"};
    for (size_t i = 0; i < COUNT(valid); i++)
        if (!tracestate_valid(valid[i], strlen(valid[i])))
            fail_msg("\"%s\" was refused", valid[i]);
}

static void tracestate_refuses_all_else(void **state)
{
    (void)state;
    static const char *const others[] = {"", " ", ",", "a", "a=", "=b", "a=b=c", "A=b", "-a=b", "a b=c",
        "a=b\x7f", "a=b\tc", "a=\xed\x99\x8d", "a=b,c"};
    for (size_t i = 0; i < COUNT(others); i++)
        if (tracestate_valid(others[i], strlen(others[i])))
            fail_msg("\"%s\" was taken", others[i]);
    assert_false(tracestate_valid(BYTES("a=b\0")));
}

static void tracestate_has_at_most_512_bytes(void **state)
{
    (void)state;
    char text[514];
    memset(text, 'x', sizeof text);
    memcpy(text, "a=", 2);
    for (size_t at = 200; at < 500; at += 100)
        memcpy(text + at, ",b=", 3);
    assert_true(tracestate_valid(text, 512));
    assert_false(tracestate_valid(text, 513));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracestate_takes_what_is_valid),
        cmocka_unit_test(tracestate_refuses_all_else),
        cmocka_unit_test(tracestate_has_at_most_512_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
