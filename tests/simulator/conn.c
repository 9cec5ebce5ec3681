// The life of one connection as a small state machine; see conn.h. Runs on the main thread; owns the
// descriptor and both buffers. Edge-triggered: it reads and writes until the kernel says there is no more.
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_STEP = 2048, READ_BODY_STEP = 256 * 1024, DRAIN_MS = 2000 };

#define NS_PER_MS ((int64_t)1000000)

// What a step of the state machine leaves behind.
enum step {
    STEP_ON,   // go on with the next state
    STEP_WAIT, // nothing more to do now
    STEP_OVER, // close
};

struct conn *conn_new(struct conn_host *host, int fd)
{
    struct conn *conn = NULL;
    if (timers_reserve(&host->timers, host->gauges.connections + 1))
        conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->host = host;
    conn->fd = fd;
    conn->state = CONN_READING;
    host->gauges.connections++;
    host->gauges.accepted++;
    if (host->gauges.connections > host->gauges.max_connections)
        host->gauges.max_connections = host->gauges.connections;
    return conn;
}

static void leave_flight(struct conn *conn)
{
    if (conn->in_flight)
        conn->host->gauges.in_flight--;
    conn->in_flight = false;
}

static void enter_flight(struct conn *conn)
{
    struct server_gauges *gauges = &conn->host->gauges;
    conn->in_flight = true;
    if (++gauges->in_flight > gauges->max_in_flight)
        gauges->max_in_flight = gauges->in_flight;
}

void conn_free(struct conn *conn)
{
    leave_flight(conn);
    timers_cancel(&conn->host->timers, &conn->timer);
    conn->host->gauges.connections--;
    close(conn->fd);
    buf_cleanup(&conn->in);
    buf_cleanup(&conn->out);
    free(conn);
}

static void set_timer(struct conn *conn, int64_t delay_ms)
{
    timers_set(&conn->host->timers, &conn->timer, conn->host->now_ns + delay_ms * NS_PER_MS);
}

// Reads once. STEP_ON: there are more bytes in `in`.
static enum step receive(struct conn *conn, size_t expected)
{
    if (!conn->readable)
        return STEP_WAIT;
    if (conn->in_start > 0) {
        conn->in.len -= conn->in_start;
        memmove(conn->in.data, conn->in.data + conn->in_start, conn->in.len);
        conn->in_start = 0;
    }
    size_t missing = expected > conn->in.len ? expected - conn->in.len : 0;
    size_t step = missing > READ_BODY_STEP ? READ_BODY_STEP : missing > READ_STEP ? missing : READ_STEP;
    char *to = buf_reserve(&conn->in, step);
    if (to == NULL)
        return STEP_OVER;
    ssize_t got = recv(conn->fd, to, step, 0);
    if (got > 0) {
        conn->in.len += (size_t)got;
        // A short read has emptied the socket: new bytes raise a new event. The end of the stream may not.
        conn->readable = (size_t)got == step || conn->peer_gone;
        return STEP_ON;
    }
    if (got < 0 && errno == EINTR)
        return STEP_ON;
    if (got == 0 || errno != EAGAIN)
        return STEP_OVER;
    conn->readable = false;
    return STEP_WAIT;
}

static void say_continue(struct conn *conn)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    conn->said_continue = true;
    // Nothing else is being sent now, so these few bytes fit; a client that misses them sends its body
    // anyway.
    if (send(conn->fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0)
        conn->readable = true;
}

// Turns the reply into bytes and sets how they go out.
static bool take_reply(struct conn *conn, struct reply *reply, bool keep_alive, bool without_body)
{
    bool truncated = reply->manner == REPLY_TRUNCATED;
    conn->manner = reply->manner;
    conn->last = !keep_alive || truncated;
    conn->interval_ms = reply->interval_ms;
    conn->padding = truncated || without_body ? 0 : reply->padding;
    conn->out_sent = 0;
    buf_clear(&conn->out);
    http_write_head(&conn->out, reply, !conn->last || truncated);
    size_t head = conn->out.len;
    if (!without_body)
        buf_add(&conn->out, reply->body.data, truncated ? reply->body.len / 2 : reply->body.len);
    conn->out_limit = reply->manner == REPLY_SLOW ? head : conn->out.len;
    return !conn->out.failed && !reply->body.failed;
}

// The reply's time has come.
static enum step deliver(struct conn *conn)
{
    switch (conn->manner) {
    case REPLY_HANG:
        conn->state = CONN_HANGING;
        return STEP_ON;
    case REPLY_CLOSE:
        return STEP_OVER;
    case REPLY_RESET:
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        return STEP_OVER;
    case REPLY_WHOLE:
    case REPLY_TRUNCATED:
    case REPLY_SLOW:
        break;
    }
    conn->state = CONN_WRITING;
    return STEP_ON;
}

static enum step answer(struct conn *conn, const struct http_request *request, enum http_progress progress)
{
    struct conn_host *host = conn->host;
    struct reply *reply = &host->reply;
    reply_clear(reply);
    if (progress == HTTP_BAD) {
        reply_error(reply, request->status, -1, http_reason(request->status));
        conn->in_start = conn->in.len;
    } else {
        host->answer(host->context, request, reply);
        if (reply->in_flight)
            enter_flight(conn);
    }
    bool without_body = http_equal(request->method, "HEAD") || reply->status == 204 || reply->status == 304;
    bool taken = take_reply(conn, reply, request->keep_alive, without_body);
    int64_t delay_ms = reply->delay_ms;
    conn->in_start += request->size;
    conn->said_continue = false;
    if (!taken)
        return STEP_OVER;
    if (delay_ms == 0)
        return deliver(conn);
    set_timer(conn, delay_ms);
    conn->state = CONN_DELAYED;
    return STEP_ON;
}

static enum step read_request(struct conn *conn)
{
    struct http_request request = {0};
    enum http_progress progress = HTTP_MORE;
    if (conn->in_start < conn->in.len)
        progress =
            http_read((struct span){conn->in.data + conn->in_start, conn->in.len - conn->in_start}, &request);
    if (progress != HTTP_MORE)
        return answer(conn, &request, progress);
    if (request.continues && !conn->said_continue)
        say_continue(conn);
    return receive(conn, request.size);
}

// A client that closes, or half-closes, before its answer has given up waiting.
static enum step wait_for_time(struct conn *conn)
{
    return conn->peer_gone ? STEP_OVER : STEP_WAIT;
}

// Sends up to the limit. STEP_ON: all that may be sent by now is sent.
static enum step send_out(struct conn *conn)
{
    const char *spaces = conn->host->spaces;
    for (;;) {
        size_t left = conn->out_limit - conn->out_sent;
        bool padding = left == 0;
        const char *from = padding ? spaces : conn->out.data + conn->out_sent;
        size_t len = !padding ? left : conn->padding < CONN_SPACES ? conn->padding : CONN_SPACES;
        if (len == 0)
            return STEP_ON;
        ssize_t sent = send(conn->fd, from, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? STEP_WAIT : STEP_OVER;
        if (padding)
            conn->padding -= (size_t)sent;
        else
            conn->out_sent += (size_t)sent;
    }
}

static enum step write_reply(struct conn *conn)
{
    enum step step = send_out(conn);
    if (step != STEP_ON)
        return step;
    if (conn->out_limit < conn->out.len) {
        set_timer(conn, conn->interval_ms);
        conn->state = CONN_PAUSED;
        return STEP_ON;
    }
    leave_flight(conn);
    buf_clear(&conn->out);
    if (conn->in_start == conn->in.len) {
        buf_clear(&conn->in);
        conn->in_start = 0;
    }
    conn->state = CONN_READING;
    if (conn->last) {
        shutdown(conn->fd, SHUT_WR);
        set_timer(conn, DRAIN_MS);
        conn->state = CONN_DRAINING;
    }
    return STEP_ON;
}

static enum step drain(struct conn *conn)
{
    conn->in_start = conn->in.len;
    return receive(conn, 0);
}

static enum step take_step(struct conn *conn)
{
    switch (conn->state) {
    case CONN_READING:
        return read_request(conn);
    case CONN_DELAYED:
    case CONN_HANGING:
        return wait_for_time(conn);
    case CONN_WRITING:
        return write_reply(conn);
    case CONN_PAUSED:
        return STEP_WAIT;
    case CONN_DRAINING:
        return drain(conn);
    }
    return STEP_OVER;
}

bool conn_run(struct conn *conn)
{
    enum step step = STEP_ON;
    while (step == STEP_ON)
        step = take_step(conn);
    return step == STEP_WAIT;
}

bool conn_due(struct conn *conn)
{
    timers_cancel(&conn->host->timers, &conn->timer);
    if (conn->state == CONN_DRAINING)
        return false;
    if (conn->state == CONN_DELAYED && deliver(conn) == STEP_OVER)
        return false;
    if (conn->state == CONN_PAUSED) {
        conn->out_limit++;
        conn->state = CONN_WRITING;
    }
    return conn_run(conn);
}
