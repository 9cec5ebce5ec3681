/* HTTP calls: who waits for a connection, which connection takes whom, and what has taken too long. Loop
 * thread. Owns all calls, and the pool of connections. */
#include "worker/http.h"

#include "common/clock.h"
#include "worker/connection.h"
#include "worker/connector.h"
#include "worker/http2.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

/* Of one TLS record, which is also some thirty answers of HTTP/1.1. */
enum { SCRATCH_SIZE = 16 * 1024 };

enum { BODY_KEEP = 4096 };

/* A service that ends connections all the time may meet a call more than once. */
enum { REPEATS_MAX = 3 };

/* Beyond that somebody on the way may have forgotten the connection. */
#define IDLE_NS (60 * CLOCK_S)

/* A job that waits holds its place among those in flight: no answer makes it wait longer than this. */
enum { RETRY_AFTER_MAX_S = 3600 };

enum protocol {
    PROTOCOL_UNKNOWN, /* the service has yet to say in TLS */
    PROTOCOL_HTTP1,
    PROTOCOL_HTTP2,
};

TAILQ_HEAD(connections, connection);

struct http {
    struct http_config config;
    struct http_origin origin;
    struct sockets *sockets;
    struct connector *connector;

    struct http_calls pending; /* all without an answer, by deadline */
    struct http_calls waiting; /* for a connection */
    size_t waiting_count;
    struct http_calls idle;
    bool fresh; /* waiting ones are to be looked at */

    enum protocol protocol;
    size_t connecting;
    size_t connection_count;
    struct connections roomy; /* the one that got room last comes first */
    struct connections full;
    struct connections over;
    struct connections touched; /* of those above: to be settled */

    struct buf spare; /* memory for the next body: few answers are under way at once, of many calls */
    char scratch[SCRATCH_SIZE];
};

/* ---- the pool of connections ---- */

static struct connections *http_list(struct http *http, enum connection_state state)
{
    if (state == CONNECTION_ROOMY)
        return &http->roomy;
    return state == CONNECTION_FULL ? &http->full : &http->over;
}

static void http_place(struct http *http, struct connection *connection)
{
    enum connection_state state = connection_state(connection);
    if (connection->state == state)
        return;
    TAILQ_REMOVE(http_list(http, connection->state), connection, link);
    TAILQ_INSERT_HEAD(http_list(http, state), connection, link);
    connection->state = state;
}

static void http_watch(struct http *http, struct connection *connection)
{
    uint32_t events = EPOLLIN | (connection_blocked(connection) ? (uint32_t)EPOLLOUT : 0);
    if (!connection->ended && !sockets_watch(http->sockets, connection->wire.fd, events, connection))
        connection_end(connection, "no memory to watch the connection");
}

static void http_touch(struct http *http, struct connection *connection)
{
    if (connection->touched)
        return;
    connection->touched = true;
    TAILQ_INSERT_TAIL(&http->touched, connection, touched_link);
}

/* Whatever has happened to connections: what is to be sent is, and each is on its list. */
static void http_settle(struct http *http)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&http->touched))) {
        TAILQ_REMOVE(&http->touched, connection, touched_link);
        connection->touched = false;
        connection_flush(connection);
        http_watch(http, connection);
        http_place(http, connection);
    }
}

static void http_end_connection(struct http *http, struct connection *connection)
{
    struct wire wire = connection->wire;
    assert(TAILQ_EMPTY(&connection->calls));
    TAILQ_REMOVE(http_list(http, connection->state), connection, link);
    if (connection->touched)
        TAILQ_REMOVE(&http->touched, connection, touched_link);
    sockets_forget(http->sockets, wire.fd, connection);
    connection_free(connection);
    connector_end(http->connector, &wire);
    http->connection_count--;
    http->fresh = true;
}

static void http_end_over(struct http *http)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&http->over)))
        http_end_connection(http, connection);
}

static int64_t http_idle_until_ns(const struct http *http)
{
    const struct connection *last = TAILQ_LAST(&http->roomy, connections);
    return last && TAILQ_EMPTY(&last->calls) ? last->received_ns + IDLE_NS : CLOCK_NEVER;
}

static void http_end_idle(struct http *http, int64_t now_ns)
{
    while (http_idle_until_ns(http) <= now_ns)
        http_end_connection(http, TAILQ_LAST(&http->roomy, connections));
}

/* ---- the end of a call ---- */

/* Gives the spare memory to a body without any, or that of a body back. */
static void http_swap_spare(struct http *http, struct http_call *call)
{
    struct buf body = call->body;
    call->body = http->spare;
    http->spare = body;
}

/* The body held personal data or a token. */
static void http_call_forget_answer(struct http_call *call)
{
    struct http *http = call->http;
    buf_wipe(&call->body, http->spare.data ? 0 : BODY_KEEP);
    if (call->body.data)
        http_swap_spare(http, call);
    call->begun = call->too_large = call->headed = call->complete = false;
    call->status = 0;
    call->retry_after_s = 0;
}

static void http_forget_text(char **text, size_t size)
{
    if (*text)
        explicit_bzero(*text, size);
    free(*text);
    *text = NULL;
}

static void http_call_forget_question(struct http_call *call)
{
    http_forget_text(&call->json, call->json ? strlen(call->json) : 0);
}

static void http_call_wait(struct http_call *call, bool first)
{
    struct http *http = call->http;
    if (first)
        TAILQ_INSERT_HEAD(&http->waiting, call, link);
    else
        TAILQ_INSERT_TAIL(&http->waiting, call, link);
    http->waiting_count++;
    http->fresh = true;
}

static void http_call_wait_no_more(struct http_call *call)
{
    TAILQ_REMOVE(&call->http->waiting, call, link);
    call->http->waiting_count--;
}

static void http_call_detach(struct http_call *call)
{
    if (!call->connection)
        return;
    TAILQ_REMOVE(&call->connection->calls, call, link);
    call->connection = NULL;
}

static void http_call_finish(struct http_call *call, const struct answer *answer)
{
    struct http *http = call->http;
    TAILQ_REMOVE(&http->pending, call, pending);
    call->done(call->context, call->subject, answer);
    http_call_forget_answer(call);
    http_call_forget_question(call);
    TAILQ_INSERT_HEAD(&http->idle, call, link);
    http->fresh = true;
}

void http_call_failed(struct http_call *call, enum transport transport, const char *failure)
{
    http_call_detach(call);
    http_call_finish(call, &(struct answer){.transport = transport, .failure = failure});
}

static void http_call_failed_too_large(struct http_call *call)
{
    char failure[64];
    snprintf(failure, sizeof failure, "more than %d bytes", HTTP_BODY_LIMIT);
    http_call_failed(call, TRANSPORT_TOO_LARGE, failure);
}

void http_call_answered(struct http_call *call, const char *data, size_t size)
{
    if (call->connection)
        call->connection->answered = true;
    if (call->too_large || (call->body.size && size && !http_call_keep(call, data, size))) {
        http_call_failed_too_large(call);
        return;
    }
    http_call_detach(call);
    struct answer answer = {
        .transport = TRANSPORT_ANSWERED,
        .http_status = call->status,
        .retry_after_s = call->retry_after_s,
        .token_serial = call->token_serial,
        .body = call->body.size ? call->body.data : data,
        .body_size = call->body.size ? call->body.size : size,
    };
    http_call_finish(call, &answer);
}

void http_call_unread(struct http_call *call)
{
    http_call_detach(call);
    http_call_forget_answer(call);
    http_call_wait(call, true);
}

void http_call_cut_off(struct http_call *call, const char *failure)
{
    if (call->repeats++ == REPEATS_MAX)
        http_call_failed(call, TRANSPORT_FAILED, failure);
    else
        http_call_unread(call);
}

bool http_call_keep(struct http_call *call, const char *data, size_t size)
{
    if (!call->body.data)
        http_swap_spare(call->http, call);
    call->too_large = call->too_large || !buf_append(&call->body, data, size);
    return !call->too_large;
}

/* A number of seconds or a date (RFC 9110, section 10.2.3). One in the past is no wait. */
void http_call_retry_after(struct http_call *call, const char *value, size_t size)
{
    char text[64];
    if (size >= sizeof text)
        return;
    memcpy(text, value, size);
    text[size] = '\0';
    char *end;
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end) {
        time_t date = curl_getdate(text, NULL);
        seconds = date < 0 ? 0 : (long long)date - clock_wall_ms() / 1000;
    }
    if (seconds < 0)
        seconds = 0;
    call->retry_after_s = seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
}

/* ---- from a waiting call to one on a connection ---- */

static struct http_call *http_take_waiting(struct http *http)
{
    struct http_call *call = TAILQ_FIRST(&http->waiting);
    if (call)
        http_call_wait_no_more(call);
    return call;
}

/* So many of those that wait get no connection. */
static void http_fail_waiting(struct http *http, size_t count, enum transport transport, const char *failure)
{
    struct http_call *call;
    while (count-- && (call = http_take_waiting(http)))
        http_call_failed(call, transport, failure);
}

/* With TLS, only the first connection tells whether calls can share it. */
static size_t http_connections_wanted(const struct http *http)
{
    if (http->protocol == PROTOCOL_HTTP1)
        return http->waiting_count;
    if (http->protocol == PROTOCOL_UNKNOWN)
        return http->waiting_count ? 1 : 0;
    return (http->waiting_count + HTTP2_CALLS_MAX - 1) / HTTP2_CALLS_MAX;
}

static void http_connect(struct http *http)
{
    size_t most = (size_t)http->config.connections;
    while (http->connecting < http_connections_wanted(http) &&
           http->connecting + http->connection_count < most) {
        if (connector_start(http->connector))
            http->connecting++;
        else
            http_fail_waiting(http, 1, TRANSPORT_FAILED, "out of memory for a connection");
    }
}

/* What came to an idle connection of HTTP/1.1 since it was last read would be taken for the next call's
 * answer: with anything there it is over. */
static bool http_may_take(struct http *http, struct connection *connection, int64_t now_ns)
{
    if (!connection->http2)
        connection_ready(connection, http->scratch, sizeof http->scratch, now_ns);
    return connection_state(connection) == CONNECTION_ROOMY;
}

static void http_dispatch(struct http *http, int64_t now_ns)
{
    struct connection *connection;
    http->fresh = false;
    while (!TAILQ_EMPTY(&http->waiting) && (connection = TAILQ_FIRST(&http->roomy))) {
        if (http_may_take(http, connection, now_ns))
            connection_take(connection, http_take_waiting(http), now_ns);
        http_touch(http, connection);
        http_place(http, connection);
    }
    http_connect(http);
}

static void http_on_connected(void *context, const struct wire *wire, const char *failure, bool timed_out)
{
    struct http *http = context;
    http->connecting--;
    http->fresh = true;
    struct connection *connection = wire ? connection_new(wire, &http->origin, clock_ns()) : NULL;
    if (connection) {
        http->protocol = wire->http2 ? PROTOCOL_HTTP2 : PROTOCOL_HTTP1;
        http->connection_count++;
        TAILQ_INSERT_HEAD(&http->roomy, connection, link);
        /* Once it has been read or written, curl knows it as used, and won't close it by itself. */
        connection_ready(connection, http->scratch, sizeof http->scratch, clock_ns());
        http_touch(http, connection);
        return;
    }
    if (wire) {
        struct wire unused = *wire;
        connector_end(http->connector, &unused);
        failure = "out of memory for a connection";
    }
    http_fail_waiting(http, http->protocol == PROTOCOL_HTTP1 ? 1 : HTTP2_CALLS_MAX,
        timed_out ? TRANSPORT_TIMEOUT : TRANSPORT_FAILED, failure);
}

/* ---- what takes too long ---- */

static void http_time_out(struct http *http, struct http_call *call)
{
    struct connection *connection = call->connection;
    char failure[128];
    snprintf(failure, sizeof failure, "timed out after %lld ms, %s", (long long)http->config.timeout_ms,
        !connection    ? "waiting for a connection"
        : call->status ? "in the middle of the answer"
                       : "without an answer");
    if (!connection)
        http_call_wait_no_more(call);
    else {
        connection_drop(connection, call);
        http_touch(http, connection);
    }
    http_call_failed(call, TRANSPORT_TIMEOUT, failure);
}

static void http_time_out_due(struct http *http, int64_t now_ns)
{
    struct http_call *call;
    while ((call = TAILQ_FIRST(&http->pending)) && call->deadline_ns <= now_ns)
        http_time_out(http, call);
}

/* ---- opening and closing ---- */

static char *http_url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

static bool http_set_origin(struct http_origin *origin, CURLU *url, struct error *error)
{
    char *authority = NULL, *joined = NULL;
    char *scheme = http_url_part(url, CURLUPART_SCHEME), *host = http_url_part(url, CURLUPART_HOST),
         *port = http_url_part(url, CURLUPART_PORT), *path = http_url_part(url, CURLUPART_PATH);
    size_t size = path ? strlen(path) : 0;
    while (size && path[size - 1] == '/')
        size--;
    origin->tls = scheme && strcasecmp(scheme, "https") == 0;
    bool made = host && path && asprintf(&authority, "%s%s%s", host, port ? ":" : "", port ? port : "") > 0;
    origin->authority = made ? authority : NULL;
    made = made && asprintf(&joined, "%.*s/", (int)size, path) > 0;
    origin->prefix = made ? joined : NULL;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    if (!made)
        return error_set(error, "out of memory");
    return size + 1 < HTTP_ORIGIN_PREFIX_SIZE ||
           error_set(error, "IAMPORT_URL: its path is %zu bytes long, expected at most %d", size,
               HTTP_ORIGIN_PREFIX_SIZE - 2);
}

static bool http_read_url(struct http *http, struct error *error)
{
    CURLU *url = curl_url();
    CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, http->config.url, 0) : CURLUE_OUT_OF_MEMORY;
    bool read = code == CURLUE_OK ? http_set_origin(&http->origin, url, error)
                                  : error_set(error, "IAMPORT_URL: %s", curl_url_strerror(code));
    curl_url_cleanup(url);
    http->protocol = http->origin.tls ? PROTOCOL_UNKNOWN : PROTOCOL_HTTP1;
    return read;
}

static bool http_open_connector(struct http *http, int epoll_fd, struct error *error)
{
    struct connector_config config = {
        .url = http->config.url,
        .tls = http->origin.tls,
        .ca_file = http->config.ca_file,
        .timeout_ms = http->config.connect_timeout_ms,
        .done = http_on_connected,
        .context = http,
    };
    http->sockets = sockets_new(epoll_fd, error);
    if (http->sockets)
        http->connector = connector_open(&config, http->sockets, error);
    return http->connector;
}

struct http *http_open(const struct http_config *config, int epoll_fd, struct error *error)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        error_set(error, "out of memory");
        return NULL;
    }
    http->config = *config;
    TAILQ_INIT(&http->pending);
    TAILQ_INIT(&http->waiting);
    TAILQ_INIT(&http->idle);
    TAILQ_INIT(&http->roomy);
    TAILQ_INIT(&http->full);
    TAILQ_INIT(&http->over);
    TAILQ_INIT(&http->touched);
    buf_init(&http->spare, HTTP_BODY_LIMIT);
    if (http_read_url(http, error) && http_open_connector(http, epoll_fd, error))
        return http;
    http_close(http);
    return NULL;
}

static void http_call_free(struct http_call *call)
{
    http_call_forget_answer(call);
    http_call_forget_question(call);
    buf_cleanup(&call->body);
    free(call);
}

static void http_free_calls(struct http *http)
{
    struct http_call *call;
    while ((call = TAILQ_FIRST(&http->pending))) {
        TAILQ_REMOVE(&http->pending, call, pending);
        http_call_detach(call);
        http_call_free(call);
    }
    while ((call = TAILQ_FIRST(&http->idle))) {
        TAILQ_REMOVE(&http->idle, call, link);
        http_call_free(call);
    }
}

static void http_free_connections(struct http *http, struct connections *connections)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(connections)))
        http_end_connection(http, connection);
}

static void http_forget_token(struct http_origin *origin)
{
    http_forget_text(&origin->token, origin->token_size);
    http_forget_text(&origin->get_tail, origin->get_tail_size);
}

void http_close(struct http *http)
{
    if (!http)
        return;
    http_free_calls(http);
    http_free_connections(http, &http->roomy);
    http_free_connections(http, &http->full);
    http_free_connections(http, &http->over);
    connector_close(http->connector);
    sockets_free(http->sockets);
    http_forget_token(&http->origin);
    free(http->origin.authority);
    free(http->origin.prefix);
    buf_cleanup(&http->spare);
    free(http);
}

/* ---- the room's door ---- */

static bool http_set_token(struct http_origin *origin, const struct http_request *request)
{
    if (!request->token || (origin->token && origin->serial == request->token_serial))
        return true;
    struct http_origin next = *origin;
    int size = asprintf(&next.token, "Bearer %s", request->token);
    if (size < 0)
        return false;
    next.token_size = (size_t)size;
    size = asprintf(
        &next.get_tail, HTTP_COMMON_FIELDS "Authorization: %s\r\n\r\n", origin->authority, next.token);
    if (size < 0) {
        http_forget_text(&next.token, next.token_size);
        return false;
    }
    next.get_tail_size = (size_t)size;
    next.serial = request->token_serial;
    http_forget_token(origin);
    *origin = next;
    return true;
}

static struct http_call *http_call_new(struct http *http)
{
    struct http_call *call = TAILQ_FIRST(&http->idle);
    if (call) {
        TAILQ_REMOVE(&http->idle, call, link);
        return call;
    }
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->http = http;
    buf_init(&call->body, HTTP_BODY_LIMIT);
    return call;
}

bool http_start(struct http *http, const struct http_request *request, struct error *error)
{
    size_t path_size = strlen(request->path) + 1;
    char *json = request->json ? strdup(request->json) : NULL;
    struct http_call *call =
        path_size <= HTTP_CALL_PATH_SIZE && http_set_token(&http->origin, request) && (json || !request->json)
            ? http_call_new(http)
            : NULL;
    if (!call) {
        free(json);
        return error_set(error, "out of memory for another HTTP call");
    }
    memcpy(call->path, request->path, path_size);
    call->json = json;
    call->authorized = request->token;
    call->done = request->done;
    call->context = request->context;
    call->subject = request->subject;
    call->repeats = 0;
    call->deadline_ns = clock_ns() + http->config.timeout_ms * CLOCK_MS;
    TAILQ_INSERT_TAIL(&http->pending, call, pending);
    http_call_wait(call, false);
    return true;
}

void http_ready(struct http *http, int fd, uint32_t events)
{
    void *owner = sockets_owner(http->sockets, fd);
    if (owner == http->connector) {
        connector_ready(http->connector, fd, events);
        return;
    }
    struct connection *connection = owner;
    if (!connection)
        return;
    connection_ready(connection, http->scratch, sizeof http->scratch, clock_ns());
    http_touch(http, connection);
}

int64_t http_due_ns(const struct http *http)
{
    if (http->fresh || !TAILQ_EMPTY(&http->touched) || !TAILQ_EMPTY(&http->over))
        return 0;
    const struct http_call *first = TAILQ_FIRST(&http->pending);
    int64_t due = first ? first->deadline_ns : CLOCK_NEVER;
    return clock_earlier(due, clock_earlier(connector_due_ns(http->connector), http_idle_until_ns(http)));
}

void http_turn(struct http *http, int64_t now_ns)
{
    connector_turn(http->connector, now_ns);
    http_time_out_due(http, now_ns);
    http_settle(http);
    http_end_over(http);
    http_end_idle(http, now_ns);
    if (http->fresh)
        http_dispatch(http, now_ns);
    http_settle(http);
}
