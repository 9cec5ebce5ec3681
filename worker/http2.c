/* HTTP/2 by libnghttp2. Loop thread. Owns the session. */
#include "worker/http2.h"

#include "common/secret.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All streams together: far above what a hundred answers are. */
enum { CONNECTION_WINDOW = 1024 * 1024 };

struct http2 {
    nghttp2_session *session;
    const struct http_origin *origin;
    size_t streams;
    bool took_some; /* the service, before it said that it goes away */
};

/* The token and the key pair pass through the session's memory. */
static void *http2_mem_malloc(size_t size, void *context)
{
    (void)context;
    return malloc(size);
}

static void *http2_mem_calloc(size_t count, size_t size, void *context)
{
    (void)context;
    return calloc(count, size);
}

static void *http2_mem_realloc(void *memory, size_t size, void *context)
{
    (void)context;
    return secret_rewipe(memory, size);
}

static void http2_mem_free(void *memory, void *context)
{
    (void)context;
    secret_wipe(memory);
}

static struct http_call *http2_call(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int http2_status(const uint8_t *value, size_t size)
{
    int status = 0;
    for (size_t i = 0; i < size && i < 3; i++)
        status = status * 10 + (value[i] - '0');
    return status;
}

static int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *context)
{
    (void)flags;
    (void)context;
    struct http_call *call = http2_call(session, frame->hd.stream_id);
    if (!call)
        return 0;
    call->begun = true;
    /* Interim answers (1xx) leave the status at 0, and what else they say is passed over, as trailers are. */
    if (name_size == 7 && memcmp(name, ":status", 7) == 0 && *value >= '2')
        call->status = http2_status(value, value_size);
    else if (call->status && !call->headed && name_size == 11 && memcmp(name, "retry-after", 11) == 0)
        http_call_retry_after(call, (const char *)value, value_size);
    return 0;
}

static int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
    size_t size, void *context)
{
    (void)flags;
    (void)context;
    struct http_call *call = http2_call(session, stream_id);
    if (call && !call->too_large && !http_call_keep(call, (const char *)data, size))
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
    return 0;
}

static int http2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *http2 = context;
    bool head = frame->hd.type == NGHTTP2_HEADERS;
    struct http_call *call =
        head || frame->hd.type == NGHTTP2_DATA ? http2_call(session, frame->hd.stream_id) : NULL;
    if (call) {
        call->headed = call->headed || (head && call->status);
        call->complete = call->complete || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    }
    if (frame->hd.type == NGHTTP2_GOAWAY)
        http2->took_some = frame->goaway.last_stream_id > 0;
    return 0;
}

static int http2_on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *context)
{
    struct http2 *http2 = context;
    struct http_call *call = http2_call(session, stream_id);
    http2->streams--;
    if (!call)
        return 0;
    if (call->too_large || (call->complete && call->status))
        http_call_answered(call, NULL, 0);
    else if (!call->begun && error_code == NGHTTP2_REFUSED_STREAM && http2->took_some)
        http_call_unread(call);
    else if (!call->begun && error_code == NGHTTP2_REFUSED_STREAM)
        http_call_cut_off(call, "the service does not take the HTTP/2 stream");
    else
        http_call_failed(call, TRANSPORT_FAILED,
            error_code == NGHTTP2_NO_ERROR ? "the answer was cut short" : nghttp2_http2_strerror(error_code));
    return 0;
}

static nghttp2_session *http2_session(struct http2 *http2)
{
    nghttp2_mem memory = {NULL, http2_mem_malloc, http2_mem_free, http2_mem_calloc, http2_mem_realloc};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, http2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, http2_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, http2_on_close);
    if (nghttp2_session_client_new3(&session, callbacks, http2, NULL, &memory) != 0)
        session = NULL;
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

struct http2 *http2_new(const struct http_origin *origin)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP_BODY_LIMIT},
    };
    struct http2 *http2 = calloc(1, sizeof *http2);
    if (!http2)
        return NULL;
    http2->origin = origin;
    http2->session = http2_session(http2);
    if (http2->session && nghttp2_submit_settings(http2->session, NGHTTP2_FLAG_NONE, settings, 2) == 0 &&
        nghttp2_session_set_local_window_size(http2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0)
        return http2;
    http2_free(http2);
    return NULL;
}

void http2_free(struct http2 *http2)
{
    if (!http2)
        return;
    nghttp2_session_del(http2->session);
    free(http2);
}

size_t http2_room(const struct http2 *http2)
{
    size_t most =
        nghttp2_session_get_remote_settings(http2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (most > HTTP2_CALLS_MAX)
        most = HTTP2_CALLS_MAX;
    bool open = nghttp2_session_check_request_allowed(http2->session);
    return open && http2->streams < most ? most - http2->streams : 0;
}

static nghttp2_nv http2_field(const char *name, const char *value, size_t value_size)
{
    return (nghttp2_nv){
        .name = (uint8_t *)name,
        .value = (uint8_t *)value,
        .namelen = strlen(name),
        .valuelen = value_size,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME,
    };
}

static nghttp2_nv http2_text_field(const char *name, const char *value)
{
    return http2_field(name, value, strlen(value));
}

/* The body of a POST is small, and stays with the call until its answer is there. */
static ssize_t http2_on_read(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t size,
    uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)context;
    /* It was given up, and there was no memory to say so then: this resets it. */
    if (!http2_call(session, stream_id))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const char *json = source->ptr;
    size_t left = strlen(json), taken = left < size ? left : size;
    memcpy(data, json, taken);
    source->ptr = (void *)(json + taken);
    if (taken == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)taken;
}

bool http2_take(struct http2 *http2, struct http_call *call)
{
    const struct http_origin *origin = http2->origin;
    char path[HTTP_ORIGIN_PREFIX_SIZE + HTTP_CALL_PATH_SIZE];
    size_t prefix = strlen(origin->prefix), path_size = prefix + strlen(call->path);
    memcpy(path, origin->prefix, prefix);
    memcpy(path + prefix, call->path, path_size - prefix);
    char length[24];
    nghttp2_nv fields[9];
    size_t count = 0;
    fields[count++] = http2_text_field(":method", call->json ? "POST" : "GET");
    fields[count++] = http2_text_field(":scheme", origin->tls ? "https" : "http");
    fields[count++] = http2_text_field(":authority", origin->authority);
    fields[count++] = http2_field(":path", path, path_size);
    fields[count++] = http2_text_field("accept", "application/json");
    fields[count++] = http2_text_field("user-agent", HTTP_USER_AGENT);
    if (call->json) {
        snprintf(length, sizeof length, "%zu", strlen(call->json));
        fields[count++] = http2_text_field("content-type", "application/json");
        fields[count++] = http2_text_field("content-length", length);
    }
    if (call->authorized)
        fields[count++] = http2_field("authorization", origin->token, origin->token_size);
    nghttp2_data_provider body = {.source.ptr = call->json, .read_callback = http2_on_read};
    int32_t stream_id =
        nghttp2_submit_request(http2->session, NULL, fields, count, call->json ? &body : NULL, call);
    if (stream_id < 0)
        return false;
    call->stream_id = stream_id;
    http2->streams++;
    return true;
}

void http2_cancel(struct http2 *http2, struct http_call *call)
{
    nghttp2_session_set_stream_user_data(http2->session, call->stream_id, NULL);
    nghttp2_submit_rst_stream(http2->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
}

bool http2_feed(struct http2 *http2, const char *data, size_t size, const char **why)
{
    ssize_t taken = nghttp2_session_mem_recv(http2->session, (const uint8_t *)data, size);
    if (taken >= 0)
        return true;
    *why = nghttp2_strerror((int)taken);
    return false;
}

bool http2_collect(struct http2 *http2, struct buf *out)
{
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(http2->session, &data)) > 0)
        if (!buf_append(out, data, (size_t)size))
            return false;
    return size == 0;
}

bool http2_over(const struct http2 *http2)
{
    bool open = nghttp2_session_check_request_allowed(http2->session);
    return (!open && !http2->streams) || http2_dead(http2);
}

bool http2_dead(const struct http2 *http2)
{
    return !nghttp2_session_want_read(http2->session) && !nghttp2_session_want_write(http2->session);
}
