/* Connections to the service, made by libcurl. Loop thread. Owns the multi handle, the easy handles of
 * connections under way, and what connections share. */
#include "worker/connector.h"

#include "common/clock.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

/* For each send and receive curl looks for the connection among all that share its pool, one by one. */
enum { GROUP_SIZE = 16 };

/* curl receives into a buffer that each connection under way has. With TLS so much is received at once: a
 * record; without, no more than a proxy's answer is. */
enum { TLS_BUFFER = 16 * 1024, PLAIN_BUFFER = 1024 };

static const unsigned char CONNECTOR_ALPN[] = "\x02h2\x08http/1.1";

struct attempt {
    struct connector *connector;
    CURL *easy; /* owned */
    size_t group;
    bool http2; /* was agreed on in the handshake */
    char failure[CURL_ERROR_SIZE];
    LIST_ENTRY(attempt) link;
};

/* Sharing a pool of connections, and TLS sessions. */
struct group {
    CURLSH *share;
    size_t members;
};

struct connector {
    struct connector_config config;
    struct sockets *sockets;
    CURLM *multi;
    bool proxy_has_tls; /* an https:// proxy: TLS is not the service's alone */
    bool offers_http2;
    int64_t due_ns;
    struct group *groups;
    size_t group_count;
    LIST_HEAD(, attempt) attempts;
};

static int connector_on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    (void)easy;
    (void)known;
    struct connector *connector = context;
    if (what == CURL_POLL_REMOVE) {
        sockets_forget(connector->sockets, fd, connector);
        return 0;
    }
    uint32_t events =
        (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    /* An error returned from here would be the end of all connections for good (multi->dead in curl): one
     * that cannot be watched times out instead. */
    bool watched = sockets_watch(connector->sockets, fd, events, connector);
    (void)watched;
    return 0;
}

static int connector_on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct connector *connector = context;
    connector->due_ns = timeout_ms < 0 ? CLOCK_NEVER : clock_ns() + timeout_ms * CLOCK_MS;
    return 0;
}

static curl_socket_t connector_on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int connector_on_close(void *context, curl_socket_t fd)
{
    struct connector *connector = context;
    sockets_forget(connector->sockets, fd, connector);
    return close(fd);
}

/* Only in the handshake is what was agreed on to be had: afterwards curl takes the connection off the handle.
 */
static void attempt_on_handshake(const SSL *ssl, int where, int result)
{
    (void)result;
    if (!(where & SSL_CB_HANDSHAKE_DONE))
        return;
    SSL_CTX *tls = SSL_get_SSL_CTX(ssl);
    struct attempt *attempt = SSL_CTX_get_app_data(tls);
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    if (attempt)
        attempt->http2 = size == 2 && memcmp(protocol, "h2", size) == 0;
    /* The handle may live longer than the attempt, and shake hands again. */
    SSL_CTX_set_app_data(tls, NULL);
}

/* With curl's own ALPN, curl would speak HTTP/2 itself. A part of a write that had to wait may stand
 * elsewhere in memory when it is written again. */
static CURLcode attempt_on_tls(CURL *easy, void *tls, void *context)
{
    (void)easy;
    struct attempt *attempt = context;
    SSL_CTX_set_app_data(tls, attempt);
    SSL_CTX_set_info_callback(tls, attempt_on_handshake);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_alpn_protos(tls, CONNECTOR_ALPN, sizeof CONNECTOR_ALPN - 1) == 0 ? CURLE_OK
                                                                                        : CURLE_OUT_OF_MEMORY;
}

static bool connector_has_openssl(void)
{
    const char *version = curl_version_info(CURLVERSION_NOW)->ssl_version;
    return version && strncmp(version, "OpenSSL/", strlen("OpenSSL/")) == 0;
}

static bool connector_is_proxied_by_tls(void)
{
    /* libcurl-env(3) */
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *proxy = getenv(names[i]);
        if (proxy && strncasecmp(proxy, "https://", strlen("https://")) == 0)
            return true;
    }
    return false;
}

struct connector *connector_open(
    const struct connector_config *config, struct sockets *sockets, struct error *error)
{
    struct connector *connector = calloc(1, sizeof *connector);
    if (connector)
        connector->multi = curl_multi_init();
    if (!connector || !connector->multi) {
        free(connector);
        error_set(error, "out of memory");
        return NULL;
    }
    connector->config = *config;
    connector->sockets = sockets;
    connector->due_ns = CLOCK_NEVER;
    connector->proxy_has_tls = connector_is_proxied_by_tls();
    connector->offers_http2 = connector_has_openssl() && !connector->proxy_has_tls;
    LIST_INIT(&connector->attempts);
    curl_multi_setopt(connector->multi, CURLMOPT_SOCKETFUNCTION, connector_on_socket);
    curl_multi_setopt(connector->multi, CURLMOPT_SOCKETDATA, connector);
    curl_multi_setopt(connector->multi, CURLMOPT_TIMERFUNCTION, connector_on_timer);
    curl_multi_setopt(connector->multi, CURLMOPT_TIMERDATA, connector);
    return connector;
}

static void connector_end_easy(struct connector *connector, CURL *easy, size_t group)
{
    curl_multi_remove_handle(connector->multi, easy);
    curl_easy_cleanup(easy);
    connector->groups[group].members--;
}

/* Whatever of it the handle still knows of has to be gone. */
static void attempt_free(struct attempt *attempt)
{
    LIST_REMOVE(attempt, link);
    free(attempt);
}

void connector_close(struct connector *connector)
{
    if (!connector)
        return;
    struct attempt *attempt;
    while ((attempt = LIST_FIRST(&connector->attempts))) {
        connector_end_easy(connector, attempt->easy, attempt->group);
        attempt_free(attempt);
    }
    curl_multi_cleanup(connector->multi);
    for (size_t i = 0; i < connector->group_count; i++)
        curl_share_cleanup(connector->groups[i].share);
    free(connector->groups);
    free(connector);
}

static bool connector_add_group(struct connector *connector)
{
    struct group *groups = realloc(connector->groups, (connector->group_count + 1) * sizeof *groups);
    if (!groups)
        return false;
    connector->groups = groups;
    CURLSH *share = curl_share_init();
    if (share && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) == CURLSHE_OK &&
        curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK) {
        groups[connector->group_count++] = (struct group){.share = share};
        return true;
    }
    curl_share_cleanup(share);
    return false;
}

/* Joins a group that has room. */
static bool connector_join(struct connector *connector, size_t *group)
{
    for (*group = 0; *group < connector->group_count; (*group)++)
        if (connector->groups[*group].members < GROUP_SIZE)
            break;
    if (*group == connector->group_count && !connector_add_group(connector))
        return false;
    connector->groups[*group].members++;
    return true;
}

static bool attempt_set_up(struct attempt *attempt, const struct connector_config *config, CURLSH *share)
{
    struct connector *connector = attempt->connector;
    CURL *easy = attempt->easy;
    /* QUICK_EXIT: a lookup that timed out is left to its resolver thread; without it curl waits for that
     * thread, and with it the whole loop. */
    bool ok = curl_easy_setopt(easy, CURLOPT_PRIVATE, attempt) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_URL, config->url) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)(config->tls ? TLS_BUFFER : PLAIN_BUFFER)) ==
                  CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SHARE, share) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, attempt->failure) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_USERAGENT, "impcert/" IMPCERT_VERSION) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, config->tls ? "https" : "http") == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->timeout_ms) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, connector_on_open) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, connector_on_close) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, connector) == CURLE_OK;
    /* curl's defaults, but for the version; nothing must be able to change them. */
    ok = ok && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    if (connector->offers_http2)
        ok = ok && curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, attempt_on_tls) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, attempt) == CURLE_OK;
    if (config->ca_file)
        ok = ok && curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file) == CURLE_OK &&
             curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, config->ca_file) == CURLE_OK;
    return ok;
}

bool connector_start(struct connector *connector)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt || !connector_join(connector, &attempt->group)) {
        free(attempt);
        return false;
    }
    attempt->connector = connector;
    attempt->easy = curl_easy_init();
    LIST_INSERT_HEAD(&connector->attempts, attempt, link);
    if (attempt->easy &&
        attempt_set_up(attempt, &connector->config, connector->groups[attempt->group].share) &&
        curl_multi_add_handle(connector->multi, attempt->easy) == CURLM_OK)
        return true;
    curl_easy_cleanup(attempt->easy);
    connector->groups[attempt->group].members--;
    attempt_free(attempt);
    return false;
}

/* Plain TCP needs nothing of curl's once it is connected: the socket is kept, and the handle's memory freed.
 */
static bool connector_make_wire(struct connector *connector, struct attempt *attempt, struct wire *wire)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(attempt->easy, CURLINFO_ACTIVESOCKET, &fd);
    *wire = (struct wire){.fd = fd, .group = attempt->group};
    if (fd != CURL_SOCKET_BAD && (connector->config.tls || connector->proxy_has_tls)) {
        wire->easy = attempt->easy;
        curl_easy_setopt(wire->easy, CURLOPT_ERRORBUFFER, NULL);
        wire->http2 = attempt->http2;
        return true;
    }
    if (fd != CURL_SOCKET_BAD)
        wire->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    connector_end_easy(connector, attempt->easy, attempt->group);
    return wire->fd >= 0;
}

static void connector_conclude(struct connector *connector, struct attempt *attempt, CURLcode code)
{
    struct wire wire;
    char failure[CURL_ERROR_SIZE];
    bool made = false;
    if (code == CURLE_OK) {
        made = connector_make_wire(connector, attempt, &wire);
        snprintf(failure, sizeof failure, "no file descriptor for a connection");
    } else {
        snprintf(
            failure, sizeof failure, "%s", attempt->failure[0] ? attempt->failure : curl_easy_strerror(code));
        connector_end_easy(connector, attempt->easy, attempt->group);
    }
    attempt_free(attempt);
    connector->config.done(
        connector->config.context, made ? &wire : NULL, failure, code == CURLE_OPERATION_TIMEDOUT);
}

static void connector_act(struct connector *connector, int fd, int events)
{
    int running, left;
    CURLMsg *message;
    curl_multi_socket_action(connector->multi, fd, events, &running);
    while ((message = curl_multi_info_read(connector->multi, &left))) {
        char *attempt;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &attempt);
        connector_conclude(connector, (struct attempt *)(void *)attempt, code);
    }
}

void connector_end(struct connector *connector, struct wire *wire)
{
    if (wire->easy)
        connector_end_easy(connector, wire->easy, wire->group);
    else
        close(wire->fd);
}

void connector_ready(struct connector *connector, int fd, uint32_t events)
{
    int action = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                 (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    connector_act(connector, fd, action);
}

int64_t connector_due_ns(const struct connector *connector)
{
    return connector->due_ns;
}

void connector_turn(struct connector *connector, int64_t now_ns)
{
    if (now_ns < connector->due_ns)
        return;
    connector->due_ns = CLOCK_NEVER;
    connector_act(connector, CURL_SOCKET_TIMEOUT, 0);
}
