#ifndef IMPCERT_PRODUCER_GATEWAY_SERVER_H
#define IMPCERT_PRODUCER_GATEWAY_SERVER_H

#include "common/error.h"
#include "producer/gateway_api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The gateway's HTTP, by libmicrohttpd without a thread of its own: connections and their limits, requests,
 * and those that wait for Kafka. Thread: loop, but where it says otherwise. */
struct server;

/* Everything is borrowed for its life. There are at most connections_most connections. wake_fd, an eventfd,
 * is signalled when an event has come to its end. NULL with the reason when the address can't be listened on.
 */
struct server *server_open(const struct settings *settings, const struct api *api, size_t connections_most,
    int wake_fd, struct error *error);
/* No event may be on its way any more. Cuts all connections. NULL is fine. */
void server_close(struct server *server);

/* "127.0.0.1:8080" */
const char *server_address(const struct server *server);
/* To be watched for input. */
int server_fd(const struct server *server);
/* Serves what is ready, answers what has come to its end, cuts what is too slow. */
void server_turn(struct server *server);
/* How long the caller may wait before the next turn, -1 for as long as it likes. */
int server_wait_ms(const struct server *server);

/* Accepts no connection any more; those that are open are closed after their next answer. */
void server_drain(struct server *server);
/* Cuts the connections that no request has come on for so long, while draining. */
void server_cut_idle(struct server *server, int64_t idle_ns);
size_t server_connections(const struct server *server);
/* Requests whose event is on its way. */
size_t server_in_flight(const struct server *server);

#endif
