/* What impcert-publish makes of its input: lines in bounded memory, events out of lines, and records out of
 * events.
 */
#include "producer/publish_input.h"
#include "producer/publish_line.h"
#include "producer/publish_sender.h"
#include "tests/unit/broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void line_must_be(const char *line, enum publish_line wanted, const char *imp_uid, const char *value)
{
    struct publish_event event;
    struct error why = {.text = ""};
    enum publish_line result = publish_line_read(line, strlen(line), &event, &why);
    if (result != wanted)
        fail_msg("\"%s\": %d, %s", line, (int)result, why.text);
    if (result != PUBLISH_EVENT)
        return;
    assert_string_equal(event.imp_uid, imp_uid);
    assert_int_equal(event.imp_uid_length, strlen(imp_uid));
    assert_int_equal(event.value_length, strlen(value));
    assert_memory_equal(event.value, value, event.value_length);
}

static void publish_line_reads_imp_uids_and_json(void **state)
{
    (void)state;
    line_must_be("imp_1", PUBLISH_EVENT, "imp_1", "{\"imp_uid\": \"imp_1\"}");
    line_must_be("  imp_1\t\r", PUBLISH_EVENT, "imp_1", "{\"imp_uid\": \"imp_1\"}");
    line_must_be("{\"imp_uid\":\"imp_1\",  \"order\":7}\r", PUBLISH_EVENT, "imp_1",
        "{\"imp_uid\":\"imp_1\",  \"order\":7}");
    line_must_be("", PUBLISH_BLANK, NULL, NULL);
    line_must_be(" \t\r", PUBLISH_BLANK, NULL, NULL);
    line_must_be("imp 1", PUBLISH_REFUSED, NULL, NULL);
    line_must_be("\"imp_1\"", PUBLISH_REFUSED, NULL, NULL);
    line_must_be("[\"imp_1\"]", PUBLISH_REFUSED, NULL, NULL);
    line_must_be("{\"imp_uid\":1}", PUBLISH_REFUSED, NULL, NULL);
    line_must_be("{\"imp_uid\":\"a\"} x", PUBLISH_REFUSED, NULL, NULL);
}

/* A file with this content, to be read from its start. */
static FILE *file_of(const char *content, size_t length)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    rewind(file);
    return file;
}

/* The next line once there is one, reading as needed. */
static enum input_result next(struct input *input, const char **line, size_t *length)
{
    struct error error;
    enum input_result result;
    while ((result = input_next(input, line, length)) == INPUT_EMPTY)
        assert_true(input_fill(input, -1, &error));
    return result;
}

static void publish_input_gives_lines_with_and_without_a_last_newline(void **state)
{
    (void)state;
    static const char *const contents[] = {"a\n\nbc", "a\n\nbc\n"};
    for (size_t i = 0; i < 2; i++) {
        struct input input;
        const char *line;
        size_t length;
        FILE *file = file_of(contents[i], strlen(contents[i]));
        assert_true(input_init(&input, fileno(file)));
        assert_int_equal(next(&input, &line, &length), INPUT_LINE);
        assert_memory_equal(line, "a", length);
        assert_int_equal(next(&input, &line, &length), INPUT_LINE);
        assert_int_equal(length, 0);
        assert_int_equal(next(&input, &line, &length), INPUT_LINE);
        assert_int_equal(length, 2);
        assert_memory_equal(line, "bc", 2);
        assert_int_equal(input.line, 3);
        assert_int_equal(next(&input, &line, &length), INPUT_END);
        assert_int_equal(input.bytes_read, strlen(contents[i]));
        input_cleanup(&input);
        fclose(file);
    }
}

static void publish_input_passes_over_lines_that_are_too_long(void **state)
{
    (void)state;
    static const size_t lengths[] = {
        INPUT_LINE_MOST - 1, INPUT_LINE_MOST, INPUT_LINE_MOST + 1, 5 * INPUT_LINE_MOST};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t size = 2 * lengths[i] + 4;
        char *content = malloc(size);
        assert_non_null(content);
        memset(content, 'x', size);
        content[lengths[i]] = '\n';
        content[lengths[i] + 2] = '\n'; /* "x", then a long last line without newline */
        size -= 1;
        enum input_result wanted = lengths[i] > INPUT_LINE_MOST ? INPUT_TOO_LONG : INPUT_LINE;
        FILE *file = file_of(content, size);
        struct input input;
        const char *line;
        size_t length;
        assert_true(input_init(&input, fileno(file)));
        assert_int_equal(next(&input, &line, &length), wanted);
        assert_int_equal(next(&input, &line, &length), INPUT_LINE);
        assert_int_equal(length, 1);
        assert_int_equal(input.line, 2);
        assert_int_equal(next(&input, &line, &length), wanted);
        assert_int_equal(input.line, 3);
        assert_int_equal(next(&input, &line, &length), INPUT_END);
        input_cleanup(&input);
        fclose(file);
        free(content);
    }
}

static void publish_input_joins_lines_that_come_in_pieces(void **state)
{
    (void)state;
    int ends[2];
    struct input input;
    struct error error;
    const char *line;
    size_t length;
    assert_int_equal(pipe(ends), 0);
    assert_true(input_init(&input, ends[0]));
    assert_true(input_fill(&input, 0, &error)); /* nothing there yet */
    assert_int_equal(input_next(&input, &line, &length), INPUT_EMPTY);
    assert_int_equal(write(ends[1], "imp_", 4), 4);
    assert_true(input_fill(&input, -1, &error));
    assert_int_equal(input_next(&input, &line, &length), INPUT_EMPTY);
    assert_int_equal(write(ends[1], "1\nimp_2", 7), 7);
    assert_true(input_fill(&input, -1, &error));
    assert_int_equal(input_next(&input, &line, &length), INPUT_LINE);
    assert_int_equal(length, 5);
    assert_memory_equal(line, "imp_1", 5);
    close(ends[1]);
    assert_int_equal(next(&input, &line, &length), INPUT_LINE);
    assert_memory_equal(line, "imp_2", 5);
    assert_int_equal(next(&input, &line, &length), INPUT_END);
    input_cleanup(&input);
    close(ends[0]);
}

/* See kafka_acknowledged. */
static void publish_sender_counts_only_what_the_broker_has(void **state)
{
    (void)state;
    static const struct program program = {.id = PROGRAM_PUBLISH, .name = "impcert-test", .summary = ""};
    char path[] = "/tmp/impcert-publish.XXXXXX", *argv[] = {"impcert-test", NULL};
    int exit_code, file = mkstemp(path);
    struct report report;
    struct error why;
    struct broker broker;
    broker_open(&broker);
    assert_int_equal(write(file, "batch.num.messages=1\n", 21), 21);
    close(file);
    setenv("IMPCERT_KAFKA_BROKERS", broker_address(&broker), 1);
    setenv("IMPCERT_KAFKA_CONFIG", path, 1);
    struct settings *settings = settings_start(&program, 1, argv, &exit_code);
    assert_non_null(settings);
    report_init(&report);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 100);
    rd_kafka_mock_push_request_errors(broker.cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    struct sender *sender = sender_open(settings, NULL, &report, &why);
    assert_non_null(sender);
    for (int n = 0; n < 4; n++) {
        char line[64];
        struct publish_event event;
        int length = snprintf(line, sizeof line, "{\"imp_uid\": \"imp_1\", \"n\": %d}", n);
        assert_int_equal(publish_line_read(line, (size_t)length, &event, &why), PUBLISH_EVENT);
        assert_true(sender_send(sender, (struct place){.number = (uint64_t)n + 1}, &event));
    }
    while (!sender_flush(sender))
        ;
    assert_int_equal(sender_counts(sender).acknowledged, 4);
    assert_int_equal(sender_counts(sender).failed, 0);
    rd_kafka_mock_broker_set_rtt(broker.cluster, 1, 0);
    assert_int_equal(broker_records(&broker), 0xf);
    sender_close(sender);
    settings_free(settings);
    broker_close(&broker);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_line_reads_imp_uids_and_json),
        cmocka_unit_test(publish_input_gives_lines_with_and_without_a_last_newline),
        cmocka_unit_test(publish_input_passes_over_lines_that_are_too_long),
        cmocka_unit_test(publish_input_joins_lines_that_come_in_pieces),
        cmocka_unit_test(publish_sender_counts_only_what_the_broker_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
