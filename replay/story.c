/* Headers of replays and discards. Any thread. */
#include "replay/story.h"

#include "common/clock.h"
#include "common/utf8.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_PREFIX "impcert."
#define HISTORY "impcert.replay_history"

static bool story_add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    return rd_kafka_header_add(headers, name, -1, value, -1) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool story_add_time(rd_kafka_headers_t *headers, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, text);
    return story_add(headers, name, text);
}

static bool story_add_count(rd_kafka_headers_t *headers, int count)
{
    char text[16];
    snprintf(text, sizeof text, "%d", count);
    return story_add(headers, "impcert.replay_count", text);
}

static bool story_copy_foreign(rd_kafka_headers_t *headers, const rd_kafka_headers_t *own)
{
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; rd_kafka_header_get_all(own, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        if (strncmp(name, OWN_PREFIX, sizeof OWN_PREFIX - 1) != 0 &&
            rd_kafka_header_add(headers, name, -1, value, (ssize_t)size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
    return true;
}

/* Anything else would be no JSON to those who read the history. */
static bool story_is_text(const char *value, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct utf8_char c = utf8_next(value + at, size - at);
        if (!c.valid || !c.code)
            return false;
        at += c.length;
    }
    return true;
}

/* The failure that the dead letter tells of. NULL when out of memory. */
static json_t *story_failure(const rd_kafka_headers_t *own)
{
    static const char *const names[] = {
        "reason", "error", "http_status", "attempts", "first_failed_at", "failed_at", "origin"};
    json_t *object = json_object();
    for (size_t i = 0; object && i < sizeof names / sizeof *names; i++) {
        char header[32];
        const void *value;
        size_t size;
        snprintf(header, sizeof header, OWN_PREFIX "%s", names[i]);
        if (rd_kafka_header_get_last(own, header, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR || !value ||
            !story_is_text(value, size))
            continue;
        if (json_object_set_new(object, names[i], json_stringn(value, size)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* What was there, if it is as we write it, and this failure. NULL when out of memory: what is left out here
 * is left out for good. */
static json_t *story_history(const rd_kafka_headers_t *own)
{
    const void *value;
    size_t size;
    json_t *history = NULL;
    if (rd_kafka_header_get_last(own, HISTORY, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR && value)
        history = json_loadb(value, size, 0, NULL);
    if (!json_is_array(history)) {
        json_decref(history);
        history = json_array();
    }
    if (json_array_append_new(history, story_failure(own)) != 0) {
        json_decref(history);
        return NULL;
    }
    while (json_array_size(history) > STORY_FAILURES_MOST)
        json_array_remove(history, 0);
    return history;
}

/* Not by json_dumps, which writes something else where its memory can't grow. The caller frees it; NULL when
 * out of memory. */
static char *story_json(const json_t *history)
{
    size_t size = history ? json_dumpb(history, NULL, 0, JSON_COMPACT) : 0;
    char *text = size ? malloc(size + 1) : NULL;
    if (!text)
        return NULL;
    if (json_dumpb(history, text, size, JSON_COMPACT) == size) {
        text[size] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static bool story_add_history(rd_kafka_headers_t *headers, const rd_kafka_headers_t *own)
{
    json_t *history = story_history(own);
    char *text = story_json(history);
    bool added = text && story_add(headers, HISTORY, text);
    free(text);
    json_decref(history);
    return added;
}

static rd_kafka_headers_t *story_finish(rd_kafka_headers_t *headers, bool complete)
{
    if (complete)
        return headers;
    rd_kafka_headers_destroy(headers);
    return NULL;
}

rd_kafka_headers_t *story_event_headers(const rd_kafka_headers_t *own, int replay_count, int64_t now_ms)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    bool copied = !own || (story_copy_foreign(headers, own) && story_add_history(headers, own));
    return story_finish(headers, copied && story_add_count(headers, replay_count) &&
                                     story_add_time(headers, "impcert.replayed_at", now_ms));
}

rd_kafka_headers_t *story_replayed_headers(int replay_count, int64_t now_ms)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    return story_finish(headers,
        story_add_count(headers, replay_count) && story_add_time(headers, "impcert.replayed_at", now_ms));
}
