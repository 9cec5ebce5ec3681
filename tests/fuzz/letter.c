/* Headers of retry and dead letter records, a line each. What is not as we write it counts as nothing, and
 * what was read is written again as it was, with all that is not ours carried along. */
#include "common/letter.h"

#include "common/clock.h"
#include "common/traceparent.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static void check_number(const rd_kafka_headers_t *headers, const char *name, long number)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", number);
    FUZZ_CHECK(number >= 0 && (!number || fuzz_header_is(headers, name, text)));
}

static void check_time(const rd_kafka_headers_t *headers, const char *name, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    FUZZ_CHECK(wall_ms >= 0);
    clock_rfc3339(wall_ms, text);
    FUZZ_CHECK(!wall_ms || fuzz_header_is(headers, name, text));
}

static void check_text(const rd_kafka_headers_t *headers, const char *name, const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size));
    FUZZ_CHECK(!*text || fuzz_header_is(headers, name, text));
}

static void check_read(
    const rd_kafka_headers_t *own, const struct letter_history *history, const struct letter_failure *failure)
{
    check_number(own, "impcert.attempts", history->attempts);
    check_time(own, "impcert.not_before", history->not_before_ms);
    check_text(own, "impcert.origin", history->origin, sizeof history->origin);
    FUZZ_CHECK(history->attempts == failure->attempts);
    FUZZ_CHECK(history->first_failed_ms == failure->first_failed_ms);
    FUZZ_CHECK(strcmp(history->origin, failure->origin) == 0);
    FUZZ_CHECK(failure->reason < REASON_COUNT);
    check_text(own, "impcert.reason", failure->reason ? reason_name(failure->reason) : "", 32);
    check_text(own, "impcert.error", failure->error, sizeof failure->error);
    check_number(own, "impcert.http_status", failure->http_status);
    check_number(own, "impcert.replay_count", failure->replay_count);
    check_time(own, "impcert.first_failed_at", failure->first_failed_ms);
    check_time(own, "impcert.failed_at", failure->failed_ms);
}

static void check_read_again(const struct letter_failure *one, const struct letter_failure *other)
{
    FUZZ_CHECK(strcmp(one->error, other->error) == 0 && strcmp(one->origin, other->origin) == 0);
    FUZZ_CHECK(one->http_status == other->http_status && one->attempts == other->attempts);
    FUZZ_CHECK(one->first_failed_ms == other->first_failed_ms && one->failed_ms == other->failed_ms);
    FUZZ_CHECK(one->replay_count == other->replay_count);
}

static void check_written(
    const rd_kafka_headers_t *own, const struct letter_history *history, const struct letter_failure *failure)
{
    static const char *const once[] = {"impcert.reason", "impcert.error", "impcert.attempts",
        "impcert.first_failed_at", "impcert.failed_at", "impcert.origin", "impcert.topic"};
    struct letter letter = {.reason = failure->reason ? failure->reason : REASON_REFUSED,
        .error = failure->error,
        .http_status = failure->http_status,
        .attempts = failure->attempts,
        .first_failed_ms = failure->first_failed_ms,
        .failed_ms = failure->failed_ms,
        .not_before_ms = history->not_before_ms,
        .topic = "certifications"};
    struct letter_failure again;
    memcpy(letter.origin, failure->origin, sizeof letter.origin);
    rd_kafka_headers_t *written = letter_headers(&letter, own);
    FUZZ_CHECK(written);
    letter_read_failure(written, &again);
    FUZZ_CHECK(again.reason == letter.reason);
    check_read_again(failure, &again);
    FUZZ_CHECK(fuzz_headers_carried(own, written, true));
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        FUZZ_CHECK(fuzz_headers_count(written, once[i]) == 1);
    rd_kafka_headers_destroy(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct letter_history history;
    struct letter_failure failure;
    char trace[TRACEPARENT_ID_SIZE];
    rd_kafka_headers_t *own = fuzz_headers(data, size);
    letter_read(own, &history);
    letter_read_failure(own, &failure);
    traceparent_id(own, trace);
    FUZZ_CHECK(strlen(trace) == 0 || strlen(trace) == TRACEPARENT_ID_SIZE - 1);
    check_read(own, &history, &failure);
    check_written(own, &history, &failure);
    rd_kafka_headers_destroy(own);
    return 0;
}
