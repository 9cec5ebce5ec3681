/* Watched sockets by descriptor. Loop thread. Owns the table. */
#include "worker/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { SOCKETS_FIRST = 64 };

struct watch {
    uint32_t events; /* 0: not in the set */
    void *owner;
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

static struct watch *sockets_find(const struct sockets *sockets, int fd)
{
    return fd >= 0 && (size_t)fd < sockets->count ? &sockets->watches[fd] : NULL;
}

static struct watch *sockets_grow(struct sockets *sockets, int fd)
{
    size_t count = sockets->count ? sockets->count : SOCKETS_FIRST;
    while (count <= (size_t)fd)
        count *= 2;
    struct watch *watches = realloc(sockets->watches, count * sizeof *watches);
    if (!watches)
        return NULL;
    memset(watches + sockets->count, 0, (count - sockets->count) * sizeof *watches);
    sockets->watches = watches;
    sockets->count = count;
    return &watches[fd];
}

/* Whether the set has it cannot be known where the socket may have been closed, and its number be another's.
 */
static bool sockets_tell(const struct sockets *sockets, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(sockets->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0 ||
           (errno == ENOENT && epoll_ctl(sockets->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
}

bool sockets_watch(struct sockets *sockets, int fd, uint32_t events, void *owner)
{
    struct watch *watch = sockets_find(sockets, fd);
    if (!watch && !(watch = sockets_grow(sockets, fd)))
        return false;
    if ((watch->events != events || watch->owner != owner) && !sockets_tell(sockets, fd, events))
        return false;
    *watch = (struct watch){.events = events, .owner = owner};
    return true;
}

void sockets_forget(struct sockets *sockets, int fd, const void *owner)
{
    struct watch *watch = sockets_find(sockets, fd);
    if (!watch || !watch->events || watch->owner != owner)
        return;
    epoll_ctl(sockets->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    *watch = (struct watch){0};
}

void *sockets_owner(const struct sockets *sockets, int fd)
{
    const struct watch *watch = sockets_find(sockets, fd);
    return watch ? watch->owner : NULL;
}
