#ifndef IMPCERT_WORKER_WIRE_H
#define IMPCERT_WORKER_WIRE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes to and from the service, over TCP or TLS, without blocking. Made by the connector. Thread: loop. */
struct wire {
    int fd;       /* to watch; owned where easy is NULL */
    CURL *easy;   /* owned; TLS, and the socket below it; NULL: plain TCP */
    size_t group; /* of easy, see the connector */
    bool http2;   /* agreed on by ALPN */
};

enum wire_result {
    WIRE_OK,
    WIRE_AGAIN,
    /* not now: wait for the socket */ WIRE_ENDED, /* closed by the peer (wire_receive); with TLS perhaps by
                                                      somebody on the way */
    WIRE_FAILED,
};

enum wire_result wire_send(struct wire *wire, const char *data, size_t size, size_t *sent);
/* With WIRE_OK at least one byte; fewer than asked for need not mean that there are no more. */
enum wire_result wire_receive(struct wire *wire, char *data, size_t size, size_t *received);
/* A receive that got so many bytes of those that were asked for has left none. */
bool wire_drained(const struct wire *wire, size_t received, size_t asked);

#endif
