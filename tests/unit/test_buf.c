/* Growing bytes: that the ceiling holds to the byte, and that a refused append changes nothing. */
#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void holds(const struct buf *buf, const char *text)
{
    assert_int_equal(buf->size, strlen(text));
    assert_string_equal(buf->data, text);
    assert_true(buf->capacity > buf->size);
}

static void buf_takes_its_limit_and_not_a_byte_more(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_true(buf_append(&buf, "01234", 5));
    assert_false(buf_append(&buf, "567890", 6));
    holds(&buf, "01234");
    assert_true(buf_append(&buf, "56789", 5));
    holds(&buf, "0123456789");
    assert_false(buf_append(&buf, "x", 1));
    assert_false(buf_format(&buf, "%d", 1));
    assert_true(buf_append(&buf, "x", 0));
    holds(&buf, "0123456789");
    buf_cleanup(&buf);
}

static void buf_refuses_sizes_that_would_wrap_around(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    assert_true(buf_append(&buf, "abc", 3));
    assert_false(buf_append(&buf, "abc", SIZE_MAX));
    assert_false(buf_append(&buf, "abc", SIZE_MAX - 3));
    holds(&buf, "abc");
    buf_cleanup(&buf);
}

static void buf_refused_at_once_holds_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 2);
    assert_false(buf_append(&buf, "abc", 3));
    assert_false(buf_format(&buf, "%s", "abc"));
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    buf_cleanup(&buf);
}

static void buf_keeps_all_bytes_while_it_grows(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    struct buf buf;
    buf_init(&buf, BYTES);
    for (int i = 0; i < BYTES; i++) {
        char byte = (char)(i * 7);
        assert_true(buf_append(&buf, &byte, 1));
    }
    assert_int_equal(buf.size, BYTES);
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(buf.data[i], (char)(i * 7));
    assert_int_equal(buf.data[BYTES], '\0');
    buf_cleanup(&buf);
}

static void buf_appends_nothing_as_an_empty_text(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_null(buf.data);
    assert_true(buf_append(&buf, NULL, 0));
    holds(&buf, "");
    buf_cleanup(&buf);
}

static void buf_keeps_nul_bytes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_true(buf_append(&buf, "a\0b", 3));
    assert_true(buf_append(&buf, "\0", 1));
    assert_int_equal(buf.size, 4);
    assert_memory_equal(buf.data, "a\0b\0", 5);
    buf_cleanup(&buf);
}

static void buf_format_appends_behind_what_is_there(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    assert_true(buf_format(&buf, "%s=%d", "a", 1));
    assert_true(buf_format(&buf, "%s", ""));
    assert_true(buf_format(&buf, ";%0*d", 300, 7));
    assert_int_equal(buf.size, 3 + 1 + 300);
    assert_int_equal(strlen(buf.data), buf.size);
    assert_memory_equal(buf.data, "a=1;000", 7);
    assert_int_equal(buf.data[buf.size - 1], '7');
    buf_cleanup(&buf);
}

static void buf_format_fills_the_limit_to_the_byte(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 300);
    assert_false(buf_format(&buf, "%0*d", 301, 1));
    assert_int_equal(buf.size, 0);
    assert_true(buf_format(&buf, "%0*d", 300, 1));
    assert_int_equal(strlen(buf.data), 300);
    buf_cleanup(&buf);
}

static void buf_reset_gives_back_only_much_memory(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100000);
    assert_true(buf_append(&buf, "abc", 3));
    const char *data = buf.data;
    buf_reset(&buf, 1024);
    assert_ptr_equal(buf.data, data);
    assert_int_equal(buf.size, 0);
    assert_true(buf_format(&buf, "%0*d", 50000, 0));
    buf_reset(&buf, 1024);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
    assert_int_equal(buf.limit, 100000);
    assert_true(buf_append(&buf, "abc", 3));
    holds(&buf, "abc");
    buf_cleanup(&buf);
}

static void buf_cleaned_up_is_like_new(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 3);
    buf_cleanup(&buf);
    assert_true(buf_append(&buf, "abc", 3));
    buf_cleanup(&buf);
    buf_cleanup(&buf);
    assert_null(buf.data);
    assert_true(buf_append(&buf, "abc", 3));
    assert_false(buf_append(&buf, "d", 1));
    holds(&buf, "abc");
    buf_cleanup(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_takes_its_limit_and_not_a_byte_more),
        cmocka_unit_test(buf_refuses_sizes_that_would_wrap_around),
        cmocka_unit_test(buf_refused_at_once_holds_nothing),
        cmocka_unit_test(buf_keeps_all_bytes_while_it_grows),
        cmocka_unit_test(buf_appends_nothing_as_an_empty_text),
        cmocka_unit_test(buf_keeps_nul_bytes),
        cmocka_unit_test(buf_format_appends_behind_what_is_there),
        cmocka_unit_test(buf_format_fills_the_limit_to_the_byte),
        cmocka_unit_test(buf_reset_gives_back_only_much_memory),
        cmocka_unit_test(buf_cleaned_up_is_like_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
