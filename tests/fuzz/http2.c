/* What a service sends over HTTP/2 while calls are on the connection. The first byte is the size of the
 * pieces that the rest comes in, and whether a call is given up in the middle. Every call ends at most once,
 * with an answer that is one; its memory goes at once, so that AddressSanitizer sees who still looks at it.
 */
#include "worker/http2.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS = 3, OUT_LIMIT = 16 << 20 };

static struct http_call *calls[CALLS];

static void call_free(struct http_call *call)
{
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i] == call)
            calls[i] = NULL;
    buf_cleanup(&call->body);
    free(call);
}

/* In place of those of http.c. */
void http_call_answered(struct http_call *call, const char *data, size_t size)
{
    FUZZ_CHECK(!data && !size);
    FUZZ_CHECK(call->too_large || (call->status >= 200 && call->status <= 999));
    FUZZ_CHECK(call->body.size <= HTTP_BODY_LIMIT);
    call_free(call);
}

void http_call_failed(struct http_call *call, enum transport transport, const char *failure)
{
    FUZZ_CHECK(transport == TRANSPORT_FAILED && *failure);
    call_free(call);
}

void http_call_cut_off(struct http_call *call, const char *failure)
{
    FUZZ_CHECK(*failure && !call->begun);
    call_free(call);
}

void http_call_unread(struct http_call *call)
{
    FUZZ_CHECK(!call->begun);
    call_free(call);
}

bool http_call_keep(struct http_call *call, const char *data, size_t size)
{
    FUZZ_CHECK(!call->too_large);
    call->too_large = !buf_append(&call->body, data, size);
    return !call->too_large;
}

void http_call_retry_after(struct http_call *call, const char *value, size_t size)
{
    FUZZ_CHECK(call->status && !memchr(value, '\n', size));
}

static void take_calls(struct http2 *http2)
{
    static char json[] = "{}";
    for (size_t i = 0; i < CALLS; i++) {
        struct http_call *call = calls[i] = calloc(1, sizeof *call);
        FUZZ_CHECK(call);
        strcpy(call->path, "certifications/imp_448280090638");
        call->json = i ? NULL : json;
        call->authorized = i;
        buf_init(&call->body, HTTP_BODY_LIMIT);
        FUZZ_CHECK(http2_take(http2, call));
    }
}

static void collect(struct http2 *http2)
{
    struct buf out;
    buf_init(&out, OUT_LIMIT);
    FUZZ_CHECK(http2_collect(http2, &out));
    buf_cleanup(&out);
    FUZZ_CHECK(http2_room(http2) <= HTTP2_CALLS_MAX);
}

static void feed(struct http2 *http2, const char *data, size_t size, size_t piece, bool cancel)
{
    const char *why = NULL;
    for (size_t at = 0, length; at < size; at += length) {
        length = size - at < piece ? size - at : piece;
        if (!http2_feed(http2, data + at, length, &why)) {
            FUZZ_CHECK(why && *why);
            return;
        }
        collect(http2);
        if (http2_dead(http2))
            return;
        if (cancel && at >= size / 2 && calls[1]) {
            http2_cancel(http2, calls[1]);
            call_free(calls[1]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char authority[] = "api.iamport.kr", prefix[] = "/", token[] = "Bearer c0ffee";
    const struct http_origin origin = {.tls = true,
        .authority = authority,
        .prefix = prefix,
        .serial = 1,
        .token = token,
        .token_size = sizeof token - 1};
    if (!size)
        return 0;
    struct http2 *http2 = http2_new(&origin);
    FUZZ_CHECK(http2);
    take_calls(http2);
    collect(http2);
    feed(http2, (const char *)data + 1, size - 1, data[0] & 1 ? size : 1 + (size_t)data[0] / 4, data[0] & 2);
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i])
            call_free(calls[i]);
    http2_free(http2);
    return 0;
}
