/* One connection to the service. Loop thread. Owns the session of HTTP/2, and what is half sent or read. */
#include "worker/connection.h"

#include "worker/http2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_REQUEST_TIMEOUT = 408 };

/* Far above what the requests of all calls on it take together. */
enum { OUT_LIMIT = 4 * 1024 * 1024 };

/* Of the memory for requests, which hold the token, and for heads of answers; both are wiped. */
enum { OUT_KEEP = 4096 };

struct connection *connection_new(const struct wire *wire, const struct http_origin *origin, int64_t now_ns)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->wire = *wire;
    connection->origin = origin;
    connection->received_ns = now_ns;
    TAILQ_INIT(&connection->calls);
    buf_init(&connection->out, OUT_LIMIT);
    buf_init(&connection->head, HTTP1_HEAD_LIMIT);
    if (wire->http2 && !(connection->http2 = http2_new(origin))) {
        free(connection);
        return NULL;
    }
    return connection;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    http2_free(connection->http2);
    buf_wipe(&connection->out, 0);
    buf_wipe(&connection->head, 0);
    free(connection);
}

enum connection_state connection_state(const struct connection *connection)
{
    const struct http2 *http2 = connection->http2;
    bool idle = TAILQ_EMPTY(&connection->calls);
    if (connection->ended || (idle && (connection->doubtful || (http2 && http2_over(http2)))))
        return CONNECTION_OVER;
    if (connection->doubtful || (http2 ? !http2_room(http2) : !idle))
        return CONNECTION_FULL;
    return CONNECTION_ROOMY;
}

/* Calls of which nothing has come may not have been read by the service, if it was ending a connection that
 * had been idle; all others fail. */
void connection_end(struct connection *connection, const char *failure)
{
    struct http_call *call;
    connection->ended = true;
    while ((call = TAILQ_FIRST(&connection->calls)))
        if (connection->answered && !call->begun)
            http_call_cut_off(call, failure);
        else
            http_call_failed(call, TRANSPORT_FAILED, failure);
}

/* ---- sending ---- */

/* All but one in some thousand calls are a GET with the token. */
static bool connection_write_get(struct connection *connection, const struct http_call *call)
{
    const struct http_origin *origin = connection->origin;
    struct buf *out = &connection->out;
    return buf_append(out, "GET ", 4) && buf_append(out, origin->prefix, strlen(origin->prefix)) &&
           buf_append(out, call->path, strlen(call->path)) &&
           buf_append(out, origin->get_tail, origin->get_tail_size);
}

static bool connection_write_any(struct connection *connection, const struct http_call *call)
{
    const struct http_origin *origin = connection->origin;
    struct buf *out = &connection->out;
    bool ok = buf_format(out, "%s %s%s" HTTP_COMMON_FIELDS, call->json ? "POST" : "GET", origin->prefix,
        call->path, origin->authority);
    if (call->authorized)
        ok = ok && buf_format(out, "Authorization: %s\r\n", origin->token);
    if (call->json)
        return ok && buf_format(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(call->json), call->json);
    return ok && buf_append(out, "\r\n", 2);
}

static bool connection_write_request(struct connection *connection, struct http_call *call)
{
    if (connection->http2)
        return http2_take(connection->http2, call);
    return call->authorized && !call->json ? connection_write_get(connection, call)
                                           : connection_write_any(connection, call);
}

void connection_take(struct connection *connection, struct http_call *call, int64_t now_ns)
{
    call->connection = connection;
    call->taken_ns = now_ns;
    call->token_serial = call->authorized ? connection->origin->serial : 0;
    TAILQ_INSERT_TAIL(&connection->calls, call, link);
    if (!connection_write_request(connection, call))
        connection_end(connection, "out of memory for a request");
}

static bool connection_collect(struct connection *connection)
{
    return !connection->http2 || http2_collect(connection->http2, &connection->out);
}

void connection_flush(struct connection *connection)
{
    struct buf *out = &connection->out;
    if (connection->ended)
        return;
    if (!connection_collect(connection)) {
        connection_end(connection, "out of memory for a request");
        return;
    }
    if (connection->http2 && http2_dead(connection->http2))
        connection_end(connection, "the answer is not HTTP/2");
    while (!connection->ended && connection->out_sent < out->size) {
        size_t sent;
        enum wire_result result = wire_send(
            &connection->wire, out->data + connection->out_sent, out->size - connection->out_sent, &sent);
        connection->out_sent += sent;
        if (result == WIRE_AGAIN)
            return;
        if (result != WIRE_OK) {
            connection_end(connection, "the connection broke while the request was sent");
            return;
        }
    }
    if (connection->ended)
        return;
    buf_wipe(out, OUT_KEEP);
    connection->out_sent = 0;
}

bool connection_blocked(const struct connection *connection)
{
    return connection->out_sent < connection->out.size;
}

/* ---- receiving, HTTP/1.1 ---- */

static void connection_answered(
    struct connection *connection, struct http_call *call, const char *data, size_t size, size_t left)
{
    /* Bytes that nobody asked for must not become the next call's answer. */
    connection->ended =
        connection->ended || !connection->keep_alive || left || connection_blocked(connection);
    http_call_answered(call, data, size);
}

/* Takes the body. A whole one that stands in one piece is not copied. */
static void connection_read_body(
    struct connection *connection, struct http_call *call, const char *data, size_t size)
{
    enum http1_result result;
    do {
        size_t taken, span_size;
        const char *span;
        result = http1_read_body(&connection->body, data, size, &taken, &span, &span_size);
        data += taken;
        size -= taken;
        if (result == HTTP1_DONE) {
            connection_answered(connection, call, span, span_size, size);
            return;
        }
        if (result == HTTP1_BAD) {
            connection_end(connection, "the answer is not HTTP: its chunks are not framed");
            return;
        }
        if (span_size && !http_call_keep(call, span, span_size)) {
            connection->ended = true;
            http_call_answered(call, NULL, 0);
            return;
        }
    } while (size);
}

/* Reads the head of an answer, after any interim ones (1xx). Returns what it took; 0: not all is there. */
static size_t connection_read_head(
    struct connection *connection, struct http_call *call, const char *data, size_t size)
{
    size_t at = 0, taken;
    struct http1_head head;
    const char *why;
    enum http1_result result;
    while ((result = http1_read_head(data + at, size - at, &head, &taken, &why)) == HTTP1_DONE) {
        at += taken;
        /* It came while the connection was idle, to say that it is closed (RFC 9110, section 15.5.9). */
        if (head.status == HTTP_REQUEST_TIMEOUT && connection->answered) {
            call->begun = false;
            connection_end(connection, "the service closed the connection");
            return 0;
        }
        if (head.status >= 200) {
            call->status = head.status;
            connection->keep_alive = head.keep_alive;
            http1_body_begin(&connection->body, &head);
            if (head.retry_after)
                http_call_retry_after(call, head.retry_after, head.retry_after_size);
            return at;
        }
    }
    if (result == HTTP1_BAD) {
        char failure[128];
        snprintf(failure, sizeof failure, "the answer is not HTTP: %s", why);
        connection_end(connection, failure);
    }
    return 0;
}

/* A head that came in pieces is put together first. */
static void connection_read_answer(
    struct connection *connection, struct http_call *call, const char *data, size_t size)
{
    struct buf *head = &connection->head;
    if (call->status) {
        connection_read_body(connection, call, data, size);
        return;
    }
    if (head->size && !buf_append(head, data, size)) {
        connection_end(connection, "the answer is not HTTP: its head is too long");
        return;
    }
    const char *all = head->size ? head->data : data;
    size_t all_size = head->size ? head->size : size;
    size_t taken = connection_read_head(connection, call, all, all_size);
    if (taken)
        connection_read_body(connection, call, all + taken, all_size - taken);
    else if (!connection->ended && !head->size && !buf_append(head, data, size))
        connection_end(connection, "out of memory for an answer");
    if (taken || connection->ended)
        buf_wipe(head, OUT_KEEP);
}

/* ---- receiving ---- */

static void connection_feed(struct connection *connection, const char *data, size_t size)
{
    struct http_call *call = TAILQ_FIRST(&connection->calls);
    const char *why;
    if (connection->http2) {
        if (!http2_feed(connection->http2, data, size, &why))
            connection_end(connection, why);
    } else if (call) {
        call->begun = true;
        connection_read_answer(connection, call, data, size);
    } else
        connection->ended = true;
}

/* The peer has closed it, which may be how it ends a body. If it was somebody on the way who closed it, the
 * body is cut short, and no JSON. */
static void connection_ended(struct connection *connection, const char *failure)
{
    struct http_call *call = TAILQ_FIRST(&connection->calls);
    if (!connection->http2 && call && call->status && http1_body_ends_here(&connection->body)) {
        connection->keep_alive = false;
        connection_answered(connection, call, NULL, 0, 0);
    } else
        connection_end(connection, failure);
}

void connection_ready(struct connection *connection, char *scratch, size_t size, int64_t now_ns)
{
    size_t received, most = 0;
    while (!connection->ended) {
        enum wire_result result = wire_receive(&connection->wire, scratch, size, &received);
        if (result == WIRE_AGAIN)
            break;
        if (result == WIRE_ENDED)
            connection_ended(connection, "the service closed the connection");
        else if (result == WIRE_FAILED)
            connection_end(connection, "the connection broke");
        if (result != WIRE_OK)
            break;
        connection->received_ns = now_ns;
        most = received > most ? received : most;
        connection_feed(connection, scratch, received);
        if (wire_drained(&connection->wire, received, size))
            break;
    }
    explicit_bzero(scratch, most);
}

void connection_drop(struct connection *connection, struct http_call *call)
{
    if (!connection->http2) {
        connection->ended = true;
        return;
    }
    http2_cancel(connection->http2, call);
    connection->doubtful = connection->doubtful || connection->received_ns < call->taken_ns;
}
