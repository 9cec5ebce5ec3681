/* impcert-replay show: the story of one event, from the records that the queue still has. Main thread. */
#include "common/utf8.h"
#include "replay/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY "impcert.replay_history"
#define SHOWN_SIZE 600

struct show {
    struct replay *replay;
    const char *key;
    json_t *story; /* an array, in the order of the records */
};

static const char *show_header(const rd_kafka_headers_t *headers, const char *name, size_t *size)
{
    const void *value;
    if (!headers || rd_kafka_header_get_last(headers, name, &value, size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return NULL;
    return value;
}

static void show_set_text(json_t *object, const char *name, const char *text, size_t size)
{
    char shown[SHOWN_SIZE];
    if (!text || !size)
        return;
    utf8_escape(text, size, shown, sizeof shown);
    json_object_set_new(object, name, json_string(shown));
}

static void show_set_header(
    json_t *object, const char *name, const rd_kafka_headers_t *headers, const char *header)
{
    size_t size = 0;
    const char *text = show_header(headers, header, &size);
    show_set_text(object, name, text, size);
}

static json_t *show_failure(const rd_kafka_headers_t *headers)
{
    static const char *const names[] = {"reason", "error", "http_status", "attempts", "first_failed_at",
        "failed_at", "origin", "replayed_at", "replay_count"};
    json_t *object = json_pack("{s:s}", "what", "failed");
    for (size_t i = 0; object && i < sizeof names / sizeof *names; i++) {
        char header[64];
        snprintf(header, sizeof header, "impcert.%s", names[i]);
        show_set_header(object, names[i], headers, header);
    }
    return object;
}

static json_t *show_mark(const rd_kafka_headers_t *headers)
{
    size_t size;
    bool discarded = show_header(headers, "impcert.discarded_at", &size);
    json_t *object = json_pack("{s:s}", "what", discarded ? "discarded" : "replayed");
    show_set_header(object, "at", headers, discarded ? "impcert.discarded_at" : "impcert.replayed_at");
    show_set_header(object, "why", headers, "impcert.discard_reason");
    return object;
}

/* Failures before the replays that the record carries with it: what compaction took from the queue. */
static void show_add_history(struct show *show, const rd_kafka_headers_t *headers)
{
    size_t size = 0;
    const char *text = show_header(headers, HISTORY, &size);
    json_t *history = text ? json_loadb(text, size, 0, NULL) : NULL, *one;
    size_t i;
    if (json_is_array(history) && json_array_size(show->story) == 0)
        json_array_foreach (history, i, one) {
            if (json_object_set_new(one, "what", json_string("failed")) == 0)
                json_array_append(show->story, one);
        }
    json_decref(history);
}

static bool show_visit(void *context, const rd_kafka_message_t *record, struct error *error)
{
    struct show *show = context;
    if (!record->key || record->key_len != strlen(show->key) ||
        memcmp(record->key, show->key, record->key_len) != 0)
        return true;
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_message_headers(record, &headers);
    if (record->payload)
        show_add_history(show, headers);
    json_t *object = record->payload ? show_failure(headers) : show_mark(headers);
    char where[LETTER_ORIGIN_SIZE];
    letter_origin(rd_kafka_topic_name(record->rkt), record->partition, record->offset, where);
    json_object_set_new(object, "record", json_string(where));
    return json_array_append_new(show->story, object) == 0 || error_set(error, "out of memory");
}

/* The member as text for a terminal, which the history of a foreign letter may not be; NULL: none. */
static const char *show_member(const json_t *object, const char *name, char shown[static SHOWN_SIZE])
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return NULL;
    utf8_escape(json_string_value(value), json_string_length(value), shown, SHOWN_SIZE);
    return shown;
}

static void show_print_one(const json_t *object)
{
    static const char *const head[] = {"at", "failed_at", "reason"};
    static const char *const rest[] = {"why", "error", "http_status", "attempts", "first_failed_at", "origin",
        "replayed_at", "replay_count", "record"};
    char shown[SHOWN_SIZE];
    printf("%s", json_string_value(json_object_get(object, "what")));
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        if (show_member(object, head[i], shown))
            printf("  %s", shown);
    putchar('\n');
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (show_member(object, rest[i], shown))
            printf("    %-16s %s\n", rest[i], shown);
}

static int show_print(const struct show *show)
{
    size_t count = json_array_size(show->story);
    const json_t *one;
    size_t i;
    json_array_foreach (show->story, i, one) {
        if (!show->replay->options.json) {
            show_print_one(one);
            continue;
        }
        char *text = json_dumps(one, 0);
        puts(text ? text : "");
        free(text);
    }
    if (!count) {
        progress_message(&show->replay->progress, "%s is not on %s", show->key,
            settings_text(show->replay->settings, SETTING_DLQ_TOPIC));
        return EXIT_FAILURE;
    }
    if (!show->replay->options.json)
        printf("%s: %s\n", show->key,
            strcmp(json_string_value(json_object_get(json_array_get(show->story, count - 1), "what")),
                "failed") == 0
                ? "unresolved"
                : "resolved");
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int show_run(struct replay *replay, const char *imp_uid)
{
    struct error error;
    struct show show = {.replay = replay, .key = imp_uid, .story = json_array()};
    struct scan *scan =
        scan_open(replay->settings, settings_text(replay->settings, SETTING_DLQ_TOPIC), NULL, &error);
    int exit_code = EXIT_FAILURE;
    if (scan && scan_read(scan, NULL, show_visit, &show, &error))
        exit_code = show_print(&show);
    else if (error.text[0])
        progress_message(&replay->progress, "%s", error.text);
    scan_close(scan);
    json_decref(show.story);
    return exit_code;
}
