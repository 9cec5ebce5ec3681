/* Headers of a dead letter that is replayed, a line each, again and again as it may happen: the history stays
 * JSON and in bounds, and all that is not ours is carried along. */
#include "replay/story.h"

#include "common/clock.h"
#include "common/letter.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

#define HISTORY "impcert.replay_history"

static const int64_t now_ms = INT64_C(1767323045678);

/* The history's last failure is the one that the dead letter told of. */
static void check_history(const rd_kafka_headers_t *headers, const rd_kafka_headers_t *own)
{
    const void *value;
    size_t size;
    FUZZ_CHECK(fuzz_headers_count(headers, HISTORY) == 1);
    FUZZ_CHECK(!rd_kafka_header_get_last(headers, HISTORY, &value, &size) && value);
    json_t *history = json_loadb(value, size, 0, NULL);
    size_t count = json_array_size(history);
    FUZZ_CHECK(count >= 1 && count <= STORY_FAILURES_MOST);
    const json_t *last = json_array_get(history, count - 1);
    FUZZ_CHECK(json_is_object(last) && json_object_size(last) <= 7);
    const char *reason = json_string_value(json_object_get(last, "reason"));
    FUZZ_CHECK(!reason || fuzz_header_is(own, "impcert.reason", reason));
    json_decref(history);
}

static void check_event(const rd_kafka_headers_t *headers, const rd_kafka_headers_t *own, int count)
{
    struct letter_failure failure;
    const char *name;
    const void *value;
    size_t size, ours = 0;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++)
        ours += !fuzz_header_is_foreign(name, false);
    FUZZ_CHECK(ours == 3);
    FUZZ_CHECK(fuzz_headers_carried(own, headers, false));
    letter_read_failure(headers, &failure);
    FUZZ_CHECK(failure.replay_count == count && failure.reason == REASON_NONE);
    check_history(headers, own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct letter letter = {.reason = REASON_NOT_FOUND,
        .error = "HTTP 404",
        .http_status = 404,
        .attempts = 1,
        .first_failed_ms = now_ms,
        .failed_ms = now_ms,
        .topic = "certifications",
        .origin = "certifications/0/1"};
    rd_kafka_headers_t *dead = fuzz_headers(data, size);
    for (int count = 1; count <= 3; count++) {
        rd_kafka_headers_t *event = story_event_headers(dead, count, now_ms);
        FUZZ_CHECK(event);
        check_event(event, dead, count);
        rd_kafka_headers_destroy(dead);
        dead = letter_headers(&letter, event);
        FUZZ_CHECK(dead);
        rd_kafka_headers_destroy(event);
    }
    rd_kafka_headers_destroy(dead);
    return 0;
}
