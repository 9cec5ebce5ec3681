/* impcert-publish: imp_uids from operands or standard input to the topic of events, with an exit code that
 * says whether every one of them was acknowledged. Everything runs on the main thread. */
#include "common/interrupt.h"
#include "common/settings.h"
#include "producer/producer_conf.h"
#include "producer/publish_input.h"
#include "producer/publish_line.h"
#include "producer/publish_program.h"
#include "producer/publish_report.h"
#include "producer/publish_sender.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define WAIT_MS 100

struct publish {
    struct report report;
    struct sender *sender;
    uint64_t refused;     /* lines and operands that are no event */
    uint64_t bytes_read;  /* of standard input */
    struct place stopped; /* the first place that was not taken; number 0: none */
    bool input_failed;
};

/* Takes one line or operand; false when publishing is to stop before it. */
static bool take(struct publish *publish, struct place place, const char *text, size_t length)
{
    struct publish_event event;
    struct error why;
    switch (publish_line_read(text, length, &event, &why)) {
    case PUBLISH_BLANK:
        return true;
    case PUBLISH_REFUSED:
        publish->refused++;
        report_at(&publish->report, place, "%s", why.text);
        return true;
    case PUBLISH_EVENT:
        break;
    }
    if (sender_send(publish->sender, place, &event))
        return true;
    publish->stopped = place;
    return false;
}

/* Takes every whole line that was read; false when publishing is to stop. */
static bool take_lines(struct publish *publish, struct input *input)
{
    const char *line;
    size_t length;
    for (;;) {
        enum input_result result = input_next(input, &line, &length);
        if (result == INPUT_EMPTY || result == INPUT_END)
            return true;
        struct place place = {.number = input->line};
        if (result == INPUT_TOO_LONG) {
            publish->refused++;
            report_at(&publish->report, place, "longer than %d bytes", INPUT_LINE_MOST);
        } else if (!take(publish, place, line, length)) {
            return false;
        }
    }
}

static bool publish_input(struct publish *publish)
{
    struct input input;
    struct error error;
    if (!input_init(&input, STDIN_FILENO)) {
        report_message(&publish->report, "out of memory");
        publish->input_failed = true;
        return false;
    }
    report_set_input(&publish->report, STDIN_FILENO);
    bool go_on = true;
    while (go_on && !(input.ended && input.start == input.end)) {
        sender_poll(publish->sender);
        if (interrupt_requested() || sender_gave_up(publish->sender)) {
            publish->stopped = (struct place){.number = input.line + 1};
            go_on = false;
        } else if (!input_fill(&input, WAIT_MS, &error)) {
            report_message(&publish->report, "standard input: %s", error.text);
            publish->input_failed = true;
            go_on = false;
        } else {
            go_on = take_lines(publish, &input);
        }
        publish->bytes_read = input.bytes_read;
        report_progress(&publish->report, sender_counts(publish->sender).acknowledged, publish->bytes_read);
    }
    input_cleanup(&input);
    return go_on;
}

static void publish_operands(struct publish *publish, int count, char **operands)
{
    bool input_read = false;
    for (int i = 0; i < count; i++) {
        bool is_input = strcmp(operands[i], "-") == 0;
        if (is_input && input_read)
            continue;
        input_read = input_read || is_input;
        struct place place = {.operand = true, .number = (uint64_t)i + 1};
        bool go_on =
            is_input ? publish_input(publish) : take(publish, place, operands[i], strlen(operands[i]));
        if (!go_on)
            return;
    }
}

/* Waits until every accepted event is acknowledged or given up. */
static void flush(struct publish *publish)
{
    struct sender_counts counts = sender_counts(publish->sender);
    if (publish->stopped.number)
        report_message(&publish->report,
            "%s: nothing read from %s %" PRIu64 " on; waiting for %" PRIu64 " events on their way",
            interrupt_requested() ? "interrupted" : "stopped", publish->stopped.operand ? "operand" : "line",
            publish->stopped.number, counts.accepted - counts.acknowledged - counts.failed);
    while (!sender_flush(publish->sender))
        report_progress(&publish->report, sender_counts(publish->sender).acknowledged, publish->bytes_read);
}

/* "published 10000 events to certifications (3 refused, 2 not acknowledged)"; returns the exit code. */
static int summarize(struct publish *publish, const char *topic)
{
    struct sender_counts counts = sender_counts(publish->sender);
    uint64_t lost = counts.accepted - counts.acknowledged;
    char refused[48] = "", unacknowledged[48] = "", text[512];
    if (publish->refused)
        snprintf(refused, sizeof refused, "%" PRIu64 " refused", publish->refused);
    if (lost)
        snprintf(unacknowledged, sizeof unacknowledged, "%" PRIu64 " not acknowledged", lost);
    bool any = publish->refused || lost;
    snprintf(text, sizeof text, "published %" PRIu64 " event%s to %s%s%s%s%s%s", counts.acknowledged,
        counts.acknowledged == 1 ? "" : "s", topic, any ? " (" : "", refused,
        publish->refused && lost ? ", " : "", unacknowledged, any ? ")" : "");
    report_plain(&publish->report, text);
    return any || publish->stopped.number || publish->input_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct settings *settings, rd_kafka_headers_t *headers, int count, char **operands)
{
    struct publish publish = {.refused = 0};
    struct error error;
    report_init(&publish.report);
    interrupt_install();
    publish.sender =
        sender_open(settings, rd_kafka_header_cnt(headers) ? headers : NULL, &publish.report, &error);
    if (!publish.sender) {
        report_message(&publish.report, "%s", error.text);
        return EXIT_USAGE; /* a property of the file, or two that contradict each other */
    }
    if (count)
        publish_operands(&publish, count, operands);
    else
        publish_input(&publish);
    flush(&publish);
    int exit_code = summarize(&publish, settings_text(settings, SETTING_TOPIC));
    sender_close(publish.sender);
    return exit_code;
}

int main(int argc, char **argv)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    struct program_option options[PUBLISH_OPTIONS + 1];
    struct program program;
    publish_program(&program, options, headers);
    program.check = producer_conf_check;
    int exit_code;
    struct settings *settings = settings_start(&program, argc, argv, &exit_code);
    if (settings)
        exit_code = run(settings, headers, argc - optind, argv + optind);
    settings_free(settings);
    rd_kafka_headers_destroy(headers);
    return exit_code;
}
