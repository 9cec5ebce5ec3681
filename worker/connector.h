#ifndef IMPCERT_WORKER_CONNECTOR_H
#define IMPCERT_WORKER_CONNECTOR_H

#include "common/error.h"
#include "worker/sockets.h"
#include "worker/wire.h"

#include <stdint.h>

/* Makes connections to the service: names, addresses, proxies and TLS are libcurl's (CURLOPT_CONNECT_ONLY).
 * Where TLS is OpenSSL's, HTTP/2 is offered (ALPN). Thread: loop. */
struct connector;

struct connector_config {
    const char *url;
    bool tls;            /* the url is one of https */
    const char *ca_file; /* PEM, borrowed; NULL: the system's authorities */
    int64_t timeout_ms;  /* of a connection, TLS included */
    /* Runs once for each connection that was begun, from connector_ready or connector_turn: with a wire,
     * which is the receiver's now, or with NULL and failure in words. */
    void (*done)(void *context, const struct wire *wire, const char *failure, bool timed_out);
    void *context;
};

struct connector *connector_open(
    const struct connector_config *config, struct sockets *sockets, struct error *error);
/* Connections under way end without their done. All wires have to be closed before. NULL is fine. */
void connector_close(struct connector *connector);

/* Begins a connection; false, without done, when curl does not take it. */
bool connector_start(struct connector *connector) __attribute__((warn_unused_result));
/* Ends a connection. Its socket must not be watched any more. */
void connector_end(struct connector *connector, struct wire *wire);

/* Whether sockets_owner of a socket is this one: then it is one of curl's. */
void connector_ready(struct connector *connector, int fd, uint32_t events);
/* When connector_turn is due (monotonic), CLOCK_NEVER without a reason. */
int64_t connector_due_ns(const struct connector *connector);
void connector_turn(struct connector *connector, int64_t now_ns);

#endif
