/* The HTTP listener for metrics and health. Main thread. */
#include "common/endpoint.h"

#include "common/listener.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    CONNECTION_TIMEOUT_S = 10,
    CONNECTION_MEMORY = 16 * 1024,
    PAGE_LIMIT = 4 * 1024 * 1024
};

struct endpoint {
    struct MHD_Daemon *daemon;
    int epoll_fd; /* the daemon's */
    endpoint_handler handler;
    void *context;
    char address[LISTENER_ADDRESS_SIZE];
};

static enum MHD_Result endpoint_reply(
    struct MHD_Connection *connection, unsigned status, const char *content_type, const struct buf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result endpoint_on_request(void *context, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **request)
{
    (void)version;
    (void)upload;
    const struct endpoint *endpoint = context;
    static int seen;
    if (!*request) {
        /* First call: headers only. The answer is queued at the second. */
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct endpoint_page page = {.status = MHD_HTTP_OK, .content_type = "text/plain; charset=utf-8"};
    buf_init(&page.body, PAGE_LIMIT);
    bool filled = true;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        page.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        filled = buf_format(&page.body, "only GET and HEAD are answered here\n");
    } else if (!endpoint->handler(endpoint->context, path, &page)) {
        page.status = MHD_HTTP_NOT_FOUND;
        filled = buf_format(&page.body, "there is no such page; try /metrics, /healthz or /readyz\n");
    }
    enum MHD_Result result =
        filled ? endpoint_reply(connection, page.status, page.content_type, &page.body) : MHD_NO;
    buf_cleanup(&page.body);
    return result;
}

struct endpoint *endpoint_open(
    const char *host, uint16_t port, endpoint_handler handler, void *context, struct error *error)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    int fd = endpoint ? listener_open(host, port, CONNECTIONS_MAX, endpoint->address, error) : -1;
    if (fd < 0) {
        free(endpoint);
        return NULL;
    }
    endpoint->handler = handler;
    endpoint->context = context;
    endpoint->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, endpoint_on_request, endpoint,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        endpoint->daemon ? MHD_get_daemon_info(endpoint->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        error_set(error, "listening on %s: libmicrohttpd did not start", endpoint->address);
        close(fd);
        free(endpoint);
        return NULL;
    }
    endpoint->epoll_fd = info->epoll_fd;
    return endpoint;
}

void endpoint_close(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    MHD_stop_daemon(endpoint->daemon);
    free(endpoint);
}

const char *endpoint_address(const struct endpoint *endpoint)
{
    return endpoint->address;
}

int endpoint_fd(const struct endpoint *endpoint)
{
    return endpoint->epoll_fd;
}

void endpoint_turn(struct endpoint *endpoint)
{
    MHD_run(endpoint->daemon);
}

int endpoint_wait_ms(const struct endpoint *endpoint)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(endpoint->daemon, &wait_ms) != MHD_YES)
        return -1;
    return wait_ms > 1000 ? 1000 : (int)wait_ms;
}
