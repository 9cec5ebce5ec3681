#ifndef IMPCERT_WORKER_HTTP_H
#define IMPCERT_WORKER_HTTP_H

#include "common/error.h"
#include "worker/classify.h"

#include <stdint.h>

/* HTTP calls, driven by the worker's epoll, so that a turn costs what is ready and not what is in flight.
 * Connections are kept alive, HTTP/2 is used where TLS offers it, redirects are not followed, and bodies are
 * cut off at HTTP_BODY_LIMIT. A connection that the service has ended meanwhile is no fault of a call: it is
 * made again on another. libcurl makes the connections (the connector); calls go past it, since its part of a
 * call costs more than all the rest of an event. Thread: loop. */
#define HTTP_BODY_LIMIT (256 * 1024)

struct http;

struct http_config {
    const char *url;            /* what paths are below of, with or without a slash at its end */
    int64_t timeout_ms;         /* a whole call */
    int64_t connect_timeout_ms; /* its connection */
    const char *ca_file;        /* PEM, borrowed for as long as http lives; NULL: the system's authorities */
    int64_t connections;        /* most calls at once, and most connections kept open */
};

/* Runs once a call, from http_ready or http_turn. The answer is borrowed until it returns. It may start new
 * calls. */
typedef void (*http_done)(void *context, void *subject, const struct answer *answer);

struct http_request {
    const char *path;      /* below the url of http_config, without a slash at its start; copied */
    const char *json;      /* body to POST, copied; NULL: GET */
    const char *token;     /* for the Authorization header, copied; NULL: none */
    uint64_t token_serial; /* changes whenever token does */
    http_done done;
    void *context; /* who asks: handed to done */
    void *subject; /* what about: handed to done */
};

/* Sockets are watched in epoll_fd, with the socket as data.fd. */
struct http *http_open(const struct http_config *config, int epoll_fd, struct error *error);
/* Running calls are cut off without their http_done. NULL is fine. */
void http_close(struct http *http);

/* Takes a call, which the next http_turn starts. False, without http_done, when there is no memory for it. */
bool http_start(struct http *http, const struct http_request *request, struct error *error)
    __attribute__((warn_unused_result));

/* epoll reported events on a socket. */
void http_ready(struct http *http, int fd, uint32_t events);
/* When http_turn is due (monotonic), CLOCK_NEVER without a reason. */
int64_t http_due_ns(const struct http *http);
/* Runs what is due, and starts calls; to be called after those who ask have had their turn. */
void http_turn(struct http *http, int64_t now_ns);

#endif
