/* curl's sockets in the worker's epoll. Loop thread. Owns a table by descriptor of what is wanted and what
 * epoll has been told. */
#include "worker/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS_FIRST = 64 };

struct watch {
    uint8_t wanted;    /* EPOLLIN and EPOLLOUT, by curl */
    uint8_t watched;   /* by epoll; 0: not in the set */
    bool a_connection; /* opened and closed here, so that it can stay in the set until it is closed */
};

struct sockets {
    int epoll_fd;
    size_t count;
    struct watch *watches; /* by descriptor */
};

struct sockets *sockets_new(int epoll_fd, struct error *error)
{
    struct sockets *sockets = calloc(1, sizeof *sockets);
    if (!sockets) {
        error_set(error, "out of memory");
        return NULL;
    }
    sockets->epoll_fd = epoll_fd;
    return sockets;
}

void sockets_free(struct sockets *sockets)
{
    if (!sockets)
        return;
    free(sockets->watches);
    free(sockets);
}

static struct watch *sockets_watch(struct sockets *sockets, curl_socket_t fd)
{
    size_t index = (size_t)fd, count = sockets->count ? sockets->count : SOCKETS_FIRST;
    if (index < sockets->count)
        return &sockets->watches[index];
    while (count <= index)
        count *= 2;
    struct watch *watches = realloc(sockets->watches, count * sizeof *watches);
    if (!watches)
        return NULL;
    memset(watches + sockets->count, 0, (count - sockets->count) * sizeof *watches);
    sockets->watches = watches;
    sockets->count = count;
    return &watches[index];
}

static curl_socket_t sockets_on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct watch *watch = fd < 0 ? NULL : sockets_watch(context, fd);
    if (watch)
        *watch = (struct watch){.a_connection = true};
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* Closing takes it out of the set. */
static int sockets_on_close(void *context, curl_socket_t fd)
{
    struct watch *watch = sockets_watch(context, fd);
    if (watch)
        *watch = (struct watch){0};
    return close(fd);
}

bool sockets_serve(struct sockets *sockets, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, sockets_on_open) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, sockets) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sockets_on_close) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets) == CURLE_OK;
}

static void sockets_unwatch(struct sockets *sockets, struct watch *watch, curl_socket_t fd)
{
    /* Fails when curl has closed the socket already, which took it out of the set. */
    epoll_ctl(sockets->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    watch->watched = 0;
}

bool sockets_want(struct sockets *sockets, curl_socket_t fd, int what)
{
    struct watch *watch = sockets_watch(sockets, fd);
    if (!watch)
        return false;
    if (what == CURL_POLL_REMOVE) {
        watch->wanted = 0;
        /* Once it is closed the number may be another worker's. */
        if (!watch->a_connection && watch->watched)
            sockets_unwatch(sockets, watch, fd);
        return true;
    }
    watch->wanted = (uint8_t)((what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0));
    if (watch->a_connection && watch->watched == watch->wanted)
        return true;
    struct epoll_event event = {.events = watch->wanted, .data.fd = fd};
    int likely = watch->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(sockets->epoll_fd, likely, fd, &event) != 0 &&
        epoll_ctl(sockets->epoll_fd, likely == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) !=
            0)
        return false;
    watch->watched = watch->wanted;
    return true;
}

bool sockets_wanted(struct sockets *sockets, curl_socket_t fd)
{
    struct watch *watch = sockets_watch(sockets, fd);
    if (!watch || watch->wanted)
        return true;
    sockets_unwatch(sockets, watch, fd);
    return false;
}
