// The HTTP server: one epoll loop on the main thread, which holds every connection and all delays. It knows
// HTTP and nothing of Iamport; what to answer comes from a callback. All functions run on the main thread.
#ifndef SIMULATOR_SERVER_H
#define SIMULATOR_SERVER_H

#include "http.h"
#include "reply.h"

struct server;

// Called once for each whole request, in their order on a connection. The request's spans are valid during
// the call. The reply is clear before it.
typedef void (*server_answer)(void *context, const struct http_request *request, struct reply *reply);

struct server_gauges {
    uint64_t in_flight;       // calls marked in_flight that are not answered yet
    uint64_t max_in_flight;   // most at once since the last reset
    uint64_t connections;     // open now
    uint64_t max_connections; // most at once since the last reset
    uint64_t accepted;        // connections since the last reset
};

// Listens on HOST:PORT; port 0 takes a free one. NULL: error says what is wrong. Blocks SIGTERM and SIGINT
// for this process, as they end server_run. Raises the limit of open files as far as allowed.
struct server *server_open(
    const char *listen, server_answer answer, void *context, char *error, size_t error_size);

void server_close(struct server *server);

// The address it listens on, as a base URL.
void server_url(const struct server *server, char *url, size_t size);

// Serves until SIGTERM or SIGINT. False: the loop itself failed.
bool server_run(struct server *server);

// Borrowed; valid as long as the server.
const struct server_gauges *server_gauges(const struct server *server);

// Sets the highest marks to what is now, and accepted to 0.
void server_reset_gauges(struct server *server);

#endif
