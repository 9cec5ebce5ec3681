/* Connections and requests on libmicrohttpd. The loop thread owns all of it; the producer's thread only gives
 * exchanges back whose event has come to its end, by the chan. */
#include "producer/gateway_server.h"

#include "common/chan.h"
#include "common/clock.h"
#include "common/listener.h"

#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    /* Of a connection: its headers, and a piece of its body. */
    CONNECTION_MEMORY = 16 * 1024,
    /* So much of a body that is not wanted is still read: the client gets to read the answer, and the
     * connection goes on. */
    DISCARD_MOST = 1024 * 1024
};

/* A connection. On the list of what it is doing, the longest first; times are checked at the head. */
struct peer {
    TAILQ_ENTRY(peer) link;
    struct peer_list *list; /* NULL: its event is on its way, or it was cut */
    int64_t since_ns;
    int fd; /* the connection's */
};
TAILQ_HEAD(peer_list, peer);

/* A request and its answer. Belongs to its connection, but while the event is on its way: then to the
 * producer. */
struct exchange {
    struct chan_item item;
    struct server *server;
    struct MHD_Connection *connection;
    enum { EXCHANGE_READING, EXCHANGE_REFUSED, EXCHANGE_WAITING, EXCHANGE_ENDED } state;
    struct buf body;
    size_t discarded;
    struct answer answer;
    char imp_uid[EVENT_IMP_UID_SIZE];
    int64_t published_ns;
    enum impcert_status end;
};

struct server {
    const struct settings *settings;
    const struct api *api;
    struct MHD_Daemon *daemon;
    int epoll_fd, listen_fd; /* the daemon's */
    int wake_fd;
    int64_t request_timeout_ns, idle_timeout_ns;
    struct peer_list idle;    /* no request yet, or none after the last */
    struct peer_list reading; /* a request has begun */
    size_t connections, connections_most, in_flight;
    bool draining;
    struct chan *ended;    /* exchanges; the producer's thread gives */
    _Atomic bool signaled; /* wake_fd is, for what the chan holds */
    char address[LISTENER_ADDRESS_SIZE];
};

/* ---- connections ---- */

static void peer_move(struct peer *peer, struct peer_list *list)
{
    if (!peer)
        return;
    if (peer->list)
        TAILQ_REMOVE(peer->list, peer, link);
    peer->list = list;
    peer->since_ns = clock_ns();
    if (list)
        TAILQ_INSERT_TAIL(list, peer, link);
}

/* libmicrohttpd sees the end and closes. */
static void peer_cut(struct peer *peer)
{
    peer_move(peer, NULL);
    shutdown(peer->fd, SHUT_RDWR);
}

/* Whether something has come that libmicrohttpd has not read yet. */
static bool peer_has_input(const struct peer *peer)
{
    char byte;
    return recv(peer->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* Without memory for it a connection goes unwatched; libmicrohttpd's own limit of idleness still holds. */
static void server_on_connection(
    void *context, struct MHD_Connection *connection, void **slot, enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct peer *peer = *slot;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        server->connections--;
        peer_move(peer, NULL);
        free(peer);
        return;
    }
    server->connections++;
    *slot = peer = calloc(1, sizeof *peer);
    if (!peer)
        return;
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    peer_move(peer, &server->idle);
}

/* The first line of a request has come. The value becomes the request's slot. */
static void *server_on_request_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    struct server *server = context;
    peer_move(peer_of(connection), &server->reading);
    return NULL;
}

/* ---- answers ---- */

static void server_add_cors(struct MHD_Response *response, const struct answer *answer)
{
    if (answer->cors_vary)
        MHD_add_response_header(response, "Vary", "Origin");
    if (!answer->cors_allow)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", answer->cors_allow);
    if (answer->preflight) {
        MHD_add_response_header(response, "Access-Control-Allow-Methods", "POST");
        MHD_add_response_header(
            response, "Access-Control-Allow-Headers", "Authorization, Content-Type, traceparent, tracestate");
        MHD_add_response_header(response, "Access-Control-Max-Age", "600");
    } else {
        MHD_add_response_header(response, "Access-Control-Expose-Headers", "Retry-After");
    }
}

static void server_add_headers(
    const struct server *server, struct MHD_Response *response, const struct answer *answer)
{
    char seconds[16];
    if (answer->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (answer->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    if (answer->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (answer->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%d", answer->retry_after_s);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (server->draining)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    server_add_cors(response, answer);
}

static enum MHD_Result server_reply(struct exchange *exchange)
{
    const struct answer *answer = &exchange->answer;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.size, answer->body.data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    server_add_headers(exchange->server, response, answer);
    gateway_metrics_answered(exchange->server->api->metrics, answer->status);
    enum MHD_Result result = MHD_queue_response(exchange->connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- requests ---- */

static struct api_head server_head(struct MHD_Connection *connection, const char *method, const char *path)
{
#define HEADER(name) MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name)
    return (struct api_head){
        .method = method,
        .path = path,
        .content_type = HEADER("Content-Type"),
        .authorization = HEADER("Authorization"),
        .origin = HEADER("Origin"),
        .requested_method = HEADER("Access-Control-Request-Method"),
        .traceparent = HEADER("traceparent"),
        .tracestate = HEADER("tracestate"),
    };
#undef HEADER
}

static struct gateway_gauges server_gauges(const struct server *server)
{
    return (struct gateway_gauges){.connections = server->connections, .in_flight = server->in_flight};
}

/* How a request tells where its body ends. */
struct framing {
    unsigned headers;          /* that tell of it */
    bool unknown;              /* Transfer-Encoding is not chunked */
    unsigned long long length; /* announced */
    bool expects;              /* the body comes only when it is asked for */
};

static enum MHD_Result server_on_header(
    void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct framing *framing = context;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        framing->headers++;
        framing->length = value ? strtoull(value, NULL, 10) : 0;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->headers++;
        framing->unknown |= !value || strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_EXPECT) == 0) {
        framing->expects = true;
    }
    return MHD_YES;
}

/* Refuses what only the server can tell of; true where the answer must not wait for the body, and the
 * connection ends with it. */
static bool server_refuse(struct exchange *exchange, const struct framing *framing)
{
    if (framing->headers > 1 || framing->unknown) {
        /* A proxy may see another end than libmicrohttpd does, and what follows as no request (RFC 9112,
         * section 6.3). */
        exchange->state = EXCHANGE_REFUSED;
        buf_reset(&exchange->answer.body, 0);
        api_unclear_length(&exchange->answer);
        return true;
    }
    if (exchange->state == EXCHANGE_READING && framing->length > API_BODY_MOST) {
        exchange->state = EXCHANGE_REFUSED;
        api_too_large(&exchange->answer);
    }
    return exchange->state == EXCHANGE_REFUSED && (framing->expects || framing->length > DISCARD_MOST);
}

static enum MHD_Result server_begin(
    struct server *server, struct MHD_Connection *connection, const struct api_head *head, void **slot)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return MHD_NO;
    *slot = exchange;
    exchange->server = server;
    exchange->connection = connection;
    buf_init(&exchange->body, API_BODY_MOST);
    answer_init(&exchange->answer);
    struct gateway_gauges gauges = server_gauges(server);
    if (!api_begin(server->api, head, &gauges, &exchange->answer))
        exchange->state = EXCHANGE_REFUSED;
    struct framing framing = {.headers = 0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, server_on_header, &framing);
    return server_refuse(exchange, &framing) ? server_reply(exchange) : MHD_YES;
}

static enum MHD_Result server_read(struct exchange *exchange, const char *data, size_t *size)
{
    if (exchange->state == EXCHANGE_READING && !buf_append(&exchange->body, data, *size)) {
        exchange->state = EXCHANGE_REFUSED;
        api_too_large(&exchange->answer);
    }
    if (exchange->state == EXCHANGE_REFUSED && (exchange->discarded += *size) > DISCARD_MOST)
        return MHD_NO;
    *size = 0;
    return MHD_YES;
}

/* On the producer's thread. Signals merge, and the loop takes all that is there. */
static void server_on_delivery(void *context, enum impcert_status status, const char *text)
{
    (void)text;
    struct exchange *exchange = context;
    struct server *server = exchange->server;
    exchange->end = status;
    chan_give(server->ended, &exchange->item);
    if (!atomic_exchange(&server->signaled, true))
        wake_signal(server->wake_fd);
}

static enum MHD_Result server_publish(struct exchange *exchange, const struct api_head *head)
{
    struct server *server = exchange->server;
    exchange->state = EXCHANGE_WAITING;
    exchange->published_ns = clock_ns();
    bool published = api_publish(server->api, head, &exchange->body, exchange->imp_uid, server_on_delivery,
        exchange, &exchange->answer);
    buf_wipe(&exchange->body, 0); /* it may hold more than the imp_uid */
    if (!published)
        return server_reply(exchange);
    server->in_flight++;
    peer_move(peer_of(exchange->connection), NULL);
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

static enum MHD_Result server_on_request(void *context, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **slot)
{
    (void)version;
    struct exchange *exchange = *slot;
    if (exchange && *upload_size)
        return server_read(exchange, upload, upload_size);
    if (exchange && exchange->state != EXCHANGE_READING)
        return server_reply(exchange);
    struct api_head head = server_head(connection, method, path);
    return exchange ? server_publish(exchange, &head) : server_begin(context, connection, &head, slot);
}

static void server_on_completed(
    void *context, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct server *server = context;
    struct exchange *exchange = *slot;
    struct peer *peer = peer_of(connection);
    if (peer && peer->list)
        peer_move(peer, &server->idle);
    if (!exchange)
        return;
    *slot = NULL;
    buf_wipe(&exchange->body, 0);
    answer_cleanup(&exchange->answer);
    free(exchange);
}

/* ---- turns ---- */

static void server_take_ended(struct server *server)
{
    struct chan_item *item;
    atomic_store(&server->signaled, false); /* before looking: whatever comes later signals again */
    while ((item = chan_take(server->ended, 0))) {
        struct exchange *exchange = (struct exchange *)(void *)item;
        exchange->state = EXCHANGE_ENDED;
        server->in_flight--;
        gateway_metrics_published(server->api->metrics, clock_ns() - exchange->published_ns);
        api_finish(exchange->imp_uid, exchange->end, &exchange->answer);
        peer_move(peer_of(exchange->connection), &server->idle);
        MHD_resume_connection(exchange->connection);
    }
}

static void server_cut_slow(struct server *server, int64_t until_ns)
{
    struct peer *peer;
    while ((peer = TAILQ_FIRST(&server->reading)) && peer->since_ns <= until_ns) {
        peer_cut(peer);
        gateway_metrics_too_slow(server->api->metrics);
    }
}

/* A request that has come in the meantime is not cut off. */
static void server_cut_idle_since(struct server *server, int64_t until_ns)
{
    struct peer *peer;
    while ((peer = TAILQ_FIRST(&server->idle)) && peer->since_ns <= until_ns) {
        if (peer_has_input(peer))
            peer_move(peer, &server->idle);
        else
            peer_cut(peer);
    }
}

void server_turn(struct server *server)
{
    server_take_ended(server);
    MHD_run(server->daemon);
    int64_t now = clock_ns();
    server_cut_slow(server, now - server->request_timeout_ns);
    server_cut_idle_since(server, now - server->idle_timeout_ns);
}

static int64_t server_due_ns(const struct server *server)
{
    const struct peer *reading = TAILQ_FIRST(&server->reading), *idle = TAILQ_FIRST(&server->idle);
    return clock_earlier(reading ? reading->since_ns + server->request_timeout_ns : CLOCK_NEVER,
        idle ? idle->since_ns + server->idle_timeout_ns : CLOCK_NEVER);
}

int server_wait_ms(const struct server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    int64_t due = server_due_ns(server), left = due == CLOCK_NEVER ? 1000 : (due - clock_ns()) / CLOCK_MS + 1;
    if (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES && (int64_t)wait_ms < left)
        left = (int64_t)wait_ms;
    return left < 0 ? 0 : left > 1000 ? 1000 : (int)left;
}

/* ---- opening and closing ---- */

static bool server_start(struct server *server, int fd, struct error *error)
{
    unsigned idle_s = (unsigned)(server->idle_timeout_ns / CLOCK_S) + 1;
    server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        server_on_request, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->connections_most, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)settings_number(server->settings, SETTING_CLIENT_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, server_on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        server_on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, server_on_request_line, server,
        MHD_OPTION_END);
    if (!server->daemon) {
        close(fd);
        return error_set(error, "listening on %s: libmicrohttpd did not start", server->address);
    }
    server->listen_fd = fd;
    server->epoll_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return true;
}

struct server *server_open(const struct settings *settings, const struct api *api, size_t connections_most,
    int wake_fd, struct error *error)
{
    char host[256];
    uint16_t port = 0;
    struct server *server = calloc(1, sizeof *server);
    if (!server || !(server->ended = chan_new(-1))) {
        free(server);
        error_set(error, "out of memory");
        return NULL;
    }
    TAILQ_INIT(&server->idle);
    TAILQ_INIT(&server->reading);
    server->settings = settings;
    server->api = api;
    server->connections_most = connections_most;
    server->wake_fd = wake_fd;
    server->request_timeout_ns = settings_ms(settings, SETTING_REQUEST_TIMEOUT) * CLOCK_MS;
    server->idle_timeout_ns = settings_ms(settings, SETTING_IDLE_TIMEOUT) * CLOCK_MS;
    settings_address(settings, SETTING_GATEWAY_LISTEN, host, &port);
    int fd = listener_open(host, port, BACKLOG, server->address, error);
    if (fd >= 0 && server_start(server, fd, error))
        return server;
    server_close(server);
    return NULL;
}

void server_close(struct server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    chan_free(server->ended);
    free(server);
}

const char *server_address(const struct server *server)
{
    return server->address;
}

int server_fd(const struct server *server)
{
    return server->epoll_fd;
}

/* To their clients the connections that wait to be accepted are open, and a request may have been sent. */
static void server_take_waiting(struct server *server)
{
    enum { TURNS_MOST = BACKLOG }; /* libmicrohttpd accepts about ten in a turn */
    struct pollfd listening = {.fd = server->listen_fd, .events = POLLIN};
    for (int i = 0; i < TURNS_MOST && server->connections < server->connections_most; i++) {
        if (poll(&listening, 1, 0) <= 0)
            return;
        server_turn(server);
    }
}

void server_drain(struct server *server)
{
    server_take_waiting(server);
    int fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0)
        close(fd);
    server->draining = true; /* whoever is told that the connection ends can't open another here */
}

void server_cut_idle(struct server *server, int64_t idle_ns)
{
    server_cut_idle_since(server, clock_ns() - idle_ns);
}

size_t server_connections(const struct server *server)
{
    return server->connections;
}

size_t server_in_flight(const struct server *server)
{
    return server->in_flight;
}
