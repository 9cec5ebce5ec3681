#ifndef IMPCERT_WORKER_SOCKETS_H
#define IMPCERT_WORKER_SOCKETS_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Which sockets the worker's epoll watches for the HTTP room, and whose they are. Thread: loop. */
struct sockets;

/* epoll_fd is borrowed; it tells of a socket with the socket as data.fd. */
struct sockets *sockets_new(int epoll_fd, struct error *error);
void sockets_free(struct sockets *sockets);

/* Watches a socket for events (EPOLLIN, EPOLLOUT) from now on, on behalf of owner. Returns false where epoll
 * does not take it. */
bool sockets_watch(struct sockets *sockets, int fd, uint32_t events, void *owner)
    __attribute__((warn_unused_result));
/* owner wants to know of it no more; to be called before it is closed. Fine for one that is not watched, or
 * by now is another's, since curl may close a socket by itself. */
void sockets_forget(struct sockets *sockets, int fd, const void *owner);
/* Whose it is; NULL for one that is not watched. */
void *sockets_owner(const struct sockets *sockets, int fd);

#endif
