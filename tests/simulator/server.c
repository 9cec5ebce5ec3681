// Listener, signals and the epoll loop; see server.h. Runs on the main thread; owns all connections and their
// timers.
#include "server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conn.h"

enum { EVENTS = 512, BACKLOG = 16384, WANTED_FILES = 65536 };

#define NS_PER_S ((int64_t)1000000000)
#define NS_PER_MS ((int64_t)1000000)

struct server {
    struct conn_host host;
    TAILQ_HEAD(, conn) conns; // owned
    int epoll_fd, listen_fd, signal_fd;
    bool accepting; // false while there are no free descriptors
    bool stopping;
};

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= WANTED_FILES)
        return;
    limit.rlim_cur = limit.rlim_max < WANTED_FILES ? limit.rlim_max : WANTED_FILES;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Splits HOST:PORT, with brackets around an IPv6 address. Host and port fit NI_MAXHOST and NI_MAXSERV.
static bool split_address(const char *text, char *host, char *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0')
        return false;
    size_t len = (size_t)(colon - text);
    if (text[0] == '[' && len > 2 && colon[-1] == ']') {
        text++;
        len -= 2;
    }
    if (len >= NI_MAXHOST || strlen(colon + 1) >= NI_MAXSERV)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static int open_listener(const char *text, char *error, size_t error_size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found = NULL;
    if (!split_address(text, host, port) || getaddrinfo(host, port, &hints, &found) != 0) {
        snprintf(
            error, error_size, "\"%.80s\" is not an address; expected HOST:PORT, such as 127.0.0.1:0", text);
        return -1;
    }
    int fd = listen_on(found);
    if (fd < 0)
        snprintf(error, error_size, "cannot listen on \"%.80s\": %s", text, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool watch(const struct server *server, int fd, uint32_t events, void *who)
{
    struct epoll_event event = {.events = events, .data.ptr = who};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_loop(struct server *server)
{
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->signal_fd = open_signals();
    if (server->epoll_fd < 0 || server->signal_fd < 0)
        return false;
    return watch(server, server->listen_fd, EPOLLIN, &server->listen_fd) &&
           watch(server, server->signal_fd, EPOLLIN, &server->signal_fd);
}

struct server *server_open(
    const char *listen, server_answer answer, void *context, char *error, size_t error_size)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    raise_file_limit();
    TAILQ_INIT(&server->conns);
    server->host.answer = answer;
    server->host.context = context;
    memset(server->host.spaces, ' ', sizeof server->host.spaces);
    server->accepting = true;
    server->epoll_fd = server->signal_fd = -1;
    server->listen_fd = open_listener(listen, error, error_size);
    if (server->listen_fd < 0) {
        server_close(server);
        return NULL;
    }
    if (!open_loop(server)) {
        snprintf(error, error_size, "cannot set up the event loop: %s", strerror(errno));
        server_close(server);
        return NULL;
    }
    return server;
}

static void end_conn(struct server *server, struct conn *conn)
{
    TAILQ_REMOVE(&server->conns, conn, link);
    conn_free(conn);
    if (server->accepting)
        return;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->listen_fd};
    server->accepting = epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &event) == 0;
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    struct conn *conn;
    while ((conn = TAILQ_FIRST(&server->conns)) != NULL) {
        TAILQ_REMOVE(&server->conns, conn, link);
        conn_free(conn);
    }
    timers_cleanup(&server->host.timers);
    buf_cleanup(&server->host.reply.body);
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->signal_fd >= 0)
        close(server->signal_fd);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    free(server);
}

void server_url(const struct server *server, char *url, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (getsockname(server->listen_fd, (struct sockaddr *)&address, &len) == 0)
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
            NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = address.ss_family == AF_INET6;
    snprintf(url, size, "http://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

// Out of descriptors, the listener would be ready for ever: look away until a connection ends.
static void stop_accepting(struct server *server)
{
    struct epoll_event event = {.events = 0, .data.ptr = &server->listen_fd};
    if (!TAILQ_EMPTY(&server->conns) &&
        epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listen_fd, &event) == 0)
        server->accepting = false;
}

static void accept_all(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                stop_accepting(server);
            return;
        }
        struct conn *conn = conn_new(&server->host, fd);
        if (conn == NULL)
            continue;
        TAILQ_INSERT_TAIL(&server->conns, conn, link);
        if (!watch(server, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, conn))
            end_conn(server, conn);
    }
}

static void handle_event(struct server *server, const struct epoll_event *event)
{
    if (event->data.ptr == &server->listen_fd) {
        accept_all(server);
        return;
    }
    if (event->data.ptr == &server->signal_fd) {
        server->stopping = true;
        return;
    }
    struct conn *conn = event->data.ptr;
    if (event->events & EPOLLRDHUP)
        conn->peer_gone = true;
    if (event->events & (EPOLLIN | EPOLLRDHUP))
        conn->readable = true;
    if ((event->events & (EPOLLERR | EPOLLHUP)) || !conn_run(conn))
        end_conn(server, conn);
}

static void update_now(struct server *server)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    server->host.now_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void run_timers(struct server *server)
{
    struct timer *timer;
    while ((timer = timers_peek(&server->host.timers)) != NULL && timer->due_ns <= server->host.now_ns) {
        struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
        if (!conn_due(conn))
            end_conn(server, conn);
    }
}

// Rounded up: no answer comes before its time.
static int wait_ms(const struct server *server)
{
    const struct timer *timer = timers_peek(&server->host.timers);
    if (timer == NULL)
        return -1;
    int64_t left_ns = timer->due_ns - server->host.now_ns;
    return left_ns <= 0 ? 0 : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

bool server_run(struct server *server)
{
    struct epoll_event events[EVENTS];
    while (!server->stopping) {
        update_now(server);
        run_timers(server);
        int count = epoll_wait(server->epoll_fd, events, EVENTS, wait_ms(server));
        if (count < 0 && errno != EINTR)
            return false;
        update_now(server);
        for (int i = 0; i < count; i++)
            handle_event(server, &events[i]);
    }
    return true;
}

const struct server_gauges *server_gauges(const struct server *server)
{
    return &server->host.gauges;
}

void server_reset_gauges(struct server *server)
{
    struct server_gauges *gauges = &server->host.gauges;
    gauges->max_in_flight = gauges->in_flight;
    gauges->max_connections = gauges->connections;
    gauges->accepted = 0;
}
