/* HTTP calls on one curl multi handle. Loop thread. Owns the easy handles, each inside a struct http_call
 * that is idle or running. */
#include "worker/http.h"

#include "common/buf.h"
#include "common/clock.h"
#include "worker/sockets.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* A record is one to two KiB: small buffers let thousands be in flight. curl makes its buffer anew for each
 * call, and one of up to 1,032 bytes is had from glibc's cache of the thread. */
enum { RECEIVE_BUFFER = 1024, BODY_KEEP = 4096 };

enum { PATH_SIZE = 2048 };

/* For each call curl looks for a free connection among all that its pool knows, one by one, so calls share
 * pools of connections, and TLS sessions, in groups of so many. With HTTP/2 a group shares one connection. */
enum { GROUP_SIZE = 32 };

/* A job that waits holds its place among those in flight: no answer makes it wait longer than this. */
enum { RETRY_AFTER_MAX_S = 3600 };

struct http_call {
    struct http *http;
    CURL *easy;                 /* owned; options that never change are set once */
    CURLU *url;                 /* owned; parsed once, with the path of the call */
    struct curl_slist *headers; /* owned; carries the token of token_serial */
    uint64_t token_serial;      /* 0: no token */
    struct buf body;            /* the answer's; without memory until it begins */
    bool too_large;             /* the body was cut off */
    bool posts;                 /* the easy handle is set up for POST */
    char failure[CURL_ERROR_SIZE];
    http_done done;
    void *context;
    void *subject;
    LIST_ENTRY(http_call) link; /* of idle or running */
};

LIST_HEAD(http_calls, http_call);

struct http {
    CURLM *multi;
    struct sockets *sockets;
    CURLU *url;           /* of http_config */
    char path[PATH_SIZE]; /* of that url, with a slash at its end, then that of the call being started */
    size_t path_size;     /* of the part of the url */
    bool tls;
    bool proxied;    /* the environment names a proxy */
    CURLSH **groups; /* made when their first call is */
    size_t calls_made;
    int64_t due_ns;
    struct http_config config;
    struct buf spare; /* memory for the next body: few answers are under way at once, of many calls */
    struct http_calls idle;
    struct http_calls running;
};

static int http_on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    (void)easy;
    (void)known;
    const struct http *http = context;
    /* An error returned from here fails every call that is running. */
    return sockets_want(http->sockets, fd, what) ? 0 : -1;
}

static int http_on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct http *http = context;
    http->due_ns = timeout_ms < 0 ? CLOCK_NEVER : clock_ns() + timeout_ms * CLOCK_MS;
    return 0;
}

/* Gives the spare memory to a body without any, or that of a body back. */
static void http_swap_spare(struct http *http, struct http_call *call)
{
    struct buf body = call->body;
    call->body = http->spare;
    http->spare = body;
}

static size_t http_on_body(char *data, size_t one, size_t size, void *context)
{
    (void)one;
    struct http_call *call = context;
    if (!call->body.data)
        http_swap_spare(call->http, call);
    if (buf_append(&call->body, data, size))
        return size;
    call->too_large = true;
    return CURL_WRITEFUNC_ERROR;
}

static void http_call_free(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    curl_url_cleanup(call->url);
    curl_slist_free_all(call->headers);
    buf_cleanup(&call->body);
    free(call);
}

/* The pool of connections of the next call; NULL when there is no memory. */
static CURLSH *http_group(struct http *http)
{
    CURLSH **group = &http->groups[http->calls_made / GROUP_SIZE];
    if (*group || !(*group = curl_share_init()))
        return *group;
    if (curl_share_setopt(*group, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) == CURLSHE_OK &&
        curl_share_setopt(*group, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
        return *group;
    curl_share_cleanup(*group);
    return *group = NULL;
}

/* Until curl knows that a service has no HTTP/2, waiting for that makes calls wait: with TLS for the
 * handshake of the first, without for its answer. */
static bool http_call_set_version(struct http_call *call, bool tls)
{
    long version = tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    return curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, version) == CURLE_OK &&
           curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, (long)tls) == CURLE_OK;
}

static bool http_call_set_up(struct http_call *call, struct http *http)
{
    CURL *easy = call->easy;
    const struct http_config *config = &http->config;
    CURLSH *group = http_group(http);
    if (!group || !sockets_serve(http->sockets, easy))
        return false;
    /* QUICK_EXIT: a lookup that timed out is left to its resolver thread; without it curl waits for that
     * thread, and with it the whole loop. */
    return curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CURLU, call->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SHARE, group) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->failure) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "impcert/" IMPCERT_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           http_call_set_version(call, http->tls) &&
           curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           /* Where there is none, curl would look for one in the environment with each call. */
           (http->proxied || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK) &&
           (!config->ca_file || curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file) == CURLE_OK);
}

static struct http_call *http_call_new(struct http *http)
{
    struct http_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->http = http;
    buf_init(&call->body, HTTP_BODY_LIMIT);
    call->easy = curl_easy_init();
    call->url = curl_url_dup(http->url);
    if (call->easy && call->url && http->calls_made < (size_t)http->config.connections &&
        http_call_set_up(call, http)) {
        http->calls_made++;
        return call;
    }
    http_call_free(call);
    return NULL;
}

static bool http_has_proxy(void)
{
    /* libcurl-env(3) */
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

static bool http_set_url(struct http *http, struct error *error)
{
    char *path = NULL, *scheme = NULL;
    http->url = curl_url();
    CURLUcode result =
        http->url ? curl_url_set(http->url, CURLUPART_URL, http->config.url, 0) : CURLUE_OUT_OF_MEMORY;
    if (result == CURLUE_OK)
        result = curl_url_get(http->url, CURLUPART_PATH, &path, 0);
    if (result == CURLUE_OK)
        result = curl_url_get(http->url, CURLUPART_SCHEME, &scheme, 0);
    http->tls = scheme && strcasecmp(scheme, "https") == 0;
    size_t size = path ? strlen(path) : 0;
    while (size && path[size - 1] == '/')
        size--;
    if (size + 1 >= sizeof http->path)
        result = CURLUE_BAD_PATH;
    else
        http->path_size =
            (size_t)snprintf(http->path, sizeof http->path, "%.*s/", (int)size, path ? path : "");
    curl_free(path);
    curl_free(scheme);
    return result == CURLUE_OK || error_set(error, "IAMPORT_URL: %s", curl_url_strerror(result));
}

static size_t http_group_count(const struct http *http)
{
    return (size_t)http->config.connections / GROUP_SIZE + 1;
}

struct http *http_open(const struct http_config *config, int epoll_fd, struct error *error)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        error_set(error, "out of memory");
        return NULL;
    }
    http->due_ns = CLOCK_NEVER;
    http->config = *config;
    buf_init(&http->spare, HTTP_BODY_LIMIT);
    LIST_INIT(&http->idle);
    LIST_INIT(&http->running);
    http->groups = calloc(http_group_count(http), sizeof(CURLSH *));
    http->sockets = sockets_new(epoll_fd, error);
    http->multi = curl_multi_init();
    http->proxied = http_has_proxy();
    bool made = http->groups && http->sockets && http->multi;
    if (!made)
        error_set(error, "out of memory");
    if (!made || !http_set_url(http, error)) {
        http_close(http);
        return NULL;
    }
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, http_on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, http_on_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)config->connections);
    return http;
}

static void http_free_calls(struct http_calls *calls)
{
    struct http_call *call;
    while ((call = LIST_FIRST(calls))) {
        LIST_REMOVE(call, link);
        http_call_free(call);
    }
}

void http_close(struct http *http)
{
    if (!http)
        return;
    struct http_call *call;
    LIST_FOREACH(call, &http->running, link)
    {
        curl_multi_remove_handle(http->multi, call->easy);
    }
    http_free_calls(&http->running);
    http_free_calls(&http->idle);
    curl_multi_cleanup(http->multi);
    for (size_t i = 0; http->groups && i < http_group_count(http); i++)
        if (http->groups[i])
            curl_share_cleanup(http->groups[i]);
    free(http->groups);
    curl_url_cleanup(http->url);
    sockets_free(http->sockets);
    buf_cleanup(&http->spare);
    free(http);
}

/* The header list is made anew only when the token changes. */
static bool http_call_authorize(struct http_call *call, const struct http_request *request)
{
    if (call->headers && call->token_serial == request->token_serial && !request->json)
        return true;
    char authorization[1024];
    if (request->token)
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", request->token);
    struct curl_slist *headers = curl_slist_append(
        NULL, request->json ? "Content-Type: application/json" : "Accept: application/json");
    if (headers && request->token && !curl_slist_append(headers, authorization)) {
        curl_slist_free_all(headers);
        headers = NULL;
    }
    explicit_bzero(authorization, sizeof authorization);
    if (!headers)
        return false;
    curl_slist_free_all(call->headers);
    call->headers = headers;
    call->token_serial = request->json ? 0 : request->token_serial;
    return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
}

static bool http_call_method(struct http_call *call, const char *json)
{
    if (json)
        return curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, json) == CURLE_OK;
    /* Also drops the copy of an earlier body. */
    return !call->posts || (curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, NULL) == CURLE_OK &&
                               curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L) == CURLE_OK);
}

static bool http_call_path(struct http *http, struct http_call *call, const char *path)
{
    size_t size = strlen(path) + 1;
    if (http->path_size + size > sizeof http->path)
        return false;
    memcpy(http->path + http->path_size, path, size);
    return curl_url_set(call->url, CURLUPART_PATH, http->path, 0) == CURLUE_OK;
}

bool http_start(struct http *http, const struct http_request *request, struct error *error)
{
    struct http_call *call = LIST_FIRST(&http->idle);
    if (call)
        LIST_REMOVE(call, link);
    else if (!(call = http_call_new(http)))
        return error_set(error, "out of memory for another HTTP call");

    call->done = request->done;
    call->context = request->context;
    call->subject = request->subject;
    call->too_large = false;
    call->failure[0] = '\0';
    if (!http_call_authorize(call, request) || !http_call_method(call, request->json) ||
        !http_call_path(http, call, request->path) ||
        curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
        http->calls_made--;
        http_call_free(call);
        return error_set(error, "curl does not take the call");
    }
    call->posts = request->json;
    LIST_INSERT_HEAD(&http->running, call, link);
    return true;
}

static enum transport http_transport(const struct http_call *call, CURLcode code)
{
    if (code == CURLE_OK)
        return TRANSPORT_ANSWERED;
    if (call->too_large)
        return TRANSPORT_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? TRANSPORT_TIMEOUT : TRANSPORT_FAILED;
}

/* A date in the past comes as a negative number. */
static int64_t http_bounded_wait(curl_off_t seconds)
{
    if (seconds < 0)
        return 0;
    return seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
}

static void http_finish(struct http *http, struct http_call *call, CURLcode code)
{
    struct answer answer = {
        .transport = http_transport(call, code),
        .failure = call->failure[0] ? call->failure : curl_easy_strerror(code),
        .body = call->body.data,
        .body_size = call->body.size,
    };
    curl_off_t retry_after_s = 0;
    if (code == CURLE_OK) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.http_status);
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
        answer.retry_after_s = http_bounded_wait(retry_after_s);
    }
    curl_multi_remove_handle(http->multi, call->easy);
    call->done(call->context, call->subject, &answer);
    /* The body held personal data or a token. */
    if (call->body.size)
        explicit_bzero(call->body.data, call->body.size);
    buf_reset(&call->body, http->spare.data ? 0 : BODY_KEEP);
    if (call->body.data)
        http_swap_spare(http, call);
    LIST_REMOVE(call, link);
    LIST_INSERT_HEAD(&http->idle, call, link);
}

static void http_act(struct http *http, int fd, int events)
{
    int running;
    curl_multi_socket_action(http->multi, fd, events, &running);
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        char *call;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        http_finish(http, (struct http_call *)(void *)call, code);
    }
}

void http_ready(struct http *http, int fd, uint32_t events)
{
    if (!sockets_wanted(http->sockets, fd))
        return;
    int action = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                 (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    http_act(http, fd, action);
}

int64_t http_due_ns(const struct http *http)
{
    return http->due_ns;
}

void http_turn(struct http *http, int64_t now_ns)
{
    if (now_ns < http->due_ns)
        return;
    http->due_ns = CLOCK_NEVER;
    http_act(http, CURL_SOCKET_TIMEOUT, 0);
}
