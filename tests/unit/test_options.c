/* The options of impcert-replay: each is told what it may be. */
#include "replay/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct options options;
static struct program_option rows[OPTIONS_COUNT + 1];

static int open_options(void **state)
{
    (void)state;
    options_init(&options);
    options_list(&options, rows);
    return 0;
}

static int close_options(void **state)
{
    (void)state;
    options_cleanup(&options);
    return 0;
}

static bool take(const char *name, const char *value)
{
    struct error why = {""};
    for (const struct program_option *row = rows; row->name; row++)
        if (strcmp(row->name, name) == 0) {
            assert_int_equal(row->argument != NULL, value != NULL);
            bool taken = row->take(row->context, value, &why);
            assert_int_equal(taken, !why.text[0]);
            return taken;
        }
    fail_msg("no option %s", name);
    return false;
}

static void options_are_as_many_as_said(void **state)
{
    (void)state;
    assert_null(rows[OPTIONS_COUNT].name);
    assert_non_null(rows[OPTIONS_COUNT - 1].name);
}

static void options_take_numbers_in_range(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "0", "-1", "+1", "1.5", "1e3", " 1", "1 ", "99999999999999999999"};
    static const char *const names[] = {"limit", "rate", "max-replays"};
    for (size_t name = 0; name < 3; name++)
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
            if (take(names[name], wrong[i]))
                fail_msg("--%s takes \"%s\"", names[name], wrong[i]);
    assert_true(take("limit", "1000000000"));
    assert_int_equal(options.limit, 1000000000);
    assert_true(take("rate", "250"));
    assert_int_equal(options.rate, 250);
    assert_false(options.max_replays);
    assert_true(take("max-replays", "255"));
    assert_int_equal(options.filter.max_replays, 255);
    assert_true(options.max_replays);
    assert_false(take("max-replays", "256"));
}

static void options_remember_that_there_is_a_filter(void **state)
{
    (void)state;
    assert_null(options.filtered);
    assert_true(take("limit", "1"));
    assert_null(options.filtered);
    assert_true(take("since", "1h"));
    assert_string_equal(options.filtered, "--since");
    assert_int_equal(options.filter.since_ms, options.now_ms - 3600000);
    assert_true(take("until", "2026-01-02"));
    assert_true(take("reason", "refused"));
    assert_true(take("imp-uid", "imp_1"));
    assert_string_equal(options.filtered, "--imp-uid");
}

static void options_have_flags(void **state)
{
    (void)state;
    assert_false(options.dry_run || options.json || options.yes);
    assert_true(take("dry-run", NULL) && take("json", NULL) && take("yes", NULL));
    assert_true(options.dry_run && options.json && options.yes);
}

static void options_want_a_reason_that_says_something(void **state)
{
    (void)state;
    char text[502];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(take("why", ""));
    assert_false(take("why", text));
    assert_true(take("why", text + 1));
    assert_ptr_equal(options.why, text + 1);
}

int main(void)
{
#define OPTIONS_TEST(test) cmocka_unit_test_setup_teardown(test, open_options, close_options)
    const struct CMUnitTest tests[] = {
        OPTIONS_TEST(options_are_as_many_as_said),
        OPTIONS_TEST(options_take_numbers_in_range),
        OPTIONS_TEST(options_remember_that_there_is_a_filter),
        OPTIONS_TEST(options_have_flags),
        OPTIONS_TEST(options_want_a_reason_that_says_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
