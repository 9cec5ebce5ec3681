/* HTTP calls over plain TCP, against a service that the test itself plays in the same loop: what is asked as
 * it arrives, answers in every framing and cut, which connections are kept, what is made again and what
 * fails. */
#include "worker/http.h"

#include "common/buf.h"
#include "common/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define DEADLINE_NS (5 * CLOCK_S)
/* How late a busy machine may notice a time. */
#define LATE_NS (2 * CLOCK_S)
#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
#define OK OK_HEAD "\r\nok"

enum { DESCRIPTORS = 4096, BACKLOG = 1024, EVENTS = 64, BUF_LIMIT = 16 << 20, REPEATS = 3 };

/* ---- the service ---- */

/* A connection as the service has it. */
struct peer {
    int fd;        /* -1: closed */
    struct buf in; /* the request, as far as it is here */
    struct buf out;
    size_t out_sent;
    bool deaf;  /* does not read */
    bool whole; /* in is a whole request, which nobody has taken yet */
    bool ended; /* the client has closed it */
    TAILQ_ENTRY(peer) link;
};

struct service {
    int epoll_fd;
    int listen_fd; /* -1: closed */
    int port;
    TAILQ_HEAD(, peer) peers; /* in the order of their connections */
    struct peer *by_fd[DESCRIPTORS];
    int accepted, open, most_open;
    const char *automatic; /* answers every request; NULL: the test does */
    bool closes;           /* closes after each of these answers */
};

static int listener(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static void service_watch(struct service *service, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    assert_int_equal(epoll_ctl(service->epoll_fd, operation, fd, &event), 0);
}

static void service_open(struct service *service, int epoll_fd)
{
    struct sockaddr_in address;
    TAILQ_INIT(&service->peers);
    service->epoll_fd = epoll_fd;
    service->listen_fd = listener(&address, BACKLOG);
    service->port = ntohs(address.sin_port);
    service_watch(service, EPOLL_CTL_ADD, service->listen_fd, EPOLLIN);
}

static void service_refuse(struct service *service)
{
    close(service->listen_fd);
    service->listen_fd = -1;
}

static void peer_close(struct service *service, struct peer *peer)
{
    if (peer->fd < 0)
        return;
    close(peer->fd);
    service->by_fd[peer->fd] = NULL;
    service->open--;
    peer->fd = -1;
    peer->whole = false;
}

/* With a RST, as when the process is gone or has not read all. */
static void peer_reset(struct service *service, struct peer *peer)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    peer_close(service, peer);
}

static void service_close(struct service *service)
{
    struct peer *peer;
    while ((peer = TAILQ_FIRST(&service->peers))) {
        TAILQ_REMOVE(&service->peers, peer, link);
        peer_close(service, peer);
        buf_cleanup(&peer->in);
        buf_cleanup(&peer->out);
        free(peer);
    }
    if (service->listen_fd >= 0)
        close(service->listen_fd);
}

static void service_accept(struct service *service)
{
    int fd, yes = 1;
    while ((fd = accept4(service->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        assert_non_null(peer);
        assert_true(fd < DESCRIPTORS);
        /* Else a byte would wait for the one before it to be acknowledged. */
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), 0);
        peer->fd = fd;
        buf_init(&peer->in, BUF_LIMIT);
        buf_init(&peer->out, BUF_LIMIT);
        TAILQ_INSERT_TAIL(&service->peers, peer, link);
        service->by_fd[fd] = peer;
        service_watch(service, EPOLL_CTL_ADD, fd, EPOLLIN);
        service->accepted++;
        service->open++;
        service->most_open = service->open > service->most_open ? service->open : service->most_open;
    }
}

static void peer_flush(struct service *service, struct peer *peer)
{
    while (peer->out_sent < peer->out.size) {
        ssize_t sent =
            send(peer->fd, peer->out.data + peer->out_sent, peer->out.size - peer->out_sent, MSG_NOSIGNAL);
        if (sent < 0)
            break;
        peer->out_sent += (size_t)sent;
    }
    bool all = peer->out_sent == peer->out.size;
    uint32_t events = (peer->deaf ? 0 : (uint32_t)EPOLLIN) | (all ? 0 : (uint32_t)EPOLLOUT);
    service_watch(service, EPOLL_CTL_MOD, peer->fd, events);
    if (!all)
        return;
    buf_reset(&peer->out, 0);
    peer->out_sent = 0;
}

static void peer_send_bytes(struct service *service, struct peer *peer, const char *data, size_t size)
{
    assert_true(peer->fd >= 0);
    assert_true(buf_append(&peer->out, data, size));
    peer_flush(service, peer);
}

static void peer_send(struct service *service, struct peer *peer, const char *text)
{
    peer_send_bytes(service, peer, text, strlen(text));
}

/* The end of the answer, while the other direction stays open. */
static void peer_end(struct peer *peer)
{
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
}

static void peer_set_deaf(struct service *service, struct peer *peer, bool deaf)
{
    peer->deaf = deaf;
    peer_flush(service, peer);
}

/* Bytes of the request at the start of text; 0 while it is not whole. */
static size_t request_size(const char *text, size_t size)
{
    const char *end = memmem(text, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *length = memmem(text, size, "Content-Length: ", 16);
    size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
    size_t whole = (size_t)(end + 4 - text) + body;
    return size < whole ? 0 : whole;
}

static void peer_answer_by_itself(struct service *service, struct peer *peer)
{
    peer->whole = false;
    buf_reset(&peer->in, SIZE_MAX);
    peer_send(service, peer, service->automatic);
    if (service->closes)
        peer_close(service, peer);
}

static void peer_receive(struct service *service, struct peer *peer)
{
    static char bytes[64 * 1024];
    while (peer->fd >= 0) {
        ssize_t size = recv(peer->fd, bytes, sizeof bytes, 0);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            peer->ended = true;
            peer_close(service, peer);
            return;
        }
        assert_true(buf_append(&peer->in, bytes, (size_t)size));
        size_t whole = request_size(peer->in.data, peer->in.size);
        peer->whole = whole;
        if (whole) /* the next one is asked after the answer only */
            assert_int_equal(whole, peer->in.size);
        if (whole && service->automatic)
            peer_answer_by_itself(service, peer);
    }
}

/* False for a socket that is not the service's. */
static bool service_ready(struct service *service, int fd, uint32_t events)
{
    struct peer *peer = service->by_fd[fd];
    if (fd == service->listen_fd)
        service_accept(service);
    else if (!peer)
        return false;
    else {
        if (events & EPOLLOUT)
            peer_flush(service, peer);
        if (events & ~(uint32_t)EPOLLOUT)
            peer_receive(service, peer);
    }
    return true;
}

/* ---- calls ---- */

struct ask {
    bool done;
    struct answer answer; /* its body and failure are below */
    struct buf body;
    char failure[512];
    int64_t started_ns, ended_ns;
    int again; /* so many calls more, each started by the end of the one before */
    TAILQ_ENTRY(ask) link;
};

struct world {
    int epoll_fd;
    struct service service;
    char url[64];
    struct http *http;
    TAILQ_HEAD(, ask) asks;
};

static void on_done(void *context, void *subject, const struct answer *answer);

static void start(struct world *world, struct ask *ask, struct http_request request)
{
    struct error error;
    request.done = on_done;
    request.context = world;
    request.subject = ask;
    ask->started_ns = clock_ns();
    ask->done = false;
    assert_true(http_start(world->http, &request, &error));
}

static void on_done(void *context, void *subject, const struct answer *answer)
{
    struct ask *ask = subject;
    assert_false(ask->done);
    ask->ended_ns = clock_ns();
    ask->done = true;
    ask->answer = *answer;
    buf_reset(&ask->body, 0);
    if (answer->transport == TRANSPORT_ANSWERED)
        assert_true(buf_append(&ask->body, answer->body_size ? answer->body : "", answer->body_size));
    else
        snprintf(ask->failure, sizeof ask->failure, "%s", answer->failure);
    if (ask->again && ask->again--)
        start(context, ask, (struct http_request){.path = "again"});
}

static struct ask *new_ask(struct world *world)
{
    struct ask *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    buf_init(&ask->body, BUF_LIMIT);
    TAILQ_INSERT_TAIL(&world->asks, ask, link);
    return ask;
}

static struct ask *ask_with(struct world *world, struct http_request request)
{
    struct ask *ask = new_ask(world);
    start(world, ask, request);
    return ask;
}

static struct ask *ask(struct world *world, const char *path)
{
    return ask_with(world, (struct http_request){.path = path});
}

/* ---- the loop ---- */

static void world_turn(struct world *world, int64_t until_ns, const char *what)
{
    struct epoll_event events[EVENTS];
    int64_t now = clock_ns(), due = http_due_ns(world->http);
    if (now >= until_ns)
        fail_msg("not in time: %s", what);
    due = due < until_ns ? due : until_ns;
    int wait_ms = due <= now ? 0 : (int)((due - now + CLOCK_MS - 1) / CLOCK_MS);
    int count = epoll_wait(world->epoll_fd, events, EVENTS, wait_ms);
    for (int i = 0; i < count; i++)
        if (!service_ready(&world->service, events[i].data.fd, events[i].events))
            http_ready(world->http, events[i].data.fd, events[i].events);
    http_turn(world->http, clock_ns());
}

#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        int64_t wait_until_ns = clock_ns() + DEADLINE_NS;                                                    \
        while (!(condition))                                                                                 \
            world_turn(world, wait_until_ns, #condition);                                                    \
    } while (0)

static struct peer *peer_asked_for(struct service *service, const char *path)
{
    struct peer *peer;
    char line[160];
    int size = snprintf(line, sizeof line, " /%s HTTP/1.1\r\n", path);
    TAILQ_FOREACH (peer, &service->peers, link)
        if (peer->whole && memmem(peer->in.data, peer->in.size, line, (size_t)size))
            return peer;
    return NULL;
}

/* Waits for a request, which the test takes: peer->in holds it until the next one comes. */
static struct peer *asked(struct world *world, const char *path)
{
    struct peer *peer;
    WAIT(world, (peer = peer_asked_for(&world->service, path)));
    peer->whole = false;
    return peer;
}

/* The request was looked at, and the next one may come. */
static void reply(struct world *world, struct peer *peer, const char *text)
{
    buf_reset(&peer->in, SIZE_MAX);
    peer_send(&world->service, peer, text);
}

static void expect_answer(struct world *world, struct ask *ask, long status, const char *body)
{
    WAIT(world, ask->done);
    if (ask->answer.transport != TRANSPORT_ANSWERED)
        fail_msg("transport %d: %s", (int)ask->answer.transport, ask->failure);
    assert_int_equal(ask->answer.http_status, status);
    assert_string_equal(ask->body.data, body);
    assert_int_equal(ask->body.size, strlen(body));
}

static void expect_failure(struct world *world, struct ask *ask, enum transport transport, const char *word)
{
    WAIT(world, ask->done);
    if (ask->answer.transport != transport)
        fail_msg("transport %d: %s", (int)ask->answer.transport, ask->failure);
    if (!strstr(ask->failure, word))
        fail_msg("%s, expected %s", ask->failure, word);
    assert_int_equal(ask->answer.body_size, 0);
}

/* A call and its answer; gives the connection that it was on. */
static struct peer *exchange(struct world *world, const char *path, const char *answer)
{
    struct ask *one = ask(world, path);
    struct peer *peer = asked(world, path);
    reply(world, peer, answer);
    WAIT(world, one->done);
    assert_int_equal(one->answer.transport, TRANSPORT_ANSWERED);
    return peer;
}

/* ---- fixture ---- */

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        return -1;
    TAILQ_INIT(&world->asks);
    world->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    service_open(&world->service, world->epoll_fd);
    snprintf(world->url, sizeof world->url, "http://127.0.0.1:%d", world->service.port);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    struct ask *ask;
    http_close(world->http);
    service_close(&world->service);
    while ((ask = TAILQ_FIRST(&world->asks))) {
        TAILQ_REMOVE(&world->asks, ask, link);
        buf_cleanup(&ask->body);
        free(ask);
    }
    close(world->epoll_fd);
    free(world);
    return 0;
}

/* What config leaves out has no part in the test. */
static struct world *opened_with(void **state, struct http_config config)
{
    struct world *world = *state;
    struct error error;
    config.url = config.url ? config.url : world->url;
    config.timeout_ms = config.timeout_ms ? config.timeout_ms : 60000;
    config.connect_timeout_ms = config.connect_timeout_ms ? config.connect_timeout_ms : 60000;
    config.connections = config.connections ? config.connections : 16;
    world->http = http_open(&config, world->epoll_fd, &error);
    if (!world->http)
        fail_msg("%s", error.text);
    return world;
}

static struct world *opened(void **state)
{
    return opened_with(state, (struct http_config){0});
}

/* So many connections that each have answered a call, the one that answered last at the end. */
static void keep_connections(struct world *world, struct peer **peers, int count)
{
    struct ask *asks[8];
    char path[16];
    assert_in_range(count, 1, (int)COUNT(asks));
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "keep_%d", i);
        asks[i] = ask(world, path);
        peers[i] = asked(world, path);
    }
    for (int i = 0; i < count; i++) {
        reply(world, peers[i], OK);
        expect_answer(world, asks[i], 200, "ok");
    }
}

/* ---- what is asked ---- */

static void expect_request(
    struct world *world, struct http_request request, const char *line, const char *rest)
{
    char wanted[1024];
    int size = snprintf(wanted, sizeof wanted,
        "%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: impcert/" IMPCERT_VERSION
        "\r\nAccept: application/json\r\n%s",
        line, world->service.port, rest);
    assert_in_range(size, 1, sizeof wanted - 1);
    struct ask *one = ask_with(world, request);
    struct peer *peer = NULL;
    WAIT(world, (peer = TAILQ_FIRST(&world->service.peers)) && peer->whole);
    assert_string_equal(peer->in.data, wanted);
    peer->whole = false;
    reply(world, peer, OK);
    expect_answer(world, one, 200, "ok");
}

static void what_is_asked_arrives_byte_for_byte(void **state)
{
    struct world *world = opened(state);
    expect_request(
        world, (struct http_request){.path = "certifications/imp_1"}, "GET /certifications/imp_1", "\r\n");
    expect_request(world, (struct http_request){.path = "a", .token = "t0", .token_serial = 1}, "GET /a",
        "Authorization: Bearer t0\r\n\r\n");
    expect_request(world, (struct http_request){.path = "users/getToken", .json = "{\"a\":\"\xc3\xa4\"}"},
        "POST /users/getToken",
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"a\":\"\xc3\xa4\"}");
    assert_int_equal(world->service.accepted, 1);
}

static void the_token_changes_with_its_serial(void **state)
{
    struct world *world = opened(state);
    static const char *const tokens[] = {"first", "second", "third"};
    for (size_t i = 0; i < COUNT(tokens); i++)
        for (int twice = 0; twice < 2; twice++) {
            char line[64];
            snprintf(line, sizeof line, "Authorization: Bearer %s\r\n\r\n", tokens[i]);
            expect_request(world,
                (struct http_request){.path = "a", .token = tokens[i], .token_serial = 7 + i}, "GET /a",
                line);
        }
    expect_request(world, (struct http_request){.path = "a"}, "GET /a", "\r\n");
}

/* The first token is over, and would be refused. */
static void a_call_that_waits_is_sent_with_the_newest_token(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.connections = 1});
    struct ask *first = ask_with(world, (struct http_request){.path = "a", .token = "t1", .token_serial = 1});
    struct peer *peer = asked(world, "a");
    struct ask *waits = ask_with(world, (struct http_request){.path = "b", .token = "t1", .token_serial = 1});
    struct ask *newest =
        ask_with(world, (struct http_request){.path = "c", .token = "t2", .token_serial = 2});
    struct ask *none = ask(world, "d");
    reply(world, peer, OK);
    for (const char *path = "b"; *path; path = *path == 'b' ? "c" : "") {
        assert_ptr_equal(asked(world, path), peer);
        assert_non_null(strstr(peer->in.data, "\r\nAuthorization: Bearer t2\r\n"));
        reply(world, peer, OK);
    }
    assert_ptr_equal(asked(world, "d"), peer);
    assert_null(strstr(peer->in.data, "Authorization"));
    reply(world, peer, OK);
    expect_answer(world, none, 200, "ok");
    assert_int_equal(first->answer.token_serial, 1);
    assert_int_equal(waits->answer.token_serial, 2);
    assert_int_equal(newest->answer.token_serial, 2);
    assert_int_equal(none->answer.token_serial, 0);
}

static void paths_are_below_that_of_the_url(void **state)
{
    struct world *world = *state;
    static const char *const urls[][2] = {
        {"", "/a"}, {"/", "/a"}, {"/below", "/below/a"}, {"/below/it/", "/below/it/a"}};
    char url[128], line[64];
    for (size_t i = 0; i < COUNT(urls); i++) {
        snprintf(url, sizeof url, "%s%s", world->url, urls[i][0]);
        opened_with(state, (struct http_config){.url = url});
        struct ask *one = ask(world, "a");
        struct peer *peer = asked(world, urls[i][1] + 1);
        snprintf(
            line, sizeof line, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", urls[i][1], world->service.port);
        assert_memory_equal(peer->in.data, line, strlen(line));
        reply(world, peer, OK);
        expect_answer(world, one, 200, "ok");
        http_close(world->http);
        world->http = NULL;
    }
}

static void a_url_that_is_none_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const urls[] = {"", "http://", "http://host:port", "http://a b/"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct http_config config = {
            .url = urls[i], .timeout_ms = 1000, .connect_timeout_ms = 1000, .connections = 1};
        struct error error = {0};
        assert_null(http_open(&config, world->epoll_fd, &error));
        assert_non_null(strstr(error.text, "IAMPORT_URL"));
    }
    http_close(NULL);
}

enum { LARGE = 1 << 20 };

/* A question to a service that does not read it, and larger than what the sockets hold: with short segments
 * the kernel gives them little memory. */
static struct ask *ask_large(struct world *world, struct peer **peer)
{
    static char json[LARGE + 1];
    int fd = world->service.listen_fd, segment = 1000, memory = 16 * 1024;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &memory, sizeof memory), 0);
    *peer = exchange(world, "first", OK);
    for (int i = 0; i < LARGE; i++)
        json[i] = (char)('a' + i % 23);
    peer_set_deaf(&world->service, *peer, true);
    struct ask *one = ask_with(world, (struct http_request){.path = "large", .json = json});
    http_turn(world->http, clock_ns());
    return one;
}

static void a_large_question_arrives_whole(void **state)
{
    struct world *world = opened(state);
    struct peer *peer;
    struct ask *one = ask_large(world, &peer);
    peer_set_deaf(&world->service, peer, false);
    assert_ptr_equal(asked(world, "large"), peer);
    const char *body = peer->in.data + peer->in.size - LARGE;
    for (int i = 0; i < LARGE; i++)
        assert_true(body[i] == 'a' + i % 23);
    reply(world, peer, OK);
    expect_answer(world, one, 200, "ok");
    assert_ptr_equal(exchange(world, "next", OK), peer);
}

/* The rest of the question would be read as the next one. */
static void an_answer_before_the_end_of_the_question_ends_the_connection(void **state)
{
    struct world *world = opened(state);
    struct peer *peer;
    struct ask *one = ask_large(world, &peer);
    peer_send(&world->service, peer, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    expect_answer(world, one, 413, "");
    assert_ptr_not_equal(exchange(world, "next", OK), peer);
    peer_set_deaf(&world->service, peer, false);
    WAIT(world, peer->ended);
}

/* ---- answers ---- */

struct form {
    const char *bytes;
    long status;
    const char *body;
    bool ends; /* with the connection */
    bool kept; /* the connection, afterwards */
};

#define INTERIM "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct form forms[] = {
    {OK, 200, "ok", false, true},
    {"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", 200, "hello", false, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false, true},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true},
    {"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", 302, "", false, true},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404, "no", false, true},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", 503, "busy", false, true},
    {INTERIM OK, 200, "ok", false, true},
    {CHUNKED "2\r\nok\r\n0\r\n\r\n", 200, "ok", false, true},
    {CHUNKED "1;a=b\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n", 200, "ok", false, true},
    {CHUNKED "0\r\n\r\n", 200, "", false, true},
    {INTERIM CHUNKED "2\r\nok\r\n0\r\n\r\n", 200, "ok", false, true},
    {OK_HEAD "Connection: close\r\n\r\nok", 200, "ok", false, false},
    {OK_HEAD "Connection: keep-alive, Close\r\n\r\nok", 200, "ok", false, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false, false},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", true, false},
    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end", true, false},
    {"HTTP/1.1 200 OK\r\n\r\n", 200, "", true, false},
    {INTERIM "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nlast", 200, "last", true, false},
};

/* Each piece is read before the next is sent. */
static void reply_in_pieces(struct world *world, struct peer *peer, const char *bytes, size_t piece)
{
    size_t size = strlen(bytes);
    buf_reset(&peer->in, SIZE_MAX);
    for (size_t at = 0; at < size; at += piece) {
        peer_send_bytes(&world->service, peer, bytes + at, size - at < piece ? size - at : piece);
        world_turn(world, clock_ns() + DEADLINE_NS, "a piece of the answer to come");
    }
}

static void expect_form(struct world *world, const struct form *form, size_t piece)
{
    struct ask *one = ask(world, "form");
    struct peer *peer = asked(world, "form");
    reply_in_pieces(world, peer, form->bytes, piece);
    assert_int_equal(one->done, !form->ends);
    if (form->ends)
        peer_end(peer);
    expect_answer(world, one, form->status, form->body);
    assert_int_equal(one->answer.retry_after_s, 0);
    struct peer *next = exchange(world, "next", OK);
    assert_int_equal(next == peer, form->kept);
    if (form->kept)
        return;
    WAIT(world, peer->ended);
    assert_int_equal(world->service.open, 1);
}

static void answers_in_every_form(void **state)
{
    struct world *world = opened(state);
    for (size_t i = 0; i < COUNT(forms); i++)
        expect_form(world, &forms[i], SIZE_MAX / 2);
}

static void answers_cut_into_pieces(void **state)
{
    struct world *world = opened(state);
    for (size_t i = 0; i < COUNT(forms); i++)
        for (size_t piece = 1; piece <= 7; piece += 3)
            expect_form(world, &forms[i], piece);
}

static void answers_cut_in_two_anywhere(void **state)
{
    struct world *world = opened(state);
    for (size_t i = 0; i < COUNT(forms); i += 3)
        for (size_t piece = strlen(forms[i].bytes) / 2; piece < strlen(forms[i].bytes); piece++)
            expect_form(world, &forms[i], piece);
}

static void what_is_no_http_fails(void **state)
{
    struct world *world = opened(state);
    static const char *const answers[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        CHUNKED "x\r\n",
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct ask *one = ask(world, "odd");
        struct peer *peer = asked(world, "odd");
        reply(world, peer, answers[i]);
        expect_failure(world, one, TRANSPORT_FAILED, "not HTTP");
        WAIT(world, peer->ended);
    }
}

static void a_head_without_an_end_fails(void **state)
{
    struct world *world = opened(state);
    struct ask *one = ask(world, "endless");
    struct peer *peer = asked(world, "endless");
    reply(world, peer, "HTTP/1.1 200 OK\r\nX-Endless: ");
    for (int i = 0; i < 1000; i++)
        peer_send(&world->service, peer,
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    expect_failure(world, one, TRANSPORT_FAILED, "too long");
    WAIT(world, peer->ended);
}

/* ---- the size of answers ---- */

static char *body_of(size_t size)
{
    char *body = malloc(size + 1);
    assert_non_null(body);
    for (size_t i = 0; i < size; i++)
        body[i] = (char)('a' + i % 23);
    body[size] = '\0';
    return body;
}

/* head, a body of so many bytes between two texts, and the end of the connection or not. */
static struct ask *ask_for_size(
    struct world *world, const char *head, size_t size, const char *tail, bool ends, struct peer **peer)
{
    char *body = body_of(size);
    struct ask *one = ask(world, "large");
    *peer = asked(world, "large");
    reply(world, *peer, head);
    peer_send(&world->service, *peer, body);
    peer_send(&world->service, *peer, tail);
    WAIT(world, (*peer)->fd < 0 || !(*peer)->out.size);
    if (ends && (*peer)->fd >= 0)
        peer_end(*peer);
    WAIT(world, one->done);
    if (one->answer.transport == TRANSPORT_ANSWERED)
        assert_string_equal(one->body.data, body);
    free(body);
    return one;
}

static void an_answer_at_the_limit_is_whole(void **state)
{
    struct world *world = opened(state);
    char head[3][128];
    struct peer *peer;
    snprintf(head[0], sizeof head[0], "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_LIMIT);
    snprintf(head[1], sizeof head[1], CHUNKED "%x\r\n", HTTP_BODY_LIMIT);
    snprintf(head[2], sizeof head[2], "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        struct ask *one =
            ask_for_size(world, head[i], HTTP_BODY_LIMIT, i == 1 ? "\r\n0\r\n\r\n" : "", i == 2, &peer);
        assert_int_equal(one->answer.transport, TRANSPORT_ANSWERED);
        assert_int_equal(one->body.size, HTTP_BODY_LIMIT);
    }
}

static void an_answer_over_the_limit_is_cut_off(void **state)
{
    struct world *world = opened(state);
    static const size_t sizes[] = {HTTP_BODY_LIMIT + 1, 4 * HTTP_BODY_LIMIT};
    struct peer *peer, *other = exchange(world, "other", OK);
    char head[3][128];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        snprintf(head[0], sizeof head[0], "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        snprintf(head[1], sizeof head[1], CHUNKED "%zx\r\n", sizes[i]);
        snprintf(head[2], sizeof head[2], "HTTP/1.1 200 OK\r\n\r\n");
        for (int j = 0; j < 3; j++) {
            struct ask *small = ask(world, "small");
            other = asked(world, "small");
            struct ask *large = ask_for_size(world, head[j], sizes[i], "", false, &peer);
            assert_int_equal(large->answer.transport, TRANSPORT_TOO_LARGE);
            assert_non_null(strstr(large->failure, "262144"));
            if (i > 0) /* else nothing was left to cut off */
                WAIT(world, peer->ended);
            reply(world, other, OK);
            expect_answer(world, small, 200, "ok");
        }
    }
    assert_ptr_equal(exchange(world, "next", OK), other);
}

/* Answers of all sizes, one after the other: none has anything of another. */
static void answers_do_not_mix(void **state)
{
    struct world *world = opened(state);
    static const size_t sizes[] = {20000, 3, 0, 70000, 4096, 1, 4097, 16384, 200000, 2};
    char head[128];
    struct peer *peer;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
            struct ask *one = ask_for_size(world, head, sizes[i], "", false, &peer);
            assert_int_equal(one->answer.transport, TRANSPORT_ANSWERED);
            assert_int_equal(one->body.size, sizes[i]);
        }
    assert_int_equal(world->service.accepted, 1);
}

/* ---- Retry-After ---- */

static int64_t retry_after(struct world *world, const char *value)
{
    char answer[256];
    struct ask *one = ask(world, "limited");
    struct peer *peer = asked(world, "limited");
    snprintf(answer, sizeof answer,
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
    reply(world, peer, answer);
    expect_answer(world, one, 429, "");
    return one->answer.retry_after_s;
}

static int64_t retry_after_date(struct world *world, time_t seconds)
{
    char text[64];
    time_t date = time(NULL) + seconds;
    struct tm parts;
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&date, &parts));
    return retry_after(world, text);
}

static void retry_after_is_a_number_or_a_date(void **state)
{
    struct world *world = opened(state);
    assert_int_equal(retry_after(world, "0"), 0);
    assert_int_equal(retry_after(world, "1"), 1);
    assert_int_equal(retry_after(world, "120"), 120);
    assert_in_range(retry_after_date(world, 300), 290, 300);
    assert_int_equal(retry_after_date(world, -300), 0);
    assert_int_equal(retry_after(world, "Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    assert_int_equal(retry_after(world, "7"), 7);
    struct ask *next = ask(world, "next");
    reply(world, asked(world, "next"), OK);
    expect_answer(world, next, 200, "ok");
    assert_int_equal(next->answer.retry_after_s, 0);
}

static void retry_after_is_at_most_an_hour(void **state)
{
    struct world *world = opened(state);
    assert_int_equal(retry_after(world, "3600"), 3600);
    assert_int_equal(retry_after(world, "3601"), 3600);
    assert_int_equal(retry_after(world, "99999999999999999999999999"), 3600);
    assert_int_equal(retry_after_date(world, 100000), 3600);
}

static void retry_after_that_makes_no_sense_is_none(void **state)
{
    struct world *world = opened(state);
    static const char *const values[] = {"", "soon", "-5", "-99999999999999999999", "1.5", "5 apples",
        "Thu, 99 Foo 2020 99:99:99 GMT",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111"};
    for (size_t i = 0; i < COUNT(values); i++)
        assert_int_equal(retry_after(world, values[i]), 0);
}

/* ---- which connections are kept ---- */

static void the_connection_used_last_is_used_next(void **state)
{
    struct world *world = opened(state);
    struct peer *peers[3];
    keep_connections(world, peers, 3);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(exchange(world, "one", OK), peers[2]);
    struct ask *asks[] = {ask(world, "a"), ask(world, "b"), ask(world, "c")};
    assert_ptr_equal(asked(world, "a"), peers[2]);
    assert_ptr_equal(asked(world, "b"), peers[1]);
    assert_ptr_equal(asked(world, "c"), peers[0]);
    static const int order[] = {2, 0, 1};
    for (int i = 0; i < 3; i++) {
        reply(world, peers[order[i]], OK);
        expect_answer(world, asks[2 - order[i]], 200, "ok");
    }
    assert_ptr_equal(exchange(world, "one", OK), peers[1]);
    assert_int_equal(world->service.accepted, 3);
}

static void a_connection_is_not_kept_for_long(void **state)
{
    struct world *world = opened(state);
    struct peer *peers[3];
    keep_connections(world, peers, 3);
    int64_t begun = clock_ns(), until = begun + 60 * CLOCK_S;
    assert_in_range(http_due_ns(world->http), begun, until);
    http_turn(world->http, until - 10 * CLOCK_S);
    while (clock_ns() < begun + 5 * CLOCK_MS)
        assert_ptr_equal(exchange(world, "one", OK), peers[2]);
    http_turn(world->http, until);
    WAIT(world, peers[0]->ended && peers[1]->ended);
    assert_ptr_equal(exchange(world, "one", OK), peers[2]);
    http_turn(world->http, clock_ns() + 60 * CLOCK_S);
    WAIT(world, peers[2]->ended);
    assert_int_equal(http_due_ns(world->http), CLOCK_NEVER);
    exchange(world, "one", OK);
    assert_int_equal(world->service.accepted, 4);
}

static void nothing_is_due_before_there_is_a_call(void **state)
{
    struct world *world = opened(state);
    assert_int_equal(http_due_ns(world->http), CLOCK_NEVER);
    http_turn(world->http, clock_ns());
    assert_int_equal(http_due_ns(world->http), CLOCK_NEVER);
    http_ready(world->http, world->service.listen_fd, EPOLLIN);
    assert_int_equal(world->service.accepted, 0);
}

static void bytes_after_an_answer_end_the_connection(void **state)
{
    struct world *world = opened(state);
    static const char *const stray[] = {
        "x", "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen", "HTTP/1.1 408 Idle\r\n\r\n"};
    char answer[256];
    for (size_t i = 0; i < COUNT(stray); i++)
        for (int later = 0; later < 2; later++) {
            struct ask *one = ask(world, "first");
            struct peer *peer = asked(world, "first");
            snprintf(answer, sizeof answer, OK "%s", later ? "" : stray[i]);
            reply(world, peer, answer);
            expect_answer(world, one, 200, "ok");
            if (later)
                peer_send(&world->service, peer, stray[i]);
            WAIT(world, peer->ended);
            one = ask(world, "second");
            struct peer *other = asked(world, "second");
            assert_ptr_not_equal(other, peer);
            reply(world, other, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nown");
            expect_answer(world, one, 200, "own");
        }
}

/* They are there, and the loop has not seen them, when the next call goes out. */
static void bytes_before_the_next_question_are_not_its_answer(void **state)
{
    struct world *world = opened(state);
    struct peer *peer = exchange(world, "first", OK);
    peer_send(&world->service, peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
    struct ask *one = ask(world, "second");
    http_turn(world->http, clock_ns());
    struct peer *other = asked(world, "second");
    assert_ptr_not_equal(other, peer);
    reply(world, other, OK);
    expect_answer(world, one, 200, "ok");
}

static void a_connection_closed_while_idle_is_no_failure(void **state)
{
    struct world *world = opened(state);
    struct peer *peers[3];
    keep_connections(world, peers, 3);
    peer_end(peers[2]);
    peer_reset(&world->service, peers[1]);
    WAIT(world, peers[2]->ended);
    assert_ptr_equal(exchange(world, "next", OK), peers[0]);
    peer_end(peers[0]);
    WAIT(world, peers[0]->ended);
    exchange(world, "next", OK);
    assert_int_equal(world->service.accepted, 4);
}

/* The end is there, and the loop has not seen it, when the next call goes out. */
static void a_connection_closed_unnoticed_is_no_failure(void **state)
{
    struct world *world = opened(state);
    for (int reset = 0; reset < 2; reset++) {
        struct peer *peer = exchange(world, "first", OK);
        if (reset)
            peer_reset(&world->service, peer);
        else
            peer_close(&world->service, peer);
        struct ask *one = ask(world, "next");
        http_turn(world->http, clock_ns());
        reply(world, asked(world, "next"), OK);
        expect_answer(world, one, 200, "ok");
        assert_int_equal(world->service.accepted, 2 + reset);
    }
}

/* ---- what is made again, and what fails ---- */

static void a_call_without_any_answer_is_made_again(void **state)
{
    struct world *world = opened(state);
    static const struct http_request requests[] = {
        {.path = "next", .token = "t", .token_serial = 1},
        {.path = "next", .json = "{\"a\":1}"},
    };
    for (size_t i = 0; i < COUNT(requests); i++)
        for (int reset = 0; reset < 2; reset++) {
            exchange(world, "first", OK);
            struct ask *one = ask_with(world, requests[i]);
            struct peer *peer = asked(world, "next");
            char *request = strdup(peer->in.data);
            assert_non_null(request);
            if (reset)
                peer_reset(&world->service, peer);
            else
                peer_close(&world->service, peer);
            peer = asked(world, "next");
            assert_string_equal(peer->in.data, request);
            free(request);
            reply(world, peer, OK);
            expect_answer(world, one, 200, "ok");
        }
}

/* Said of an idle connection, on its way while the next question was. */
static void a_timeout_that_the_service_tells_is_no_answer(void **state)
{
    struct world *world = opened(state);
    static const char late[] = "HTTP/1.1 408 Too Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for (size_t piece = 1; piece < sizeof late; piece += sizeof late - 2) {
        struct peer *peer = exchange(world, "first", OK);
        struct ask *one = ask(world, "next");
        assert_ptr_equal(asked(world, "next"), peer);
        reply_in_pieces(world, peer, late, piece);
        struct peer *other = asked(world, "next");
        assert_ptr_not_equal(other, peer);
        reply(world, other, OK_HEAD "Connection: close\r\n\r\nok");
        expect_answer(world, one, 200, "ok");
    }
    struct ask *one = ask(world, "fresh");
    reply(world, asked(world, "fresh"), late);
    expect_answer(world, one, 408, "");
}

static void a_call_is_made_again_at_most_a_few_times(void **state)
{
    struct world *world = opened(state);
    struct peer *peers[REPEATS + 2];
    keep_connections(world, peers, COUNT(peers));
    struct ask *one = ask(world, "unlucky");
    for (int i = 0; i <= REPEATS; i++) {
        assert_false(one->done);
        struct peer *peer = asked(world, "unlucky");
        assert_ptr_equal(peer, peers[REPEATS + 1 - i]);
        peer_close(&world->service, peer);
    }
    expect_failure(world, one, TRANSPORT_FAILED, "closed the connection");
    assert_ptr_equal(exchange(world, "next", OK), peers[0]);
    assert_int_equal(world->service.accepted, REPEATS + 2);
}

/* It may have been read, and it may be why. */
static void a_call_on_a_fresh_connection_fails_with_it(void **state)
{
    struct world *world = opened(state);
    struct ask *one = ask(world, "first");
    peer_close(&world->service, asked(world, "first"));
    expect_failure(world, one, TRANSPORT_FAILED, "closed the connection");
    one = ask(world, "second");
    peer_reset(&world->service, asked(world, "second"));
    expect_failure(world, one, TRANSPORT_FAILED, "connection");
    exchange(world, "third", OK);
    assert_int_equal(world->service.accepted, 3);
}

static void a_call_cut_off_in_its_answer_fails(void **state)
{
    struct world *world = opened(state);
    static const char *const parts[] = {
        "H",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
        CHUNKED "2\r\no",
        CHUNKED "2\r\nok\r\n",
        CHUNKED "2\r\nok\r\n0\r\n",
    };
    for (size_t i = 0; i < COUNT(parts); i++)
        for (int kept = 0; kept < 2; kept++)
            for (int reset = 0; reset < 2; reset++) {
                struct peer *peer = kept ? exchange(world, "first", OK) : NULL;
                struct ask *one = ask(world, "cut");
                peer = asked(world, "cut");
                reply_in_pieces(world, peer, parts[i], strlen(parts[i]));
                assert_false(one->done);
                if (reset)
                    peer_reset(&world->service, peer);
                else
                    peer_close(&world->service, peer);
                expect_failure(world, one, TRANSPORT_FAILED, reset ? "broke" : "closed the connection");
                assert_null(peer_asked_for(&world->service, "cut"));
            }
}

static void a_refused_connection_fails_in_words(void **state)
{
    struct world *world = opened(state);
    service_refuse(&world->service);
    struct ask *asks[5];
    for (size_t i = 0; i < COUNT(asks); i++)
        asks[i] = ask(world, "nobody");
    for (size_t i = 0; i < COUNT(asks); i++)
        expect_failure(world, asks[i], TRANSPORT_FAILED, "connect");
    assert_int_equal(http_due_ns(world->http), CLOCK_NEVER);
}

/* ---- what takes too long ---- */

static void expect_timeout(struct world *world, struct ask *ask, int64_t timeout_ms, const char *word)
{
    expect_failure(world, ask, TRANSPORT_TIMEOUT, word);
    int64_t took_ns = ask->ended_ns - ask->started_ns;
    assert_in_range(took_ns, timeout_ms * CLOCK_MS, timeout_ms * CLOCK_MS + LATE_NS);
}

static void a_call_times_out_and_the_others_go_on(void **state)
{
    enum { TIMEOUT_MS = 250 };
    static const struct {
        const char *path, *begun, *word;
    } hanging[] = {
        {"none", "", "without an answer"},
        {"head", "HTTP/1.1 200 OK\r\nContent-", "without an answer"},
        {"interim", "HTTP/1.1 100 Continue\r\n\r\n", "without an answer"},
        {"body", OK_HEAD "\r\n", "in the middle of the answer"},
        {"half", OK_HEAD "\r\no", "in the middle of the answer"},
        {"chunk", CHUNKED "2\r\nok\r\n", "in the middle of the answer"},
    };
    struct world *world = opened_with(state, (struct http_config){.timeout_ms = TIMEOUT_MS});
    struct ask *asks[COUNT(hanging)];
    struct peer *peers[COUNT(hanging)];
    for (size_t i = 0; i < COUNT(hanging); i++) {
        asks[i] = ask(world, hanging[i].path);
        peers[i] = asked(world, hanging[i].path);
        reply(world, peers[i], hanging[i].begun);
    }
    int others = 0;
    for (; !asks[0]->done; others++)
        exchange(world, "other", OK);
    assert_true(others > 0);
    for (size_t i = 0; i < COUNT(hanging); i++) {
        expect_timeout(world, asks[i], TIMEOUT_MS, hanging[i].word);
        WAIT(world, peers[i]->ended);
    }
    exchange(world, "other", OK);
    assert_int_equal(world->service.accepted, (int)COUNT(hanging) + 1);
}

/* A connection is opened for whoever waits, and for nobody who is gone. */
static void a_call_times_out_while_it_waits(void **state)
{
    enum { TIMEOUT_MS = 150, PLACES = 3 };
    struct world *world =
        opened_with(state, (struct http_config){.connections = PLACES, .timeout_ms = TIMEOUT_MS});
    struct ask *asks[PLACES + 2];
    for (size_t i = 0; i < COUNT(asks); i++)
        asks[i] = ask(world, "hanging");
    for (size_t i = 0; i < COUNT(asks); i++)
        expect_timeout(
            world, asks[i], TIMEOUT_MS, i < PLACES ? "without an answer" : "waiting for a connection");
    for (int i = 0; i < 3; i++)
        exchange(world, "next", OK);
    assert_int_equal(world->service.accepted, PLACES + 1);
}

/* The answer to a call that is over is nobody's. */
static void an_answer_after_the_timeout_is_not_taken(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.timeout_ms = 100, .connections = 1});
    struct ask *late = ask(world, "late");
    struct peer *peer = asked(world, "late");
    WAIT(world, late->done);
    assert_int_equal(late->answer.transport, TRANSPORT_TIMEOUT);
    if (peer->fd >= 0)
        reply(world, peer, OK);
    struct ask *next = ask(world, "next");
    reply(world, asked(world, "next"), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown");
    expect_answer(world, next, 200, "own");
}

/* A listener that the kernel completes no more connections for. */
struct full {
    int listen_fd;
    int fds[16];
    int count;
    char url[64];
};

static void full_open(struct full *full)
{
    struct sockaddr_in address;
    full->listen_fd = listener(&address, 0);
    snprintf(full->url, sizeof full->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    for (full->count = 0; full->count < (int)COUNT(full->fds);) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        full->fds[full->count++] = fd;
        connect(fd, (struct sockaddr *)&address, sizeof address);
        struct tcp_info info;
        socklen_t size = sizeof info;
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        if (info.tcpi_state == TCP_SYN_SENT)
            return;
    }
    fail_msg("the listener takes connections without end");
}

static void full_close(struct full *full)
{
    while (full->count)
        close(full->fds[--full->count]);
    close(full->listen_fd);
}

static void a_connection_that_is_not_made_times_out(void **state)
{
    enum { TIMEOUT_MS = 150 };
    struct world *world = *state;
    struct full full;
    full_open(&full);
    for (int connect = 0; connect < 2; connect++) {
        opened_with(state, (struct http_config){
                               .url = full.url,
                               .timeout_ms = connect ? 60000 : TIMEOUT_MS,
                               .connect_timeout_ms = connect ? TIMEOUT_MS : 60000,
                           });
        struct ask *asks[3];
        for (size_t i = 0; i < COUNT(asks); i++)
            asks[i] = ask(world, "nobody");
        for (size_t i = 0; i < COUNT(asks); i++)
            expect_timeout(world, asks[i], TIMEOUT_MS, connect ? "" : "waiting for a connection");
        http_close(world->http);
        world->http = NULL;
    }
    full_close(&full);
}

/* ---- many calls ---- */

static void wait_for_all(struct world *world)
{
    struct ask *ask;
    TAILQ_FOREACH (ask, &world->asks, link)
        WAIT(world, ask->done && !ask->again);
}

static void expect_all_answered(struct world *world, int count)
{
    struct ask *ask;
    wait_for_all(world);
    TAILQ_FOREACH (ask, &world->asks, link) {
        assert_int_equal(ask->answer.transport, TRANSPORT_ANSWERED);
        assert_string_equal(ask->body.data, "ok");
        count--;
    }
    assert_int_equal(count, 0);
}

static void many_calls_share_few_connections(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.connections = 7});
    world->service.automatic = OK;
    for (int i = 0; i < 500; i++)
        ask(world, "many");
    expect_all_answered(world, 500);
    assert_int_equal(world->service.most_open, 7);
    assert_int_equal(world->service.accepted, 7);
}

static void many_calls_on_connections_that_are_not_kept(void **state)
{
    struct world *world = *state;
    static const int most[] = {1, 7};
    for (size_t i = 0; i < COUNT(most); i++)
        for (int closes = 0; closes < 2; closes++) {
            world->service.accepted = world->service.most_open = 0;
            world->service.automatic = OK_HEAD "Connection: close\r\n\r\nok";
            world->service.closes = closes;
            opened_with(state, (struct http_config){.connections = most[i]});
            struct ask *asks[100];
            for (size_t j = 0; j < COUNT(asks); j++)
                asks[j] = ask(world, "many");
            for (size_t j = 0; j < COUNT(asks); j++)
                expect_answer(world, asks[j], 200, "ok");
            http_close(world->http);
            world->http = NULL;
            assert_int_equal(world->service.accepted, (int)COUNT(asks));
            assert_int_equal(world->service.most_open, most[i]);
        }
}

/* The call that the end of another starts waits for the place that is free then. */
static void a_call_that_waits_takes_the_place_of_one_that_is_over(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.connections = 1, .timeout_ms = 150});
    struct ask *one = ask(world, "hanging");
    one->again = 3;
    asked(world, "hanging");
    reply(world, asked(world, "again"), OK_HEAD "Connection: close\r\n\r\nok");
    peer_close(&world->service, asked(world, "again"));
    reply(world, asked(world, "again"), OK);
    expect_answer(world, one, 200, "ok");
    assert_int_equal(world->service.accepted, 4);
}

static void the_end_of_a_call_starts_others(void **state)
{
    struct world *world = opened(state);
    world->service.automatic = OK;
    struct ask *asks[] = {ask(world, "first"), ask(world, "first")};
    for (size_t i = 0; i < COUNT(asks); i++)
        asks[i]->again = 200;
    expect_all_answered(world, COUNT(asks));
    assert_int_equal(world->service.accepted, 2);
}

static void the_failure_of_a_call_starts_others(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.timeout_ms = 100});
    struct ask *refused = ask(world, "first"), *closed = ask(world, "second"), *hanging = ask(world, "third");
    closed->again = hanging->again = 1;
    struct peer *first = asked(world, "first"), *second = asked(world, "second");
    asked(world, "third");
    peer_close(&world->service, second);
    reply(world, first, OK);
    world->service.automatic = OK;
    wait_for_all(world);
    expect_answer(world, closed, 200, "ok");
    expect_answer(world, hanging, 200, "ok");
    service_refuse(&world->service);
    for (struct peer *peer = TAILQ_FIRST(&world->service.peers); peer; peer = TAILQ_NEXT(peer, link))
        peer_close(&world->service, peer);
    refused->again = 5;
    start(world, refused, (struct http_request){.path = "first"});
    wait_for_all(world);
    assert_int_equal(refused->answer.transport, TRANSPORT_FAILED);
}

/* ---- closing ---- */

/* Calls in every state; the sanitizers see what is left behind. */
static void closing_ends_calls_without_a_word(void **state)
{
    struct world *world = opened_with(state, (struct http_config){.connections = 5});
    static const char *const paths[] = {"idle", "asked", "head", "body", "large"};
    static const char *const begun[] = {
        NULL, "", "HTTP/1.1 200 OK\r\nX-", OK_HEAD "\r\no", CHUNKED "ffff\r\n"};
    struct ask *asks[COUNT(paths) + 20];
    struct peer *peers[COUNT(paths)];
    for (size_t i = 0; i < COUNT(paths); i++) {
        asks[i] = ask_with(world, (struct http_request){.path = paths[i], .token = "t", .token_serial = 1});
        peers[i] = asked(world, paths[i]);
    }
    for (size_t i = 1; i < COUNT(paths); i++)
        reply_in_pieces(world, peers[i], begun[i], SIZE_MAX / 2);
    for (int i = 0; i < 40; i++)
        reply_in_pieces(world, peers[4], "0123456789", 10);
    reply(world, peers[0], OK);
    expect_answer(world, asks[0], 200, "ok");
    for (size_t i = COUNT(paths); i < COUNT(asks); i++)
        asks[i] = ask_with(world, (struct http_request){.path = "waits", .json = "{}"});
    asked(world, "waits");
    http_close(world->http);
    world->http = NULL;
    for (size_t i = 1; i < COUNT(asks); i++)
        assert_false(asks[i]->done);
    opened(state);
    WAIT(world, world->service.open == 0);
}

static void closing_ends_connections_under_way(void **state)
{
    struct world *world = *state;
    struct full full;
    full_open(&full);
    for (int turns = 0; turns < 3; turns++) {
        opened_with(state, (struct http_config){.url = full.url});
        for (int i = 0; i < 40; i++)
            ask(world, "nobody");
        for (int i = 0; i < turns; i++)
            http_turn(world->http, clock_ns());
        http_close(world->http);
        world->http = NULL;
    }
    full_close(&full);
}

#define HTTP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP_TEST(what_is_asked_arrives_byte_for_byte),
        HTTP_TEST(the_token_changes_with_its_serial),
        HTTP_TEST(a_call_that_waits_is_sent_with_the_newest_token),
        HTTP_TEST(paths_are_below_that_of_the_url),
        HTTP_TEST(a_url_that_is_none_is_refused),
        HTTP_TEST(a_large_question_arrives_whole),
        HTTP_TEST(an_answer_before_the_end_of_the_question_ends_the_connection),
        HTTP_TEST(answers_in_every_form),
        HTTP_TEST(answers_cut_into_pieces),
        HTTP_TEST(answers_cut_in_two_anywhere),
        HTTP_TEST(what_is_no_http_fails),
        HTTP_TEST(a_head_without_an_end_fails),
        HTTP_TEST(an_answer_at_the_limit_is_whole),
        HTTP_TEST(an_answer_over_the_limit_is_cut_off),
        HTTP_TEST(answers_do_not_mix),
        HTTP_TEST(retry_after_is_a_number_or_a_date),
        HTTP_TEST(retry_after_is_at_most_an_hour),
        HTTP_TEST(retry_after_that_makes_no_sense_is_none),
        HTTP_TEST(the_connection_used_last_is_used_next),
        HTTP_TEST(a_connection_is_not_kept_for_long),
        HTTP_TEST(nothing_is_due_before_there_is_a_call),
        HTTP_TEST(bytes_after_an_answer_end_the_connection),
        HTTP_TEST(bytes_before_the_next_question_are_not_its_answer),
        HTTP_TEST(a_connection_closed_while_idle_is_no_failure),
        HTTP_TEST(a_connection_closed_unnoticed_is_no_failure),
        HTTP_TEST(a_call_without_any_answer_is_made_again),
        HTTP_TEST(a_timeout_that_the_service_tells_is_no_answer),
        HTTP_TEST(a_call_is_made_again_at_most_a_few_times),
        HTTP_TEST(a_call_on_a_fresh_connection_fails_with_it),
        HTTP_TEST(a_call_cut_off_in_its_answer_fails),
        HTTP_TEST(a_refused_connection_fails_in_words),
        HTTP_TEST(a_call_times_out_and_the_others_go_on),
        HTTP_TEST(a_call_times_out_while_it_waits),
        HTTP_TEST(an_answer_after_the_timeout_is_not_taken),
        HTTP_TEST(a_connection_that_is_not_made_times_out),
        HTTP_TEST(many_calls_share_few_connections),
        HTTP_TEST(many_calls_on_connections_that_are_not_kept),
        HTTP_TEST(a_call_that_waits_takes_the_place_of_one_that_is_over),
        HTTP_TEST(the_end_of_a_call_starts_others),
        HTTP_TEST(the_failure_of_a_call_starts_others),
        HTTP_TEST(closing_ends_calls_without_a_word),
        HTTP_TEST(closing_ends_connections_under_way),
    };
    /* None of a proxy that this machine may have. */
    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
