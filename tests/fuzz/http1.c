/* Answers of HTTP/1.1. The first byte is the size of the pieces that the rest comes in: what is read must not
 * depend on it, and no byte is content that did not come. */
#include "worker/http1.h"

#include "tests/fuzz/fuzz.h"
#include "worker/http_call.h"

#include <stdlib.h>
#include <string.h>

/* All that there is to know about an answer. */
struct reading {
    enum http1_result head, body;
    size_t head_size;
    size_t content_size;
    char *content; /* owned */
};

static void read_body(
    struct reading *reading, const struct http1_head *head, const char *data, size_t size, size_t piece)
{
    struct http1_body body;
    http1_body_begin(&body, head);
    reading->body = HTTP1_MORE;
    for (size_t at = 0; at < size && reading->body == HTTP1_MORE;) {
        size_t most = size - at < piece ? size - at : piece, taken, span_size;
        const char *span;
        reading->body = http1_read_body(&body, data + at, most, &taken, &span, &span_size);
        FUZZ_CHECK(taken <= most && (taken || reading->body != HTTP1_MORE));
        FUZZ_CHECK(!span_size || (span >= data + at && span + span_size <= data + at + most));
        if (reading->body == HTTP1_BAD)
            break;
        if (span_size)
            memcpy(reading->content + reading->content_size, span, span_size);
        reading->content_size += span_size;
        at += taken;
    }
    if (reading->body == HTTP1_DONE && head->framing == HTTP1_LENGTH)
        FUZZ_CHECK(reading->content_size == head->length);
}

static void check_head(const struct http1_head *head, const char *data, size_t size)
{
    FUZZ_CHECK(head->status >= 100 && head->status <= 999);
    FUZZ_CHECK(!(head->framing == HTTP1_UNTIL_CLOSE && head->keep_alive));
    if (!head->retry_after)
        return;
    struct http_call call = {.status = head->status};
    FUZZ_CHECK(head->retry_after >= data && head->retry_after + head->retry_after_size <= data + size);
    http_call_retry_after(&call, head->retry_after, head->retry_after_size);
    FUZZ_CHECK(call.retry_after_s >= 0 && call.retry_after_s <= 24 * 3600);
}

static struct reading read_answer(const char *data, size_t size, size_t piece)
{
    struct reading reading = {.head = HTTP1_MORE, .body = HTTP1_MORE, .content = malloc(size + 1)};
    struct http1_head head;
    FUZZ_CHECK(reading.content);
    for (size_t have = 0; have < size && reading.head == HTTP1_MORE;) {
        const char *why = NULL;
        have += size - have < piece ? size - have : piece;
        reading.head = http1_read_head(data, have, &head, &reading.head_size, &why);
        FUZZ_CHECK((reading.head == HTTP1_BAD) == (why && *why));
        if (reading.head != HTTP1_DONE)
            continue;
        FUZZ_CHECK(reading.head_size && reading.head_size <= have);
        check_head(&head, data, have);
        read_body(&reading, &head, data + reading.head_size, size - reading.head_size, piece);
    }
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *text = (const char *)data + 1;
    struct reading whole = read_answer(text, size - 1, size);
    struct reading pieces = read_answer(text, size - 1, 1 + data[0] % 64);
    FUZZ_CHECK(whole.head == pieces.head && whole.body == pieces.body);
    if (whole.head == HTTP1_DONE && whole.body != HTTP1_BAD) {
        FUZZ_CHECK(whole.head_size == pieces.head_size && whole.content_size == pieces.content_size);
        FUZZ_CHECK(memcmp(whole.content, pieces.content, whole.content_size) == 0);
    }
    free(whole.content);
    free(pieces.content);
    return 0;
}
