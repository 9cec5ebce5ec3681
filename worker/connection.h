#ifndef IMPCERT_WORKER_CONNECTION_H
#define IMPCERT_WORKER_CONNECTION_H

#include "worker/http1.h"
#include "worker/http_call.h"
#include "worker/wire.h"

/* What the pool (http.c) can do with a connection. */
enum connection_state {
    CONNECTION_ROOMY, /* takes calls */
    CONNECTION_FULL,
    CONNECTION_OVER, /* takes no more, and has none: to be closed */
};

/* One connection to the service and the calls on it: one at a time with HTTP/1.1, many with HTTP/2. The wire
 * is closed by whoever frees the connection. Thread: loop. */
struct connection {
    struct wire wire;
    const struct http_origin *origin; /* borrowed */
    struct http2 *http2;              /* NULL: HTTP/1.1 */
    struct http_calls calls;          /* on it */
    struct buf out;                   /* to be sent, from out_sent on */
    size_t out_sent;
    struct buf head;        /* HTTP/1.1: the beginning of an answer's head */
    struct http1_body body; /* HTTP/1.1: of the answer, once its head was read */
    bool keep_alive;        /* HTTP/1.1: the same */
    bool answered;          /* some call has had its answer from it */
    bool doubtful;          /* HTTP/2: a call timed out on it while nothing came: no more are put on it */
    bool ended;             /* nothing is sent or received any more */
    int64_t received_ns;    /* when something last came */

    /* the pool's (http.c) */
    enum connection_state state; /* the list that it is on */
    bool touched;                /* something has happened to it, after which it may be on the wrong list */
    TAILQ_ENTRY(connection) link;
    TAILQ_ENTRY(connection) touched_link;
};

/* NULL when there is no memory. */
struct connection *connection_new(const struct wire *wire, const struct http_origin *origin, int64_t now_ns);
/* Its calls have to be gone. NULL is fine. */
void connection_free(struct connection *connection);

enum connection_state connection_state(const struct connection *connection);
/* Takes a call, if it is ROOMY; it is sent with connection_flush. */
void connection_take(struct connection *connection, struct http_call *call, int64_t now_ns);
/* Sends what is to be sent, as far as the socket takes it. Calls may end in it. */
void connection_flush(struct connection *connection);
/* Whether something is left that the socket did not take. */
bool connection_blocked(const struct connection *connection);
/* The socket is ready: reads into scratch what is there. Calls end in it. */
void connection_ready(struct connection *connection, char *scratch, size_t size, int64_t now_ns);
/* It has ended, or has to, with all calls that are on it. */
void connection_end(struct connection *connection, const char *failure);
/* Gives up a call that is on it and has timed out; the caller takes it off. */
void connection_drop(struct connection *connection, struct http_call *call);

#endif
