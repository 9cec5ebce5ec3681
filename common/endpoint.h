#ifndef IMPCERT_COMMON_ENDPOINT_H
#define IMPCERT_COMMON_ENDPOINT_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* A small HTTP listener for metrics and health (GET and HEAD only), on libmicrohttpd, without a thread of its
 * own: the main thread waits on endpoint_fd and calls endpoint_turn. Thread: main. */
struct endpoint;

struct endpoint_page {
    unsigned status;          /* HTTP status */
    const char *content_type; /* borrowed for ever */
    struct buf body;
};

/* Fills in the page of a path; false where there is none. */
typedef bool (*endpoint_handler)(void *context, const char *path, struct endpoint_page *page);

/* port 0: any free one. NULL with the reason when the address can't be listened on. */
struct endpoint *endpoint_open(
    const char *host, uint16_t port, endpoint_handler handler, void *context, struct error *error);
void endpoint_close(struct endpoint *endpoint);

/* The address listened on, "127.0.0.1:9464". */
const char *endpoint_address(const struct endpoint *endpoint);
/* To be watched for input. */
int endpoint_fd(const struct endpoint *endpoint);
/* Serves what is ready. */
void endpoint_turn(struct endpoint *endpoint);
/* How long the caller may wait before the next endpoint_turn, -1 for as long as it likes. */
int endpoint_wait_ms(const struct endpoint *endpoint);

#endif
