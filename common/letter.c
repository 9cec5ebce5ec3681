/* Headers of retry and DLQ records. Any thread. */
#include "common/letter.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const reason_names[REASON_COUNT] = {
    [REASON_NONE] = "none",
    [REASON_INVALID_EVENT] = "invalid_event",
    [REASON_NOT_CERTIFIED] = "not_certified",
    [REASON_NO_UNIQUE_KEY] = "no_unique_key",
    [REASON_NOT_FOUND] = "not_found",
    [REASON_REFUSED] = "refused",
    [REASON_BAD_RESPONSE] = "bad_response",
    [REASON_UNAVAILABLE] = "unavailable",
    [REASON_RATE_LIMITED] = "rate_limited",
    [REASON_STORE_REJECTED] = "store_rejected",
};

const char *reason_name(enum reason reason)
{
    return reason_names[reason];
}

enum reason reason_by_name(const char *name)
{
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (strcmp(reason_names[reason], name) == 0)
            return reason;
    return REASON_NONE;
}

void letter_origin(const char *topic, int32_t partition, int64_t offset, char out[static LETTER_ORIGIN_SIZE])
{
    snprintf(out, LETTER_ORIGIN_SIZE, "%s/%" PRId32 "/%" PRId64, topic, partition, offset);
}

static bool letter_is_ours(const char *name)
{
    static const char prefix[] = "impcert.", replay[] = "impcert.replay";
    return strncmp(name, prefix, sizeof prefix - 1) == 0 && strncmp(name, replay, sizeof replay - 1) != 0;
}

static bool letter_copy_own(rd_kafka_headers_t *headers, const rd_kafka_headers_t *own)
{
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; rd_kafka_header_get_all(own, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        if (!letter_is_ours(name) &&
            rd_kafka_header_add(headers, name, -1, value, (ssize_t)size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
    return true;
}

static bool letter_add(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    return rd_kafka_header_add(headers, name, -1, value, -1) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool letter_add_number(rd_kafka_headers_t *headers, const char *name, long number)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", number);
    return letter_add(headers, name, text);
}

static bool letter_add_time(rd_kafka_headers_t *headers, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(wall_ms, text);
    return letter_add(headers, name, text);
}

static bool letter_add_all(rd_kafka_headers_t *headers, const struct letter *letter)
{
    return letter_add(headers, "impcert.reason", reason_name(letter->reason)) &&
           letter_add(headers, "impcert.error", letter->error) &&
           (!letter->http_status || letter_add_number(headers, "impcert.http_status", letter->http_status)) &&
           letter_add_number(headers, "impcert.attempts", letter->attempts) &&
           letter_add_time(headers, "impcert.first_failed_at", letter->first_failed_ms) &&
           letter_add_time(headers, "impcert.failed_at", letter->failed_ms) &&
           (!letter->not_before_ms ||
               letter_add_time(headers, "impcert.not_before", letter->not_before_ms)) &&
           letter_add(headers, "impcert.origin", letter->origin) &&
           letter_add(headers, "impcert.topic", letter->topic);
}

rd_kafka_headers_t *letter_headers(const struct letter *letter, const rd_kafka_headers_t *own)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(16);
    if (!headers)
        return NULL;
    if ((!own || letter_copy_own(headers, own)) && letter_add_all(headers, letter))
        return headers;
    rd_kafka_headers_destroy(headers);
    return NULL;
}

rd_kafka_headers_t *letter_discarded_headers(const char *why, int64_t now_ms)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    if (letter_add(headers, "impcert.discard_reason", why) &&
        letter_add_time(headers, "impcert.discarded_at", now_ms))
        return headers;
    rd_kafka_headers_destroy(headers);
    return NULL;
}

/* The value of a header as text; empty where there is none, where it does not fit, or holds a NUL. */
static void letter_text(const rd_kafka_headers_t *headers, const char *name, char *out, size_t size)
{
    const void *value;
    size_t length;
    out[0] = '\0';
    if (rd_kafka_header_get_last(headers, name, &value, &length) != RD_KAFKA_RESP_ERR_NO_ERROR || !value ||
        length >= size || memchr(value, '\0', length))
        return;
    memcpy(out, value, length);
    out[length] = '\0';
}

static int64_t letter_time(const rd_kafka_headers_t *headers, const char *name)
{
    char text[CLOCK_RFC3339_SIZE];
    int64_t wall_ms;
    letter_text(headers, name, text, sizeof text);
    return clock_parse_rfc3339(text, strlen(text), &wall_ms) ? wall_ms : 0;
}

static int letter_number(const rd_kafka_headers_t *headers, const char *name)
{
    enum { DIGITS_MOST = 6 };
    char text[DIGITS_MOST + 1];
    letter_text(headers, name, text, sizeof text);
    bool as_written = text[0] != '0' && text[strspn(text, "0123456789")] == '\0';
    return as_written ? (int)strtol(text, NULL, 10) : 0;
}

void letter_read(const rd_kafka_headers_t *headers, struct letter_history *history)
{
    *history = (struct letter_history){0};
    if (!headers)
        return;
    history->attempts = letter_number(headers, "impcert.attempts");
    history->first_failed_ms = letter_time(headers, "impcert.first_failed_at");
    history->not_before_ms = letter_time(headers, "impcert.not_before");
    letter_text(headers, "impcert.origin", history->origin, sizeof history->origin);
}

void letter_read_failure(const rd_kafka_headers_t *headers, struct letter_failure *failure)
{
    char reason[32];
    *failure = (struct letter_failure){.reason = REASON_NONE};
    if (!headers)
        return;
    letter_text(headers, "impcert.reason", reason, sizeof reason);
    failure->reason = reason_by_name(reason);
    letter_text(headers, "impcert.error", failure->error, sizeof failure->error);
    failure->http_status = letter_number(headers, "impcert.http_status");
    failure->attempts = letter_number(headers, "impcert.attempts");
    failure->first_failed_ms = letter_time(headers, "impcert.first_failed_at");
    failure->failed_ms = letter_time(headers, "impcert.failed_at");
    letter_text(headers, "impcert.origin", failure->origin, sizeof failure->origin);
    failure->replay_count = letter_number(headers, "impcert.replay_count");
}
