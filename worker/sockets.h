#ifndef IMPCERT_WORKER_SOCKETS_H
#define IMPCERT_WORKER_SOCKETS_H

#include "common/error.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

/* Which of curl's sockets the worker's epoll watches, and for what. curl stops watching a connection after
 * each call and starts again with the next, for the same events: two system calls a call, which are saved by
 * leaving the socket in the set. Only one that becomes ready while nobody wants it, as when the service ends
 * an idle connection, is taken out. Thread: loop. */
struct sockets;

/* epoll_fd is borrowed; it tells of a socket with the socket as data.fd. */
struct sockets *sockets_new(int epoll_fd, struct error *error);
void sockets_free(struct sockets *sockets);

/* The connections of this easy handle are opened and closed here. The handle must not outlive sockets. */
bool sockets_serve(struct sockets *sockets, CURL *easy);

/* What curl's socket callback says (CURLMOPT_SOCKETFUNCTION): CURL_POLL_IN, _OUT, _INOUT or _REMOVE. Returns
 * false where epoll does not take the socket. */
bool sockets_want(struct sockets *sockets, curl_socket_t fd, int what) __attribute__((warn_unused_result));

/* epoll reported the socket: whether curl wants to know. */
bool sockets_wanted(struct sockets *sockets, curl_socket_t fd);

#endif
