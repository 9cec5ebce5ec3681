/* Bearer tokens of the gateway: which are let in, and what becomes of a file that changes. */
#include "common/clock.h"
#include "common/log.h"
#include "common/settings.h"
#include "producer/gateway_tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST "first-token-0123456789"
#define SECOND "second.token~+/0123=="
#define THIRD "third_token_0123456789"
#define NEXT_LOOK (6 * CLOCK_S)

static const struct program program = {.id = PROGRAM_GATEWAY, .name = "impcert-gateway"};

/* One test's file of tokens, settings and tokens. */
struct fixture {
    char path[64];
    struct settings *settings;
    struct tokens *tokens;
    int64_t now_ns;
};

static void write_tokens(const struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (!fixture)
        return -1;
    strcpy(fixture->path, "/tmp/impcert-tokens.XXXXXX");
    int file = mkstemp(fixture->path);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    clearenv();
    setenv("IMPCERT_KAFKA_BROKERS", "kafka:9092", 1);
    *state = fixture;
    return file < 0 ? -1 : close(file);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tokens_close(fixture->tokens);
    settings_free(fixture->settings);
    unlink(fixture->path);
    free(fixture);
    return 0;
}

static void open_tokens(struct fixture *fixture)
{
    struct faults faults;
    struct error error = {.text = ""};
    faults_init(&faults);
    fixture->settings = settings_open(&program, NULL, true, &faults);
    assert_int_equal(faults.count, 0);
    faults_cleanup(&faults);
    fixture->tokens = tokens_open(fixture->settings, &error);
    if (!fixture->tokens)
        fail_msg("%s", error.text);
}

static void open_tokens_of_file(struct fixture *fixture, const char *text)
{
    write_tokens(fixture, text);
    setenv("IMPCERT_BEARER_TOKENS_FILE", fixture->path, 1);
    open_tokens(fixture);
}

static void look_again(struct fixture *fixture)
{
    tokens_turn(fixture->tokens, fixture->now_ns);
    fixture->now_ns += NEXT_LOOK;
    tokens_turn(fixture->tokens, fixture->now_ns);
}

static void gateway_tokens_let_all_in_where_none_are_set(void **state)
{
    struct fixture *fixture = *state;
    open_tokens(fixture);
    look_again(fixture);
    assert_true(tokens_allow(fixture->tokens, NULL));
    assert_true(tokens_allow(fixture->tokens, "Bearer whatever"));
    assert_true(tokens_allow(fixture->tokens, "Basic eDp5"));
}

static void gateway_tokens_let_in_each_that_is_set(void **state)
{
    struct fixture *fixture = *state;
    setenv("IMPCERT_BEARER_TOKENS", FIRST " ," SECOND, 1);
    open_tokens(fixture);
    look_again(fixture);
    assert_true(tokens_allow(fixture->tokens, "Bearer " FIRST));
    assert_true(tokens_allow(fixture->tokens, "Bearer " SECOND));
    assert_true(tokens_allow(fixture->tokens, "bearer " FIRST));
    assert_true(tokens_allow(fixture->tokens, "BEARER   " FIRST));
}

static void gateway_tokens_let_nothing_else_in(void **state)
{
    struct fixture *fixture = *state;
    setenv("IMPCERT_BEARER_TOKENS", FIRST "," SECOND, 1);
    open_tokens(fixture);
    static const char *const others[] = {"", "Bearer", "Bearer ", "Bearer  ", FIRST, "Basic " FIRST,
        "Bearer" FIRST, "Bearer " FIRST "x", "Bearer first-token-012345678", "Bearer FIRST-TOKEN-0123456789",
        "Bearer " FIRST " " SECOND, "Bearer " FIRST "," SECOND, "Bearer \"" FIRST "\"", "Bearer " THIRD};
    assert_false(tokens_allow(fixture->tokens, NULL));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (tokens_allow(fixture->tokens, others[i]))
            fail_msg("\"%s\" was let in", others[i]);
}

static void gateway_tokens_of_a_file_follow_its_changes(void **state)
{
    struct fixture *fixture = *state;
    open_tokens_of_file(fixture, FIRST "\n" SECOND "\n");
    assert_true(tokens_allow(fixture->tokens, "Bearer " SECOND));
    look_again(fixture);
    write_tokens(fixture, THIRD "\n" FIRST);
    tokens_turn(fixture->tokens, fixture->now_ns + 1); /* not yet due */
    assert_false(tokens_allow(fixture->tokens, "Bearer " THIRD));
    look_again(fixture);
    assert_true(tokens_allow(fixture->tokens, "Bearer " THIRD));
    assert_true(tokens_allow(fixture->tokens, "Bearer " FIRST));
    assert_false(tokens_allow(fixture->tokens, "Bearer " SECOND));
}

static void gateway_tokens_stay_when_their_file_breaks(void **state)
{
    struct fixture *fixture = *state;
    open_tokens_of_file(fixture, FIRST);
    static const char *const broken[] = {"", "\n", "short", "with a \"quote\" 0123456789", FIRST "\nshort"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_tokens(fixture, broken[i]);
        look_again(fixture);
        assert_true(tokens_allow(fixture->tokens, "Bearer " FIRST));
        assert_false(tokens_allow(fixture->tokens, NULL));
    }
    unlink(fixture->path);
    look_again(fixture);
    assert_true(tokens_allow(fixture->tokens, "Bearer " FIRST));
    write_tokens(fixture, SECOND);
    look_again(fixture);
    assert_true(tokens_allow(fixture->tokens, "Bearer " SECOND));
    assert_false(tokens_allow(fixture->tokens, "Bearer " FIRST));
}

static void gateway_tokens_close_of_none_is_fine(void **state)
{
    (void)state;
    tokens_close(NULL);
}

#define TOKENS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKENS_TEST(gateway_tokens_let_all_in_where_none_are_set),
        TOKENS_TEST(gateway_tokens_let_in_each_that_is_set),
        TOKENS_TEST(gateway_tokens_let_nothing_else_in),
        TOKENS_TEST(gateway_tokens_of_a_file_follow_its_changes),
        TOKENS_TEST(gateway_tokens_stay_when_their_file_breaks),
        cmocka_unit_test(gateway_tokens_close_of_none_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
