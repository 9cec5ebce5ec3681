/* Connections and requests on libmicrohttpd. The loop thread owns all of it; the producer's thread only gives
 * exchanges back whose event has come to its end, by the chan. */
#include "producer/gateway_server.h"

#include "common/chan.h"
#include "common/clock.h"
#include "common/listener.h"
#include "producer/gateway_certificate.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,
    /* Of a connection: its headers, and a piece of its body. */
    CONNECTION_MEMORY = 16 * 1024,
    /* So much of a body that is not wanted is still read: the client gets to read the answer, and the
     * connection goes on. */
    DISCARD_MOST = 1024 * 1024,
    EVENTS_MOST = 64
};

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* A connection. On the list of what it is doing, the longest first; times are checked at the head. */
struct peer {
    TAILQ_ENTRY(peer) link;
    struct peer_list *list; /* NULL: its event is on its way, or it was cut */
    int64_t since_ns;
    int fd; /* the connection's */

    /* TLS, NULL without */
    struct certificate *certificate;
    struct MHD_Connection *connection;
    TAILQ_ENTRY(peer) awake_link;
    bool awake;   /* on the list of those whose handshake goes on in this turn */
    bool watched; /* is in the set of handshakes_fd */
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
    int handshakes_fd;       /* with TLS: an epoll of handshakes that wait for the client, and of epoll_fd */
    struct certificates *certificates; /* NULL: no TLS */
    int wake_fd;
    int64_t request_timeout_ns, idle_timeout_ns;
    struct peer_list shaking; /* TLS is not agreed on yet */
    struct peer_list awake;   /* of these: those that are not suspended, by awake_link */
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

static void peer_wake(struct server *server, struct peer *peer)
{
    peer->awake = true;
    TAILQ_INSERT_TAIL(&server->awake, peer, awake_link);
}

static void peer_settle(struct server *server, struct peer *peer)
{
    if (peer->awake)
        TAILQ_REMOVE(&server->awake, peer, awake_link);
    peer->awake = false;
}

static gnutls_session_t peer_session(const struct peer *peer)
{
    return MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
}

/* libmicrohttpd has given the session its own credentials, which are empty. */
static void peer_begin_tls(struct server *server, struct peer *peer, struct MHD_Connection *connection)
{
    peer->connection = connection;
    peer->certificate = certificates_take(server->certificates);
    gnutls_credentials_set(
        peer_session(peer), GNUTLS_CRD_CERTIFICATE, certificate_credentials(peer->certificate));
    peer_wake(server, peer);
}

static void server_on_closed(struct server *server, struct peer *peer)
{
    server->connections--;
    peer_move(peer, NULL);
    if (peer && peer->certificate) {
        peer_settle(server, peer);
        certificate_drop(peer->certificate);
    }
    free(peer);
}

/* Without memory for it a connection goes unwatched; libmicrohttpd's own limit of idleness still holds. With
 * TLS it has no certificate then, and ends. */
static void server_on_connection(
    void *context, struct MHD_Connection *connection, void **slot, enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct peer *peer = *slot;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        server_on_closed(server, peer);
        return;
    }
    server->connections++;
    *slot = peer = calloc(1, sizeof *peer);
    if (!peer)
        return;
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    peer_move(peer, server->certificates ? &server->shaking : &server->idle);
    if (server->certificates)
        peer_begin_tls(server, peer, connection);
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

/* ---- handshakes ----
 *
 * libmicrohttpd (0.9.75 to 1.0.1) takes a connection whose handshake waits for the client for one that can be
 * read, and asks for the next turn at once: a client that says nothing would keep a core busy. So a
 * connection is suspended between the steps of its handshake, and watched here. MHD_suspend_connection is
 * meant for handlers, since it must not run beside the daemon's turn: between two turns of the same thread it
 * does not. */

static void peer_resume(struct server *server, struct peer *peer)
{
    peer_wake(server, peer);
    MHD_resume_connection(peer->connection);
}

static bool peer_watch(const struct server *server, struct peer *peer)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = peer};
    int operation = peer->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    return peer->watched = epoll_ctl(server->handshakes_fd, operation, peer->fd, &event) == 0;
}

/* GnuTLS describes no session before all is agreed on. */
static bool peer_has_shaken(const struct peer *peer)
{
    char *description = gnutls_session_get_desc(peer_session(peer));
    bool has = description;
    gnutls_free(description);
    return has;
}

static void server_resume_handshakes(struct server *server)
{
    struct epoll_event events[EVENTS_MOST];
    int count = epoll_wait(server->handshakes_fd, events, EVENTS_MOST, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr)
            peer_resume(server, events[i].data.ptr);
}

/* After the daemon's turn: what that has closed is gone. */
static void server_suspend_handshakes(struct server *server)
{
    struct peer *peer;
    while ((peer = TAILQ_FIRST(&server->awake))) {
        peer_settle(server, peer);
        if (peer->list != &server->shaking)
            continue;
        if (peer_has_shaken(peer))
            peer_move(peer, &server->idle);
        else if (peer_watch(server, peer))
            MHD_suspend_connection(peer->connection);
        else
            peer_cut(peer);
    }
}

static void server_cut_handshakes_since(struct server *server, int64_t until_ns)
{
    struct peer *peer;
    while ((peer = TAILQ_FIRST(&server->shaking)) && peer->since_ns <= until_ns) {
        peer_cut(peer);
        MHD_resume_connection(peer->connection);
        gateway_metrics_too_slow(server->api->metrics);
    }
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
    if (server->certificates) {
        certificates_turn(server->certificates, clock_ns());
        server_resume_handshakes(server);
    }
    MHD_run(server->daemon);
    server_suspend_handshakes(server);
    int64_t now = clock_ns();
    server_cut_handshakes_since(server, now - server->request_timeout_ns);
    server_cut_slow(server, now - server->request_timeout_ns);
    server_cut_idle_since(server, now - server->idle_timeout_ns);
}

static int64_t server_due_ns(const struct server *server)
{
    const struct peer *reading = TAILQ_FIRST(&server->reading), *idle = TAILQ_FIRST(&server->idle),
                      *shaking = TAILQ_FIRST(&server->shaking);
    int64_t slow = clock_earlier(reading ? reading->since_ns : CLOCK_NEVER - server->request_timeout_ns,
        shaking ? shaking->since_ns : CLOCK_NEVER - server->request_timeout_ns);
    return clock_earlier(
        slow + server->request_timeout_ns, idle ? idle->since_ns + server->idle_timeout_ns : CLOCK_NEVER);
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

/* libmicrohttpd wants to be given a certificate; each connection gets its own (peer_begin_tls). */
static int server_no_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
    int authority_count, const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
    gnutls_pcert_st **chain, unsigned *chain_length, gnutls_privkey_t *key)
{
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    (void)chain, (void)chain_length, (void)key;
    return -1;
}

static bool server_open_tls(struct server *server, struct error *error)
{
    if (!certificates_wanted(server->settings))
        return true;
    server->certificates = certificates_open(server->settings, error);
    if (!server->certificates)
        return false;
    server->handshakes_fd = epoll_create1(EPOLL_CLOEXEC);
    return server->handshakes_fd >= 0 || error_set(error, "no file descriptor: %s", strerror(errno));
}

static bool server_join_epolls(struct server *server, struct error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (!server->certificates ||
        epoll_ctl(server->handshakes_fd, EPOLL_CTL_ADD, server->epoll_fd, &event) == 0)
        return true;
    return error_set(error, "epoll: %s", strerror(errno));
}

static bool server_start(struct server *server, int fd, struct error *error)
{
    unsigned idle_s = (unsigned)(server->idle_timeout_ns / CLOCK_S) + 1;
    unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (server->certificates ? (unsigned)MHD_USE_TLS : 0);
    /* Those of HTTPS are passed over without MHD_USE_TLS. */
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, server_on_request, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->connections_most,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)settings_number(server->settings, SETTING_CLIENT_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_CONNECTION, server_on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        server_on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, server_on_request_line, server,
        MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK, server_no_certificate,
        MHD_OPTION_END);
    if (!server->daemon) {
        close(fd);
        return error_set(error, "listening on %s: libmicrohttpd did not start%s", server->address,
            MHD_is_feature_supported(MHD_FEATURE_TLS) ? "" : ", it is built without TLS");
    }
    server->listen_fd = fd;
    server->epoll_fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return server_join_epolls(server, error);
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
    server->handshakes_fd = -1;
    TAILQ_INIT(&server->shaking);
    TAILQ_INIT(&server->awake);
    TAILQ_INIT(&server->idle);
    TAILQ_INIT(&server->reading);
    server->settings = settings;
    server->api = api;
    server->connections_most = connections_most;
    server->wake_fd = wake_fd;
    server->request_timeout_ns = settings_ms(settings, SETTING_REQUEST_TIMEOUT) * CLOCK_MS;
    server->idle_timeout_ns = settings_ms(settings, SETTING_IDLE_TIMEOUT) * CLOCK_MS;
    settings_address(settings, SETTING_GATEWAY_LISTEN, host, &port);
    int fd = server_open_tls(server, error) ? listener_open(host, port, BACKLOG, server->address, error) : -1;
    if (fd >= 0 && server_start(server, fd, error))
        return server;
    server_close(server);
    return NULL;
}

void server_close(struct server *server)
{
    if (!server)
        return;
    struct peer *peer;
    TAILQ_FOREACH (peer, &server->shaking, link)
        MHD_resume_connection(peer->connection);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    certificates_close(server->certificates);
    if (server->handshakes_fd >= 0)
        close(server->handshakes_fd);
    chan_free(server->ended);
    free(server);
}

const char *server_address(const struct server *server)
{
    return server->address;
}

int server_fd(const struct server *server)
{
    return server->certificates ? server->handshakes_fd : server->epoll_fd;
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
    server_cut_handshakes_since(server, clock_ns() - idle_ns);
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
