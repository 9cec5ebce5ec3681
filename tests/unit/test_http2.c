/* HTTP/2 on one connection, against a service that the test itself plays in the same thread with a session of
 * libnghttp2: what is asked as it arrives, every way in which a call ends, how many calls there is room for,
 * and when the connection is over. */
#include "worker/http2.h"

#include "common/clock.h"
#include "worker/connection.h"

#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define BYTES(text) text, sizeof(text) - 1
#define TOKEN "Bearer c0ffee"

enum {
    BUF_LIMIT = 16 << 20,
    TURNS_MAX = 100000,
    SCRATCH_SIZE = 16 * 1024,
    FRAME_SIZE = 16 * 1024,
    LARGE = HTTP_BODY_LIMIT + 40000,
};

/* ---- libnghttp2 out of memory ---- */

static bool no_memory;

int __real_nghttp2_submit_rst_stream(
    nghttp2_session *session, uint8_t flags, int32_t stream_id, uint32_t error_code);
int __wrap_nghttp2_submit_rst_stream(
    nghttp2_session *session, uint8_t flags, int32_t stream_id, uint32_t error_code);
int __wrap_nghttp2_submit_rst_stream(
    nghttp2_session *session, uint8_t flags, int32_t stream_id, uint32_t error_code)
{
    return no_memory ? NGHTTP2_ERR_NOMEM
                     : __real_nghttp2_submit_rst_stream(session, flags, stream_id, error_code);
}

/* ---- the service ---- */

/* A request as the service has it. */
struct request {
    int32_t stream_id;
    struct buf head; /* a line a field */
    struct buf body;
    bool whole;
    bool reset; /* by the client, with error_code */
    uint32_t error_code;
    const char *data; /* what is left of the answer's body */
    size_t size;
    TAILQ_ENTRY(request) link;
};

struct service {
    int fd;                   /* -1: closed */
    nghttp2_session *session; /* NULL: the test sends bytes, and what comes is not read */
    TAILQ_HEAD(requests, request) requests;
    size_t request_count;
    const char *automatic; /* answers every request; NULL: the test does */
    size_t padding;        /* of every frame */
    struct buf out;
    size_t out_sent;
    size_t piece; /* most bytes that are sent in a turn */
    bool deaf;    /* does not read */
};

static char large[LARGE];

static struct request *request_new(struct service *service, int32_t stream_id)
{
    struct request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    request->stream_id = stream_id;
    buf_init(&request->head, BUF_LIMIT);
    buf_init(&request->body, BUF_LIMIT);
    TAILQ_INSERT_TAIL(&service->requests, request, link);
    service->request_count++;
    return request;
}

static void request_free(struct service *service, struct request *request)
{
    TAILQ_REMOVE(&service->requests, request, link);
    buf_cleanup(&request->head);
    buf_cleanup(&request->body);
    free(request);
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
        .value = (uint8_t *)value,
        .namelen = strlen(name),
        .valuelen = strlen(value)};
}

static ssize_t on_read(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t size,
    uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session;
    (void)stream_id;
    (void)context;
    struct request *request = source->ptr;
    size_t taken = request->size < size ? request->size : size;
    memcpy(data, request->data, taken);
    request->data += taken;
    request->size -= taken;
    if (!request->size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)taken;
}

static void submit_head(
    struct service *service, struct request *request, uint8_t flags, const nghttp2_nv *fields, size_t count)
{
    assert_int_equal(
        nghttp2_submit_headers(service->session, flags, request->stream_id, NULL, fields, count, NULL), 0);
}

static void submit_data(
    struct service *service, struct request *request, uint8_t flags, const char *data, size_t size)
{
    nghttp2_data_provider provider = {.source.ptr = request, .read_callback = on_read};
    request->data = data;
    request->size = size;
    assert_int_equal(nghttp2_submit_data(service->session, flags, request->stream_id, &provider), 0);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct request *request = request_new(context, frame->hd.stream_id);
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *context)
{
    (void)flags;
    (void)context;
    struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool ok = buf_append(&request->head, name, name_size) && buf_append(&request->head, ": ", 2) &&
              buf_append(&request->head, value, value_size) && buf_append(&request->head, "\n", 1);
    return ok ? 0 : -1;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
    size_t size, void *context)
{
    (void)flags;
    (void)context;
    struct request *request = nghttp2_session_get_stream_user_data(session, stream_id);
    return buf_append(&request->body, data, size) ? 0 : -1;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct service *service = context;
    struct request *request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!request)
        return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        request->reset = true;
        request->error_code = frame->rst_stream.error_code;
    } else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        nghttp2_nv status = field(":status", "200");
        request->whole = true;
        if (!service->automatic)
            return 0;
        submit_head(service, request, NGHTTP2_FLAG_NONE, &status, 1);
        submit_data(
            service, request, NGHTTP2_FLAG_END_STREAM, service->automatic, strlen(service->automatic));
    }
    return 0;
}

/* The test looks only at requests that it answers itself. */
static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *context)
{
    (void)error_code;
    struct service *service = context;
    struct request *request = nghttp2_session_get_stream_user_data(session, stream_id);
    if (service->automatic && request) {
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        request_free(service, request);
    }
    return 0;
}

static ssize_t on_padding(nghttp2_session *session, const nghttp2_frame *frame, size_t most, void *context)
{
    (void)session;
    const struct service *service = context;
    size_t padded = frame->hd.length + service->padding;
    return (ssize_t)(padded < most ? padded : most);
}

static void service_send_bytes(struct service *service, const char *data, size_t size)
{
    assert_true(buf_append(&service->out, data, size));
}

/* A frame that the session would not make. */
static void service_send_frame(
    struct service *service, int type, int flags, int32_t stream_id, const char *payload, size_t size)
{
    uint32_t id = (uint32_t)stream_id;
    const char head[9] = {(char)(size >> 16), (char)(size >> 8), (char)size, (char)type, (char)flags,
        (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id};
    service_send_bytes(service, head, sizeof head);
    service_send_bytes(service, payload, size);
}

/* After each submission, else the session would put frames in another order. */
static void service_collect(struct service *service)
{
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(service->session, &data)) > 0)
        service_send_bytes(service, (const char *)data, (size_t)size);
    assert_int_equal(size, 0);
}

static void service_set(struct service *service, const nghttp2_settings_entry *settings, size_t count)
{
    assert_int_equal(nghttp2_submit_settings(service->session, NGHTTP2_FLAG_NONE, settings, count), 0);
    service_collect(service);
}

static void service_allow(struct service *service, uint32_t streams)
{
    service_set(service, &(nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams}, 1);
}

static void service_go_away(struct service *service, int32_t last_stream_id)
{
    assert_int_equal(
        nghttp2_submit_goaway(service->session, NGHTTP2_FLAG_NONE, last_stream_id, NGHTTP2_NO_ERROR, NULL, 0),
        0);
    service_collect(service);
}

static void service_ping(struct service *service)
{
    assert_int_equal(nghttp2_submit_ping(service->session, NGHTTP2_FLAG_NONE, NULL), 0);
    service_collect(service);
}

static void service_begin(struct service *service, const nghttp2_settings_entry *settings, size_t count)
{
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_select_padding_callback(callbacks, on_padding);
    assert_int_equal(nghttp2_session_server_new(&service->session, callbacks, service), 0);
    nghttp2_session_callbacks_del(callbacks);
    service_set(service, settings, count);
}

static void service_hang_up(struct service *service)
{
    if (service->fd >= 0)
        close(service->fd);
    service->fd = -1;
}

static void service_close(struct service *service)
{
    struct request *request;
    service_hang_up(service);
    nghttp2_session_del(service->session);
    buf_cleanup(&service->out);
    while ((request = TAILQ_FIRST(&service->requests)))
        request_free(service, request);
}

/* Bytes that came. */
static size_t service_receive(struct service *service)
{
    uint8_t bytes[SCRATCH_SIZE];
    size_t all = 0;
    ssize_t size;
    while (!service->deaf && (size = recv(service->fd, bytes, sizeof bytes, 0)) > 0) {
        all += (size_t)size;
        if (service->session)
            assert_int_equal(nghttp2_session_mem_recv(service->session, bytes, (size_t)size), size);
    }
    return all;
}

/* Bytes that were sent. */
static size_t service_send(struct service *service)
{
    size_t left = service->out.size - service->out_sent;
    size_t most = left < service->piece ? left : service->piece;
    if (!most)
        return 0;
    ssize_t sent = send(service->fd, service->out.data + service->out_sent, most, MSG_NOSIGNAL);
    if (sent < 0)
        return 0;
    service->out_sent += (size_t)sent;
    if (service->out_sent == service->out.size) {
        buf_reset(&service->out, SIZE_MAX);
        service->out_sent = 0;
    }
    return (size_t)sent;
}

/* Bytes that it received or sent. */
static size_t service_turn(struct service *service)
{
    if (service->fd < 0)
        return 0;
    size_t received = service_receive(service);
    if (service->session)
        service_collect(service);
    return received + service_send(service);
}

/* ---- calls ---- */

enum told { NOTHING, ANSWERED, TOO_LARGE, FAILED, CUT_OFF, UNREAD };

/* A call and what was told about it. */
struct ask {
    struct http_call *call; /* NULL: ended, or dropped */
    int32_t stream_id;
    struct request *request; /* see asked() */
    enum told told;
    int status;
    struct buf body;
    char failure[128];
    char retry_after[64];
    TAILQ_ENTRY(ask) link;
};

struct world {
    struct http_origin origin;
    struct connection *connection;
    struct service service;
    TAILQ_HEAD(, ask) asks;
    int64_t now_ns;
    char scratch[SCRATCH_SIZE];
};

/* Its memory goes at once, so that AddressSanitizer sees who still looks at it. */
static void ask_detach(struct ask *ask)
{
    struct http_call *call = ask->call;
    if (!call)
        return;
    TAILQ_REMOVE(&call->connection->calls, call, link);
    buf_cleanup(&call->body);
    free(call->json);
    free(call);
    ask->call = NULL;
}

static void tell(struct http_call *call, enum told told, const char *failure)
{
    struct ask *ask = call->subject;
    assert_int_equal(ask->told, NOTHING);
    ask->told = told;
    ask->status = call->status;
    snprintf(ask->failure, sizeof ask->failure, "%s", failure);
    ask_detach(ask);
}

/* In place of those of http.c. */
void http_call_answered(struct http_call *call, const char *data, size_t size)
{
    struct ask *ask = call->subject;
    call->connection->answered = true;
    assert_true(call->too_large || !size || http_call_keep(call, data, size));
    if (call->body.size)
        assert_true(buf_append(&ask->body, call->body.data, call->body.size));
    tell(call, call->too_large ? TOO_LARGE : ANSWERED, "");
}

void http_call_failed(struct http_call *call, enum transport transport, const char *failure)
{
    assert_int_equal(transport, TRANSPORT_FAILED);
    tell(call, FAILED, failure);
}

void http_call_cut_off(struct http_call *call, const char *failure)
{
    tell(call, CUT_OFF, failure);
}

void http_call_unread(struct http_call *call)
{
    tell(call, UNREAD, "");
}

bool http_call_keep(struct http_call *call, const char *data, size_t size)
{
    assert_false(call->too_large);
    call->too_large = !buf_append(&call->body, data, size);
    return !call->too_large;
}

void http_call_retry_after(struct http_call *call, const char *value, size_t size)
{
    struct ask *ask = call->subject;
    snprintf(ask->retry_after, sizeof ask->retry_after, "%.*s", (int)size, value);
}

static struct http_call *call_new(struct ask *ask, const char *path, const char *json, bool authorized)
{
    struct http_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    call->subject = ask;
    snprintf(call->path, sizeof call->path, "%s", path);
    call->json = json ? strdup(json) : NULL;
    call->authorized = authorized;
    buf_init(&call->body, HTTP_BODY_LIMIT);
    return call;
}

/* It is not sent yet. */
static struct ask *ask_with(struct world *world, const char *path, const char *json, bool authorized)
{
    struct ask *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    assert_int_equal(connection_state(world->connection), CONNECTION_ROOMY);
    buf_init(&ask->body, BUF_LIMIT);
    assert_true(buf_append(&ask->body, "", 0));
    ask->call = call_new(ask, path, json, authorized);
    TAILQ_INSERT_TAIL(&world->asks, ask, link);
    connection_take(world->connection, ask->call, world->now_ns);
    assert_non_null(ask->call);
    ask->stream_id = ask->call->stream_id;
    return ask;
}

static struct ask *ask(struct world *world, const char *path)
{
    return ask_with(world, path, NULL, false);
}

/* As http.c does with a call that has timed out. */
static void drop(struct world *world, struct ask *ask)
{
    assert_non_null(ask->call);
    connection_drop(world->connection, ask->call);
    ask_detach(ask);
}

static void forget(struct world *world, struct ask *ask)
{
    ask_detach(ask);
    TAILQ_REMOVE(&world->asks, ask, link);
    buf_cleanup(&ask->body);
    free(ask);
}

/* ---- the loop ---- */

static void client_turn(struct world *world)
{
    connection_ready(world->connection, world->scratch, sizeof world->scratch, world->now_ns);
    connection_flush(world->connection);
}

static size_t world_turn(struct world *world)
{
    client_turn(world);
    return service_turn(&world->service);
}

/* Until both have read all that there is to be read. */
static void settle(struct world *world)
{
    int turns_left = TURNS_MAX;
    while (world_turn(world))
        assert_int_not_equal(turns_left--, 0);
    client_turn(world);
}

static struct request *request_of(struct service *service, const struct ask *ask)
{
    struct request *request;
    TAILQ_FOREACH (request, &service->requests, link)
        if (request->stream_id == ask->stream_id)
            return request;
    return NULL;
}

/* Waits for a call to be with the service. */
static struct ask *asked(struct world *world, struct ask *ask)
{
    settle(world);
    ask->request = request_of(&world->service, ask);
    assert_true(ask->request && ask->request->whole);
    return ask;
}

static struct ask *arrived(struct world *world, const char *path)
{
    return asked(world, ask(world, path));
}

/* ---- answers: what is sent goes with the next turn ---- */

static void send_head(struct world *world, struct ask *ask, const char *status, uint8_t flags)
{
    nghttp2_nv only = field(":status", status);
    submit_head(&world->service, ask->request, flags, &only, 1);
    service_collect(&world->service);
}

static void send_data(struct world *world, struct ask *ask, const char *text, uint8_t flags)
{
    submit_data(&world->service, ask->request, flags, text, strlen(text));
    service_collect(&world->service);
}

/* With a field more than the status; without a status: trailers. */
static void send_fields(struct world *world, struct ask *ask, const char *status, const char *name,
    const char *value, uint8_t flags)
{
    nghttp2_nv fields[2] = {field(name, value)};
    if (status) {
        fields[1] = fields[0];
        fields[0] = field(":status", status);
    }
    submit_head(&world->service, ask->request, flags, fields, status ? 2 : 1);
    service_collect(&world->service);
}

static void reply(struct world *world, struct ask *ask, const char *status, const char *body)
{
    send_head(world, ask, status, *body ? NGHTTP2_FLAG_NONE : NGHTTP2_FLAG_END_STREAM);
    if (*body)
        send_data(world, ask, body, NGHTTP2_FLAG_END_STREAM);
}

static void reply_large(struct world *world, struct ask *ask, size_t size)
{
    send_head(world, ask, "200", NGHTTP2_FLAG_NONE);
    submit_data(&world->service, ask->request, NGHTTP2_FLAG_END_STREAM, large, size);
    service_collect(&world->service);
}

static void reset(struct world *world, struct ask *ask, uint32_t error_code)
{
    assert_int_equal(nghttp2_submit_rst_stream(
                         world->service.session, NGHTTP2_FLAG_NONE, ask->request->stream_id, error_code),
        0);
    service_collect(&world->service);
}

static void expect_told(const struct ask *ask, enum told told, const char *word)
{
    if (ask->told != told || !strstr(ask->failure, word))
        fail_msg("stream %d: told %d (%s), expected %d (%s)", ask->stream_id, (int)ask->told, ask->failure,
            (int)told, word);
    assert_true(
        ask->failure[0] || told == NOTHING || told == ANSWERED || told == TOO_LARGE || told == UNREAD);
}

static void expect_answer(const struct ask *ask, int status, const char *body)
{
    expect_told(ask, ANSWERED, "");
    assert_int_equal(ask->status, status);
    assert_int_equal(ask->body.size, strlen(body));
    assert_string_equal(ask->body.data, body);
}

/* A call more has its answer as usual. */
static void expect_usable(struct world *world)
{
    struct ask *one = arrived(world, "usable");
    reply(world, one, "200", "it is");
    settle(world);
    expect_answer(one, 200, "it is");
}

static void expect_state(const struct world *world, enum connection_state state)
{
    assert_int_equal(connection_state(world->connection), state);
}

static void expect_room(const struct world *world, size_t room)
{
    assert_int_equal(http2_room(world->connection->http2), room);
    expect_state(world, room ? CONNECTION_ROOMY : CONNECTION_FULL);
}

/* ---- fixture ---- */

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        return -1;
    static char authority[] = "api.example:8443", prefix[] = "/below/", token[] = TOKEN;
    world->origin = (struct http_origin){.tls = true,
        .authority = authority,
        .prefix = prefix,
        .serial = 1,
        .token = token,
        .token_size = strlen(token)};
    world->now_ns = 1000 * CLOCK_S;
    TAILQ_INIT(&world->asks);
    TAILQ_INIT(&world->service.requests);
    buf_init(&world->service.out, BUF_LIMIT);
    world->service.piece = SIZE_MAX;
    world->service.fd = -1;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)('a' + i % 26);
    *state = world;
    return 0;
}

static void close_connection(struct world *world)
{
    struct connection *connection = world->connection;
    struct ask *ask;
    while ((ask = TAILQ_FIRST(&world->asks)))
        forget(world, ask);
    if (connection)
        close(connection->wire.fd);
    connection_free(connection);
    service_close(&world->service);
    world->service.session = NULL;
    world->service.request_count = 0;
    world->service.out_sent = 0;
    world->service.piece = SIZE_MAX;
    world->service.deaf = false;
    world->connection = NULL;
}

static int tear_down(void **state)
{
    close_connection(*state);
    free(*state);
    return 0;
}

/* A connection to a service that says nothing by itself; in place of the one before. */
static struct world *connected(void **state)
{
    struct world *world = *state;
    int ends[2];
    close_connection(world);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    struct wire wire = {.fd = ends[0], .http2 = true};
    world->service.fd = ends[1];
    world->connection = connection_new(&wire, &world->origin, world->now_ns);
    assert_non_null(world->connection);
    return world;
}

static struct world *opened_with(void **state, uint16_t setting, uint32_t value)
{
    struct world *world = connected(state);
    service_begin(&world->service, &(nghttp2_settings_entry){setting, value}, 1);
    settle(world);
    return world;
}

static struct world *opened(void **state)
{
    return opened_with(state, NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
}

/* It has answered a call: those of which nothing came when it ends are made elsewhere. */
static struct world *opened_and_used(void **state)
{
    struct world *world = opened(state);
    expect_usable(world);
    return world;
}

/* The kernel gives the least that it can. */
static void narrow(struct world *world)
{
    int least = 1;
    assert_int_equal(setsockopt(world->connection->wire.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
}

/* ---- what is asked ---- */

#define COMMON_FIELDS "accept: application/json\nuser-agent: impcert/" IMPCERT_VERSION "\n"

static void expect_request(struct world *world, struct ask *ask, const char *head, const char *body)
{
    asked(world, ask);
    assert_string_equal(ask->request->head.data, head);
    assert_int_equal(ask->request->body.size, strlen(body));
    assert_memory_equal(ask->request->body.data ? ask->request->body.data : "", body, strlen(body));
    reply(world, ask, "200", "ok");
    settle(world);
    expect_answer(ask, 200, "ok");
}

static void a_get_arrives_as_it_was_asked(void **state)
{
    struct world *world = opened(state);
    expect_request(world, ask(world, "certifications/imp_1"),
        ":method: GET\n:scheme: https\n:authority: api.example:8443\n"
        ":path: /below/certifications/imp_1\n" COMMON_FIELDS,
        "");
}

static void a_post_arrives_with_its_body(void **state)
{
    struct world *world = opened(state);
    expect_request(world, ask_with(world, "users/getToken", "{\"a\":\"\xc3\xa4\"}", false),
        ":method: POST\n:scheme: https\n:authority: api.example:8443\n"
        ":path: /below/users/getToken\n" COMMON_FIELDS "content-type: application/json\ncontent-length: 10\n",
        "{\"a\":\"\xc3\xa4\"}");
    expect_request(world, ask_with(world, "empty", "", false),
        ":method: POST\n:scheme: https\n:authority: api.example:8443\n"
        ":path: /below/empty\n" COMMON_FIELDS "content-type: application/json\ncontent-length: 0\n",
        "");
}

static void the_token_goes_only_where_it_is_meant_to(void **state)
{
    struct world *world = opened(state);
    static const bool authorized[] = {false, true, true, false, true, false};
    for (size_t i = 0; i < COUNT(authorized); i++)
        for (int post = 0; post < 2; post++) {
            struct ask *one = ask_with(world, "a", post ? "{}" : NULL, authorized[i]);
            assert_int_equal(one->call->token_serial, authorized[i] ? 1 : 0);
            asked(world, one);
            const char *line = strstr(one->request->head.data, "\nauthorization: " TOKEN "\n");
            assert_int_equal(line != NULL, authorized[i]);
            assert_int_equal(strstr(one->request->head.data, "c0ffee") != NULL, authorized[i]);
        }
}

static void the_scheme_and_the_path_are_those_of_the_url(void **state)
{
    struct world *world = opened(state);
    char prefix[HTTP_ORIGIN_PREFIX_SIZE], path[HTTP_CALL_PATH_SIZE];
    char line[HTTP_ORIGIN_PREFIX_SIZE + HTTP_CALL_PATH_SIZE + 32];
    memset(prefix, '/', sizeof prefix - 1);
    memset(path, 'p', sizeof path - 1);
    prefix[sizeof prefix - 1] = path[sizeof path - 1] = '\0';
    static char root[] = "/";
    char *const prefixes[] = {root, prefix};
    world->origin.tls = false;
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        world->origin.prefix = prefixes[i];
        struct ask *one = arrived(world, path);
        snprintf(line, sizeof line, "\n:path: %s%s\n", prefixes[i], path);
        assert_non_null(strstr(one->request->head.data, line));
        assert_non_null(strstr(one->request->head.data, "\n:scheme: http\n"));
    }
}

/* Larger than frames, and than the service's window. */
static void a_long_body_arrives_whole(void **state)
{
    static const size_t sizes[] = {
        FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1, 65535, 65536, sizeof large - 1};
    struct world *world = opened(state);
    struct ask *asks[COUNT(sizes)];
    static char json[LARGE];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memcpy(json, large, sizes[i]);
        json[sizes[i]] = '\0';
        asks[i] = ask_with(world, "long", json, true);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        asked(world, asks[i]);
        assert_int_equal(asks[i]->request->body.size, sizes[i]);
        assert_memory_equal(asks[i]->request->body.data, large, sizes[i]);
    }
}

static void service_open_windows(struct world *world)
{
    service_set(&world->service, &(nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000}, 1);
    settle(world);
}

/* Its head is with a service that does not take bodies. */
static struct ask *ask_without_a_window(struct world *world)
{
    struct ask *one = ask_with(world, "a", "{\"a\":1}", false);
    settle(world);
    one->request = request_of(&world->service, one);
    assert_true(one->request && !one->request->whole && !one->request->body.size);
    return one;
}

static void a_body_waits_for_the_window_of_the_service(void **state)
{
    struct world *world = opened_with(state, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct ask *one = ask_without_a_window(world);
    service_open_windows(world);
    assert_true(one->request->whole);
    assert_string_equal(one->request->body.data, "{\"a\":1}");
}

/* Requests hold the token, answers personal data. */
static void nothing_that_was_sent_or_read_stays_behind(void **state)
{
    struct world *world = opened(state);
    struct ask *one = asked(world, ask_with(world, "a", "{\"secret\":1}", true));
    reply(world, one, "200", "a name and a birthday");
    settle(world);
    expect_answer(one, 200, "a name and a birthday");
    const struct buf *out = &world->connection->out;
    assert_int_equal(out->size, 0);
    assert_null(out->data ? memmem(out->data, out->capacity, "secret", 6) : NULL);
    assert_null(memmem(world->scratch, sizeof world->scratch, "birthday", 8));
}

/* ---- whole answers ---- */

static void the_service_ends_an_answer_with_head_or_body(void **state)
{
    struct world *world = opened(state);
    static const int statuses[] = {200, 204, 304, 400, 401, 404, 429, 500, 503, 599};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        char status[8];
        snprintf(status, sizeof status, "%d", statuses[i]);
        bool bare = statuses[i] == 204 || statuses[i] == 304;
        struct ask *with_head = arrived(world, "a"), *with_body = arrived(world, "b"),
                   *with_nothing = arrived(world, "c");
        reply(world, with_head, status, "");
        reply(world, with_body, status, bare ? "" : "{\"a\":1}");
        send_head(world, with_nothing, status, NGHTTP2_FLAG_NONE);
        send_data(world, with_nothing, "", NGHTTP2_FLAG_END_STREAM);
        settle(world);
        expect_answer(with_head, statuses[i], "");
        expect_answer(with_body, statuses[i], bare ? "" : "{\"a\":1}");
        expect_answer(with_nothing, statuses[i], "");
        expect_room(world, HTTP2_CALLS_MAX);
    }
}

static void a_body_comes_in_any_number_of_frames(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a"), *two = arrived(world, "b");
    send_head(world, one, "200", NGHTTP2_FLAG_NONE);
    send_head(world, two, "201", NGHTTP2_FLAG_NONE);
    for (int i = 0; i < 10; i++) {
        send_data(world, one, "one,", NGHTTP2_FLAG_NONE);
        send_data(world, two, i % 2 ? "" : "two,", NGHTTP2_FLAG_NONE);
        settle(world);
    }
    expect_told(one, NOTHING, "");
    send_data(world, two, "", NGHTTP2_FLAG_END_STREAM);
    send_data(world, one, "end", NGHTTP2_FLAG_END_STREAM);
    settle(world);
    expect_answer(one, 200, "one,one,one,one,one,one,one,one,one,one,end");
    expect_answer(two, 201, "two,two,two,two,two,");
}

static void retry_after_is_handed_on(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    send_fields(world, one, "503", "retry-after", "17", NGHTTP2_FLAG_END_STREAM);
    settle(world);
    expect_answer(one, 503, "");
    assert_string_equal(one->retry_after, "17");
}

static void interim_answers_change_nothing(void **state)
{
    struct world *world = opened(state);
    static const char *const interim[] = {"100", "102", "103", "199"};
    for (size_t i = 0; i < COUNT(interim); i++) {
        struct ask *one = arrived(world, "a");
        for (int times = 0; times < 3; times++)
            send_fields(world, one, interim[i], "retry-after", "99", NGHTTP2_FLAG_NONE);
        settle(world);
        expect_told(one, NOTHING, "");
        reply(world, one, "404", "none");
        settle(world);
        expect_answer(one, 404, "none");
        assert_string_equal(one->retry_after, "");
    }
}

static void trailers_change_nothing(void **state)
{
    struct world *world = opened(state);
    struct ask *with = arrived(world, "a"), *without = arrived(world, "b");
    send_fields(world, with, "503", "retry-after", "17", NGHTTP2_FLAG_NONE);
    send_data(world, with, "body", NGHTTP2_FLAG_NONE);
    send_fields(world, with, NULL, "retry-after", "99", NGHTTP2_FLAG_END_STREAM);
    send_head(world, without, "200", NGHTTP2_FLAG_NONE);
    send_data(world, without, "body", NGHTTP2_FLAG_NONE);
    send_fields(world, without, NULL, "retry-after", "99", NGHTTP2_FLAG_END_STREAM);
    settle(world);
    expect_answer(with, 503, "body");
    expect_answer(without, 200, "body");
    assert_string_equal(with->retry_after, "17");
    assert_string_equal(without->retry_after, "");
}

/* Padded, with an interim answer, an empty frame, a body of two more, and trailers. */
static void send_every_form(struct world *world, struct ask *ask, bool continued)
{
    struct service *service = &world->service;
    int32_t id = ask->stream_id;
    service->padding = 37;
    send_head(world, ask, "103", NGHTTP2_FLAG_NONE);
    /* :status: 404 and retry-after: 42 */
    service_send_frame(service, NGHTTP2_HEADERS, continued ? 0 : NGHTTP2_FLAG_END_HEADERS, id,
        "\x8d\x0f\x26\x02\x34\x32", continued ? 2 : 6);
    if (continued) {
        service_send_frame(service, NGHTTP2_CONTINUATION, 0, id, BYTES("\x26"));
        service_send_frame(service, NGHTTP2_CONTINUATION, 0, id, BYTES(""));
        service_send_frame(
            service, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, id, BYTES("\x02\x34\x32"));
    }
    service_send_frame(service, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, BYTES("\x03{\"a\"\0\0\0"));
    service_send_frame(service, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, id, BYTES("\0"));
    send_data(world, ask, ":1}", NGHTTP2_FLAG_NONE);
    send_fields(world, ask, NULL, "x-after", "it", NGHTTP2_FLAG_END_STREAM);
    service->padding = 0;
}

static void expect_every_form(const struct ask *ask)
{
    expect_answer(ask, 404, "{\"a\":1}");
    assert_string_equal(ask->retry_after, "42");
}

static void padding_and_continuation_are_no_part_of_an_answer(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    send_every_form(world, one, true);
    settle(world);
    expect_every_form(one);
    expect_usable(world);
}

/* Without CONTINUATION: libnghttp2 counts every read of a piece of its head as one more of them. */
static void answers_cut_into_pieces(void **state)
{
    for (size_t piece = 1; piece < 24; piece++) {
        struct world *world = connected(state);
        world->service.piece = piece;
        service_begin(&world->service, NULL, 0);
        struct ask *one = arrived(world, "a"), *two = arrived(world, "b");
        send_every_form(world, one, false);
        reply(world, two, "200", "two");
        settle(world);
        expect_every_form(one);
        expect_answer(two, 200, "two");
    }
}

/* False when it was not that long. */
static bool expect_answer_cut_at(void **state, size_t piece)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    send_every_form(world, one, true);
    bool longer = world->service.out.size > piece;
    world->service.piece = piece;
    world_turn(world);
    world->service.piece = SIZE_MAX;
    settle(world);
    expect_every_form(one);
    return longer;
}

static void answers_cut_in_two_anywhere(void **state)
{
    size_t piece = 1;
    while (expect_answer_cut_at(state, piece))
        piece++;
    assert_true(piece > 200);
}

static void many_answers_come_in_one_read(void **state)
{
    struct world *world = opened(state);
    struct ask *asks[HTTP2_CALLS_MAX];
    for (size_t i = 0; i < COUNT(asks); i++)
        asks[i] = arrived(world, "a");
    /* Not in the order in which they were asked. */
    for (size_t i = 0; i < COUNT(asks); i++)
        reply(world, asks[i * 37 % COUNT(asks)], "200", "many");
    service_turn(&world->service);
    client_turn(world);
    for (size_t i = 0; i < COUNT(asks); i++)
        expect_answer(asks[i], 200, "many");
}

/* ---- answers that are none ---- */

static void a_reset_is_no_end_of_an_answer(void **state)
{
    static const char *const statuses[] = {"103", "200", "204", "400", "503"};
    static const char *const bodies[] = {"", "{\"code\":0"};
    struct world *world = opened(state);
    for (size_t i = 0; i < COUNT(statuses); i++)
        for (size_t j = 0; j < COUNT(bodies); j++) {
            struct ask *one = arrived(world, "a");
            bool bare = strcmp(statuses[i], "103") == 0 || strcmp(statuses[i], "204") == 0;
            send_head(world, one, statuses[i], NGHTTP2_FLAG_NONE);
            if (!bare)
                send_data(world, one, bodies[j], NGHTTP2_FLAG_NONE);
            reset(world, one, NGHTTP2_NO_ERROR);
            settle(world);
            expect_told(one, FAILED, "cut short");
        }
    expect_usable(world);
}

static void a_reset_without_any_answer_is_a_failure_in_words(void **state)
{
    struct world *world = opened_and_used(state);
    static const struct {
        uint32_t error_code;
        const char *word;
    } resets[] = {
        {NGHTTP2_NO_ERROR, "cut short"},
        {NGHTTP2_INTERNAL_ERROR, "INTERNAL_ERROR"},
        {NGHTTP2_CANCEL, "CANCEL"},
        {NGHTTP2_ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM"},
        {0x1234567, ""},
    };
    for (size_t i = 0; i < COUNT(resets); i++) {
        struct ask *one = arrived(world, "a");
        reset(world, one, resets[i].error_code);
        settle(world);
        expect_told(one, FAILED, resets[i].word);
    }
    expect_usable(world);
}

/* As services do that do not care for the rest of the question (RFC 9113, section 8.1). */
static void a_reset_after_the_end_of_an_answer_takes_nothing_away(void **state)
{
    struct world *world = opened_with(state, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct ask *one = ask_without_a_window(world);
    reply(world, one, "413", "too much");
    reset(world, one, NGHTTP2_NO_ERROR);
    settle(world);
    expect_answer(one, 413, "too much");
    service_open_windows(world);
    expect_usable(world);
}

static void a_refused_call_is_made_elsewhere_unless_something_came(void **state)
{
    struct world *world = opened(state);
    struct ask *nothing = arrived(world, "a"), *interim = arrived(world, "b"), *head = arrived(world, "c"),
               *body = arrived(world, "d"), *whole = arrived(world, "e");
    send_head(world, interim, "103", NGHTTP2_FLAG_NONE);
    send_head(world, head, "200", NGHTTP2_FLAG_NONE);
    send_head(world, body, "200", NGHTTP2_FLAG_NONE);
    send_data(world, body, "{", NGHTTP2_FLAG_NONE);
    struct ask *const asks[] = {nothing, interim, head, body};
    for (size_t i = 0; i < COUNT(asks); i++)
        reset(world, asks[i], NGHTTP2_REFUSED_STREAM);
    reply(world, whole, "200", "whole");
    settle(world);
    expect_told(nothing, CUT_OFF, "does not take");
    for (size_t i = 1; i < COUNT(asks); i++)
        expect_told(asks[i], FAILED, "REFUSED_STREAM");
    expect_answer(whole, 200, "whole");
    expect_usable(world);
}

static const struct {
    const char *status, *name, *value; /* NULL: not there */
    const char *data;                  /* NULL: the head ends the answer */
} bad_answers[] = {
    {"200", "content-length", "3", "{}"},
    {"200", "content-length", "1", "{}"},
    {"200", "content-length", "1", NULL},
    {"200", "content-length", "x", "{}"},
    {"200", ":status", "200", "{}"},
    {"200", "connection", "close", "{}"},
    {NULL, ":method", "GET", "{}"},
    {NULL, "retry-after", "1", "{}"},
    {NULL, ":status", "", "{}"},
    {NULL, ":status", "20", "{}"},
    {NULL, ":status", "2000", "{}"},
    {NULL, ":status", "abc", "{}"},
    {NULL, ":status", "000", "{}"},
    {NULL, ":status", "101", "{}"},
    {NULL, ":status", "103", "{}"},
    {NULL, ":status", "103", NULL},
};

static void an_answer_that_is_not_valid_fails_alone(void **state)
{
    struct world *world = opened_and_used(state);
    for (size_t i = 0; i < COUNT(bad_answers); i++) {
        struct ask *other = arrived(world, "other"), *one = arrived(world, "bad");
        const char *data = bad_answers[i].data;
        send_fields(world, one, bad_answers[i].status, bad_answers[i].name, bad_answers[i].value,
            data ? NGHTTP2_FLAG_NONE : NGHTTP2_FLAG_END_STREAM);
        if (data)
            send_data(world, one, data, NGHTTP2_FLAG_END_STREAM);
        settle(world);
        if (one->told != FAILED || !one->failure[0])
            fail_msg("%zu: told %d", i, (int)one->told);
        reply(world, other, "200", "other");
        settle(world);
        expect_answer(other, 200, "other");
        expect_room(world, HTTP2_CALLS_MAX);
    }
}

/* ---- bodies that are too large ---- */

static void a_body_at_the_limit_is_whole(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    reply_large(world, one, HTTP_BODY_LIMIT);
    settle(world);
    expect_told(one, ANSWERED, "");
    assert_int_equal(one->body.size, HTTP_BODY_LIMIT);
    assert_memory_equal(one->body.data, large, HTTP_BODY_LIMIT);
}

static void too_large_a_body_is_cut_off(void **state)
{
    static const size_t sizes[] = {HTTP_BODY_LIMIT + 1, LARGE};
    struct world *world = opened(state);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct ask *one = arrived(world, "a"), *other = arrived(world, "b");
        reply_large(world, one, sizes[i]);
        settle(world);
        expect_told(one, TOO_LARGE, "");
        expect_told(other, NOTHING, "");
        reply(world, other, "200", "other");
        settle(world);
        expect_answer(other, 200, "other");
        expect_room(world, HTTP2_CALLS_MAX);
    }
    struct ask *one = arrived(world, "a");
    send_head(world, one, "200", NGHTTP2_FLAG_NONE);
    submit_data(&world->service, one->request, NGHTTP2_FLAG_NONE, large, LARGE);
    settle(world);
    expect_told(one, TOO_LARGE, "");
    assert_true(one->request->reset);
    assert_int_equal(one->request->error_code, NGHTTP2_CANCEL);
}

static void many_too_large_bodies_leave_the_window_to_others(void **state)
{
    struct world *world = opened(state);
    struct ask *asks[10];
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < COUNT(asks); i++)
            asks[i] = arrived(world, "too_large");
        struct ask *other = arrived(world, "other");
        for (size_t i = 0; i < COUNT(asks); i++)
            reply_large(world, asks[i], LARGE);
        reply(world, other, "200", "other");
        settle(world);
        expect_answer(other, 200, "other");
        for (size_t i = 0; i < COUNT(asks); i++)
            expect_told(asks[i], TOO_LARGE, "");
        expect_room(world, HTTP2_CALLS_MAX);
    }
    struct ask *last = arrived(world, "last");
    reply_large(world, last, HTTP_BODY_LIMIT);
    settle(world);
    expect_told(last, ANSWERED, "");
    assert_int_equal(last->body.size, HTTP_BODY_LIMIT);
}

/* ---- what is no HTTP/2 ---- */

static void expect_all_failed(struct world *world, struct ask *const *asks, size_t count, const char *what)
{
    settle(world);
    for (size_t i = 0; i < count; i++)
        if (asks[i]->told != FAILED || !asks[i]->failure[0])
            fail_msg("%s: told %d (%s)", what, (int)asks[i]->told, asks[i]->failure);
    assert_int_equal(connection_state(world->connection), CONNECTION_OVER);
}

static void bytes_that_are_no_http2_end_all_calls(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } bytes[] = {
        {BYTES("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")},
        {BYTES("SSH-2.0-OpenSSH_9.2p1\r\n")}, {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
        {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
        {BYTES("\0\0\x08\x06\0\0\0\0\0"
               "not yet!")}, /* PING before SETTINGS */
    };
    for (size_t i = 0; i < COUNT(bytes); i++) {
        struct world *world = connected(state);
        struct ask *asks[] = {ask(world, "a"), ask_with(world, "b", "{}", true), ask(world, "c")};
        service_send_bytes(&world->service, bytes[i].data, bytes[i].size);
        expect_all_failed(world, asks, COUNT(asks), bytes[i].data);
    }
}

static const struct {
    const char *what;
    int type, flags;
    int32_t stream_id;
    const char *payload;
    size_t size;
} protocol_errors[] = {
    {"DATA without a stream", NGHTTP2_DATA, 0, 0, BYTES("xx")},
    {"DATA on an idle stream", NGHTTP2_DATA, 0, 101, BYTES("xx")},
    {"DATA on a stream of the service", NGHTTP2_DATA, 0, 2, BYTES("xx")},
    {"more padding than there is", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, BYTES("\x09xx")},
    {"a stream of the service", NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, BYTES("\x88")},
    {"HEADERS on an idle stream", NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 101, BYTES("\x88")},
    {"fields of no index", NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, BYTES("\xff\xff\x7f")},
    {"a promise", NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, BYTES("\0\0\0\x02\x82\x84\x86")},
    {"CONTINUATION of nothing", NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, BYTES("\x88")},
    {"SETTINGS of a bad size", NGHTTP2_SETTINGS, 0, 0, BYTES("\0\x03\0\0\0")},
    {"SETTINGS on a stream", NGHTTP2_SETTINGS, 0, 1, BYTES("")},
    {"a window that is too large", NGHTTP2_SETTINGS, 0, 0, BYTES("\0\x04\x80\0\0\0")},
    {"a reset of an idle stream", NGHTTP2_RST_STREAM, 0, 101, BYTES("\0\0\0\0")},
    {"a reset of a bad size", NGHTTP2_RST_STREAM, 0, 1, BYTES("\0\0\0")},
    {"PING of a bad size", NGHTTP2_PING, 0, 0, BYTES("1234567")},
    {"GOAWAY of a bad size", NGHTTP2_GOAWAY, 0, 0, BYTES("\0\0\0\0")},
    {"a window of nothing more", NGHTTP2_WINDOW_UPDATE, 0, 0, BYTES("\0\0\0\0")},
    {"a window over its limit", NGHTTP2_WINDOW_UPDATE, 0, 0, BYTES("\x7f\xff\xff\xff")},
    {"a frame over the limit", NGHTTP2_DATA, 0, 1, large, FRAME_SIZE + 1},
};

static void a_protocol_error_ends_all_calls(void **state)
{
    for (size_t i = 0; i < COUNT(protocol_errors); i++) {
        struct world *world = opened(state);
        struct ask *asks[] = {ask(world, "a"), ask_with(world, "b", "{}", true), ask(world, "c")};
        settle(world);
        service_send_frame(&world->service, protocol_errors[i].type, protocol_errors[i].flags,
            protocol_errors[i].stream_id, protocol_errors[i].payload, protocol_errors[i].size);
        expect_all_failed(world, asks, COUNT(asks), protocol_errors[i].what);
    }
}

static void a_flood_ends_all_calls(void **state)
{
    struct world *world = opened(state);
    struct ask *asks[] = {arrived(world, "a"), arrived(world, "b")};
    for (int i = 0; i < 3000; i++)
        service_send_frame(&world->service, NGHTTP2_PING, NGHTTP2_FLAG_NONE, 0, BYTES("12345678"));
    expect_all_failed(world, asks, COUNT(asks), "flood");
}

/* What the service has answered shows that it speaks HTTP/2: somebody on the way may have ended it. */
static void calls_are_made_elsewhere_when_a_good_connection_goes_bad(void **state)
{
    struct world *world = opened_and_used(state);
    struct ask *nothing = arrived(world, "a"), *begun = arrived(world, "b");
    send_head(world, begun, "103", NGHTTP2_FLAG_NONE);
    service_send_frame(&world->service, NGHTTP2_DATA, NGHTTP2_FLAG_NONE, 0, BYTES("xx"));
    settle(world);
    expect_told(nothing, CUT_OFF, "HTTP/2");
    expect_told(begun, FAILED, "HTTP/2");
    expect_state(world, CONNECTION_OVER);
}

/* ---- connections that end ---- */

static void a_call_on_a_fresh_connection_ends_with_it(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    service_hang_up(&world->service);
    settle(world);
    expect_told(one, FAILED, "closed");
    expect_state(world, CONNECTION_OVER);
}

static void calls_without_any_answer_are_made_elsewhere(void **state)
{
    struct world *world = opened_and_used(state);
    struct ask *nothing = arrived(world, "a"), *interim = arrived(world, "b"), *head = arrived(world, "c"),
               *whole = arrived(world, "d");
    send_head(world, interim, "103", NGHTTP2_FLAG_NONE);
    send_head(world, head, "200", NGHTTP2_FLAG_NONE);
    reply(world, whole, "200", "whole");
    service_turn(&world->service);
    service_hang_up(&world->service);
    settle(world);
    expect_told(nothing, CUT_OFF, "closed");
    expect_told(interim, FAILED, "closed");
    expect_told(head, FAILED, "closed");
    expect_answer(whole, 200, "whole");
    expect_state(world, CONNECTION_OVER);
}

static void a_connection_that_breaks_under_a_request_ends(void **state)
{
    struct world *world = opened_and_used(state);
    service_hang_up(&world->service);
    struct ask *one = ask(world, "a");
    connection_flush(world->connection);
    expect_told(one, CUT_OFF, "broke");
    expect_state(world, CONNECTION_OVER);
    client_turn(world);
}

/* ---- GOAWAY ---- */

static void goaway_leaves_their_answers_to_those_it_takes(void **state)
{
    struct world *world = opened(state);
    struct ask *first = arrived(world, "a"), *last = arrived(world, "b"), *above = arrived(world, "c"),
               *more = arrived(world, "d");
    send_head(world, last, "200", NGHTTP2_FLAG_NONE);
    service_go_away(&world->service, last->stream_id);
    settle(world);
    expect_told(above, UNREAD, "");
    expect_told(more, UNREAD, "");
    expect_room(world, 0);
    expect_state(world, CONNECTION_FULL);
    send_data(world, last, "last", NGHTTP2_FLAG_END_STREAM);
    settle(world);
    expect_answer(last, 200, "last");
    expect_state(world, CONNECTION_FULL);
    reply(world, first, "404", "first");
    settle(world);
    expect_answer(first, 404, "first");
    expect_state(world, CONNECTION_OVER);
}

/* It may go on like that for ever. */
static void goaway_before_anything_was_taken_is_counted(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    service_go_away(&world->service, 0);
    settle(world);
    expect_told(one, CUT_OFF, "does not take");
    expect_state(world, CONNECTION_OVER);
}

static void goaway_on_an_idle_connection_ends_it(void **state)
{
    struct world *world = opened(state);
    service_go_away(&world->service, 0);
    settle(world);
    expect_state(world, CONNECTION_OVER);
    world = opened_and_used(state);
    service_go_away(&world->service, INT32_MAX);
    settle(world);
    expect_state(world, CONNECTION_OVER);
}

/* First that there are to be no more calls, then which were taken (RFC 9113, section 6.8). */
static void goaway_comes_in_two_steps(void **state)
{
    struct world *world = opened(state);
    struct ask *taken = arrived(world, "a"), *not_taken = arrived(world, "b");
    service_go_away(&world->service, INT32_MAX);
    settle(world);
    expect_state(world, CONNECTION_FULL);
    expect_told(not_taken, NOTHING, "");
    service_go_away(&world->service, taken->stream_id);
    settle(world);
    expect_told(not_taken, UNREAD, "");
    reply(world, taken, "200", "taken");
    settle(world);
    expect_answer(taken, 200, "taken");
    expect_state(world, CONNECTION_OVER);
}

static void goaway_meets_calls_that_are_not_sent_yet(void **state)
{
    struct world *world = opened(state);
    struct ask *taken = arrived(world, "a");
    service_go_away(&world->service, taken->stream_id);
    service_turn(&world->service);
    struct ask *late = ask(world, "b");
    settle(world);
    expect_told(late, UNREAD, "");
    assert_null(request_of(&world->service, late));
    reply(world, taken, "200", "taken");
    settle(world);
    expect_answer(taken, 200, "taken");
    expect_state(world, CONNECTION_OVER);
}

static void a_call_above_goaway_whose_answer_has_begun_fails(void **state)
{
    struct world *world = opened(state);
    struct ask *taken = arrived(world, "a"), *begun = arrived(world, "b");
    send_head(world, begun, "200", NGHTTP2_FLAG_NONE);
    service_go_away(&world->service, taken->stream_id);
    settle(world);
    expect_told(begun, FAILED, "REFUSED_STREAM");
    expect_told(taken, NOTHING, "");
}

static void after_goaway_the_timeout_of_the_last_call_ends_the_connection(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a"), *two = arrived(world, "b");
    service_go_away(&world->service, two->stream_id);
    settle(world);
    drop(world, one);
    settle(world);
    expect_state(world, CONNECTION_FULL);
    drop(world, two);
    client_turn(world);
    expect_state(world, CONNECTION_OVER);
}

static void after_goaway_too_large_a_last_body_ends_the_connection(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    service_go_away(&world->service, one->stream_id);
    settle(world);
    expect_state(world, CONNECTION_FULL);
    reply_large(world, one, LARGE);
    settle(world);
    expect_told(one, TOO_LARGE, "");
    expect_state(world, CONNECTION_OVER);
}

/* ---- calls that time out ---- */

static void expect_cancelled(const struct ask *ask)
{
    assert_true(ask->request && ask->request->reset);
    assert_int_equal(ask->request->error_code, NGHTTP2_CANCEL);
    expect_told(ask, NOTHING, "");
}

static void a_timeout_resets_the_call_and_no_other(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a"), *two = arrived(world, "b");
    expect_room(world, HTTP2_CALLS_MAX - 2);
    drop(world, one);
    settle(world);
    expect_cancelled(one);
    assert_false(two->request->reset);
    expect_room(world, HTTP2_CALLS_MAX - 1);
    reply(world, two, "200", "two");
    settle(world);
    expect_answer(two, 200, "two");
    expect_usable(world);
}

static void a_timeout_in_the_middle_of_an_answer_resets_it(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    send_head(world, one, "200", NGHTTP2_FLAG_NONE);
    send_data(world, one, "{\"code\"", NGHTTP2_FLAG_NONE);
    settle(world);
    drop(world, one);
    settle(world);
    expect_cancelled(one);
    expect_room(world, HTTP2_CALLS_MAX);
    expect_usable(world);
}

/* The service has sent it before it saw the reset. */
static void an_answer_after_the_timeout_is_passed_over(void **state)
{
    struct world *world = opened(state);
    struct ask *whole = arrived(world, "a"), *begun = arrived(world, "b"), *refused = arrived(world, "c"),
               *big = arrived(world, "d");
    struct ask *const asks[] = {whole, begun, refused, big};
    reply(world, whole, "200", "whole");
    send_head(world, begun, "200", NGHTTP2_FLAG_NONE);
    reset(world, refused, NGHTTP2_REFUSED_STREAM);
    reply_large(world, big, LARGE);
    service_turn(&world->service);
    for (size_t i = 0; i < COUNT(asks); i++)
        drop(world, asks[i]);
    settle(world);
    for (size_t i = 0; i < COUNT(asks); i++)
        expect_told(asks[i], NOTHING, "");
    expect_room(world, HTTP2_CALLS_MAX);
    expect_usable(world);
}

static void a_call_that_times_out_unsent_stays_unsent(void **state)
{
    struct world *world = opened(state);
    struct ask *one = ask(world, "a"), *two = ask_with(world, "b", "{}", true), *three = ask(world, "c");
    drop(world, one);
    drop(world, two);
    asked(world, three);
    assert_null(request_of(&world->service, one));
    assert_null(request_of(&world->service, two));
    expect_room(world, HTTP2_CALLS_MAX - 1);
    reply(world, three, "200", "three");
    settle(world);
    expect_answer(three, 200, "three");
    expect_usable(world);
}

static void a_call_that_times_out_with_its_body_unsent_is_reset(void **state)
{
    struct world *world = opened_with(state, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct ask *one = ask_without_a_window(world);
    drop(world, one);
    service_open_windows(world);
    expect_cancelled(one);
    assert_int_equal(one->request->body.size, 0);
    expect_usable(world);
}

/* The body is gone with the call: it must not be looked at once the service takes it. */
static void a_call_given_up_without_memory_is_reset_later(void **state)
{
    struct world *world = opened_with(state, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
    struct ask *one = ask_without_a_window(world);
    no_memory = true;
    drop(world, one);
    no_memory = false;
    service_open_windows(world);
    assert_true(one->request->reset);
    expect_told(one, NOTHING, "");
    assert_int_equal(one->request->body.size, 0);
    expect_usable(world);
}

static void a_timeout_without_a_sign_of_the_service_ends_the_connection(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a"), *two = arrived(world, "b");
    world->now_ns++;
    struct ask *late = arrived(world, "c");
    drop(world, late);
    settle(world);
    expect_cancelled(late);
    expect_state(world, CONNECTION_FULL);
    reply(world, one, "200", "one");
    settle(world);
    expect_answer(one, 200, "one");
    expect_state(world, CONNECTION_FULL);
    reply(world, two, "200", "two");
    settle(world);
    expect_answer(two, 200, "two");
    expect_state(world, CONNECTION_OVER);
}

static void the_timeout_of_the_only_call_ends_a_silent_connection(void **state)
{
    struct world *world = opened_and_used(state);
    world->now_ns++;
    drop(world, arrived(world, "a"));
    expect_state(world, CONNECTION_OVER);
}

/* Whatever came shows that the connection is there, and that it is the call that takes long. */
static void a_timeout_after_a_sign_of_the_service_leaves_it_usable(void **state)
{
    struct world *world = opened(state);
    world->now_ns++;
    struct ask *one = arrived(world, "a");
    world->now_ns++;
    service_ping(&world->service);
    settle(world);
    world->now_ns++;
    drop(world, one);
    settle(world);
    expect_cancelled(one);
    expect_room(world, HTTP2_CALLS_MAX);
    expect_usable(world);
}

/* ---- a socket that is full ---- */

/* A question that is larger than what the socket holds. */
static struct ask *ask_wide(struct world *world)
{
    static char json[60001];
    memcpy(json, large, sizeof json - 1);
    return ask_with(world, "wide", json, true);
}

static void what_the_socket_does_not_take_is_sent_later(void **state)
{
    struct world *world = opened(state);
    narrow(world);
    world->service.deaf = true;
    struct ask *wide = ask_wide(world);
    settle(world);
    assert_true(connection_blocked(world->connection));
    struct ask *small = ask(world, "small");
    settle(world);
    world->service.deaf = false;
    asked(world, wide);
    asked(world, small);
    assert_false(connection_blocked(world->connection));
    assert_int_equal(wide->request->body.size, 60000);
    assert_memory_equal(wide->request->body.data, large, 60000);
    expect_usable(world);
}

static void answers_are_read_while_the_socket_is_full(void **state)
{
    struct world *world = opened(state);
    struct ask *one = arrived(world, "a");
    narrow(world);
    world->service.deaf = true;
    struct ask *wide = ask_wide(world);
    settle(world);
    reply(world, one, "200", "one");
    settle(world);
    assert_true(connection_blocked(world->connection));
    expect_answer(one, 200, "one");
    expect_told(wide, NOTHING, "");
}

static void a_call_that_times_out_in_a_full_socket_is_reset_later(void **state)
{
    struct world *world = opened(state);
    narrow(world);
    world->service.deaf = true;
    struct ask *wide = ask_wide(world), *small = ask(world, "small");
    settle(world);
    drop(world, small);
    drop(world, wide);
    settle(world);
    assert_true(connection_blocked(world->connection));
    world->service.deaf = false;
    asked(world, wide);
    asked(world, small);
    expect_cancelled(wide);
    expect_cancelled(small);
    expect_room(world, HTTP2_CALLS_MAX);
    expect_usable(world);
}

/* ---- room ---- */

static void ask_many(struct world *world, struct ask **asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        asks[i] = ask(world, "many");
    settle(world);
    for (size_t i = 0; i < count; i++)
        asked(world, asks[i]);
}

static void there_is_room_for_so_many_calls_whatever_the_service_takes(void **state)
{
    struct ask *asks[HTTP2_CALLS_MAX];
    struct world *world = connected(state);
    expect_room(world, HTTP2_CALLS_MAX);
    static const uint32_t allowed[] = {HTTP2_CALLS_MAX, HTTP2_CALLS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < COUNT(allowed); i++) {
        world = opened_with(state, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, allowed[i]);
        for (size_t taken = 0; taken < COUNT(asks); taken++) {
            expect_room(world, HTTP2_CALLS_MAX - taken);
            asks[taken] = ask(world, "a");
        }
        expect_room(world, 0);
        settle(world);
        assert_int_equal(world->service.request_count, HTTP2_CALLS_MAX);
        expect_room(world, 0);
    }
}

static void a_service_that_takes_fewer_calls_gets_fewer(void **state)
{
    struct ask *asks[3];
    struct world *world = opened_with(state, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
    expect_room(world, 3);
    ask_many(world, asks, 3);
    expect_room(world, 0);
    reply(world, asks[1], "200", "");
    settle(world);
    expect_answer(asks[1], 200, "");
    expect_room(world, 1);
    expect_usable(world);
}

static void a_service_may_take_fewer_calls_later_and_more_again(void **state)
{
    struct ask *asks[10];
    struct world *world = opened(state);
    ask_many(world, asks, COUNT(asks));
    service_allow(&world->service, 12);
    settle(world);
    expect_room(world, 2);
    service_allow(&world->service, 4);
    settle(world);
    expect_room(world, 0);
    for (size_t i = 0; i < COUNT(asks); i++) {
        reply(world, asks[i], "200", "");
        settle(world);
        expect_answer(asks[i], 200, "");
        expect_room(world, i < 6 ? 0 : i - 5);
    }
    service_allow(&world->service, 0);
    settle(world);
    expect_room(world, 0);
    service_allow(&world->service, 50);
    settle(world);
    expect_room(world, 50);
    expect_usable(world);
}

/* What the service says first may come after the first calls. */
static void calls_may_be_sent_before_the_service_says_anything(void **state)
{
    struct ask *asks[HTTP2_CALLS_MAX];
    struct world *world = connected(state);
    for (size_t i = 0; i < COUNT(asks); i++)
        asks[i] = ask(world, "early");
    client_turn(world);
    service_begin(&world->service, NULL, 0);
    service_turn(&world->service);
    service_allow(&world->service, 5);
    settle(world);
    expect_room(world, 0);
    for (size_t i = 0; i < COUNT(asks); i++) {
        asked(world, asks[i]);
        reply(world, asks[i], "200", "early");
    }
    settle(world);
    for (size_t i = 0; i < COUNT(asks); i++)
        expect_answer(asks[i], 200, "early");
    expect_room(world, 5);
}

static void every_end_of_a_call_gives_its_place_back(void **state)
{
    struct world *world = opened(state);
    for (int i = 0; i < 50; i++) {
        struct ask *answered = arrived(world, "a"), *failed = arrived(world, "b"),
                   *refused = arrived(world, "c"), *dropped = arrived(world, "d"),
                   *begun = arrived(world, "e"), *unsent = ask(world, "f");
        drop(world, unsent);
        reply(world, answered, "200", "");
        reset(world, failed, NGHTTP2_INTERNAL_ERROR);
        reset(world, refused, NGHTTP2_REFUSED_STREAM);
        drop(world, dropped);
        send_head(world, begun, "200", NGHTTP2_FLAG_NONE);
        settle(world);
        drop(world, begun);
        settle(world);
        expect_room(world, HTTP2_CALLS_MAX);
    }
    expect_usable(world);
}

static void ten_thousand_calls_one_after_another_leave_all_the_room(void **state)
{
    struct world *world = opened(state);
    world->service.automatic = "{}";
    for (int i = 0; i < 10000; i++) {
        struct ask *one = ask(world, "a");
        settle(world);
        expect_answer(one, 200, "{}");
        forget(world, one);
    }
    settle(world);
    assert_int_equal(world->service.request_count, 10000);
    expect_room(world, HTTP2_CALLS_MAX);
}

static void a_hundred_calls_at_once_leave_all_the_room(void **state)
{
    struct world *world = opened(state);
    struct ask *asks[HTTP2_CALLS_MAX];
    world->service.automatic = "{}";
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < COUNT(asks); i++)
            asks[i] = ask(world, "a");
        settle(world);
        for (size_t i = 0; i < COUNT(asks); i++) {
            expect_answer(asks[i], 200, "{}");
            forget(world, asks[i]);
        }
        expect_room(world, HTTP2_CALLS_MAX);
    }
}

#define HTTP2_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HTTP2_TEST(a_get_arrives_as_it_was_asked),
        HTTP2_TEST(a_post_arrives_with_its_body),
        HTTP2_TEST(the_token_goes_only_where_it_is_meant_to),
        HTTP2_TEST(the_scheme_and_the_path_are_those_of_the_url),
        HTTP2_TEST(a_long_body_arrives_whole),
        HTTP2_TEST(a_body_waits_for_the_window_of_the_service),
        HTTP2_TEST(nothing_that_was_sent_or_read_stays_behind),
        HTTP2_TEST(the_service_ends_an_answer_with_head_or_body),
        HTTP2_TEST(a_body_comes_in_any_number_of_frames),
        HTTP2_TEST(retry_after_is_handed_on),
        HTTP2_TEST(interim_answers_change_nothing),
        HTTP2_TEST(trailers_change_nothing),
        HTTP2_TEST(padding_and_continuation_are_no_part_of_an_answer),
        HTTP2_TEST(answers_cut_into_pieces),
        HTTP2_TEST(answers_cut_in_two_anywhere),
        HTTP2_TEST(many_answers_come_in_one_read),
        HTTP2_TEST(a_reset_is_no_end_of_an_answer),
        HTTP2_TEST(a_reset_without_any_answer_is_a_failure_in_words),
        HTTP2_TEST(a_reset_after_the_end_of_an_answer_takes_nothing_away),
        HTTP2_TEST(a_refused_call_is_made_elsewhere_unless_something_came),
        HTTP2_TEST(an_answer_that_is_not_valid_fails_alone),
        HTTP2_TEST(a_body_at_the_limit_is_whole),
        HTTP2_TEST(too_large_a_body_is_cut_off),
        HTTP2_TEST(many_too_large_bodies_leave_the_window_to_others),
        HTTP2_TEST(bytes_that_are_no_http2_end_all_calls),
        HTTP2_TEST(a_protocol_error_ends_all_calls),
        HTTP2_TEST(a_flood_ends_all_calls),
        HTTP2_TEST(calls_are_made_elsewhere_when_a_good_connection_goes_bad),
        HTTP2_TEST(a_call_on_a_fresh_connection_ends_with_it),
        HTTP2_TEST(calls_without_any_answer_are_made_elsewhere),
        HTTP2_TEST(a_connection_that_breaks_under_a_request_ends),
        HTTP2_TEST(goaway_leaves_their_answers_to_those_it_takes),
        HTTP2_TEST(goaway_before_anything_was_taken_is_counted),
        HTTP2_TEST(goaway_on_an_idle_connection_ends_it),
        HTTP2_TEST(goaway_comes_in_two_steps),
        HTTP2_TEST(goaway_meets_calls_that_are_not_sent_yet),
        HTTP2_TEST(a_call_above_goaway_whose_answer_has_begun_fails),
        HTTP2_TEST(after_goaway_the_timeout_of_the_last_call_ends_the_connection),
        HTTP2_TEST(after_goaway_too_large_a_last_body_ends_the_connection),
        HTTP2_TEST(a_timeout_resets_the_call_and_no_other),
        HTTP2_TEST(a_timeout_in_the_middle_of_an_answer_resets_it),
        HTTP2_TEST(an_answer_after_the_timeout_is_passed_over),
        HTTP2_TEST(a_call_that_times_out_unsent_stays_unsent),
        HTTP2_TEST(a_call_that_times_out_with_its_body_unsent_is_reset),
        HTTP2_TEST(a_call_given_up_without_memory_is_reset_later),
        HTTP2_TEST(a_timeout_without_a_sign_of_the_service_ends_the_connection),
        HTTP2_TEST(the_timeout_of_the_only_call_ends_a_silent_connection),
        HTTP2_TEST(a_timeout_after_a_sign_of_the_service_leaves_it_usable),
        HTTP2_TEST(what_the_socket_does_not_take_is_sent_later),
        HTTP2_TEST(answers_are_read_while_the_socket_is_full),
        HTTP2_TEST(a_call_that_times_out_in_a_full_socket_is_reset_later),
        HTTP2_TEST(there_is_room_for_so_many_calls_whatever_the_service_takes),
        HTTP2_TEST(a_service_that_takes_fewer_calls_gets_fewer),
        HTTP2_TEST(a_service_may_take_fewer_calls_later_and_more_again),
        HTTP2_TEST(calls_may_be_sent_before_the_service_says_anything),
        HTTP2_TEST(every_end_of_a_call_gives_its_place_back),
        HTTP2_TEST(ten_thousand_calls_one_after_another_leave_all_the_room),
        HTTP2_TEST(a_hundred_calls_at_once_leave_all_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
