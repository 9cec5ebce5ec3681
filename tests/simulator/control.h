// The control endpoint, /_control/...: reads counters and records, changes faults and settings while the
// simulator runs. Its requests are never counted, delayed or hit by faults. All functions run on the main
// thread.
#ifndef SIMULATOR_CONTROL_H
#define SIMULATOR_CONTROL_H

#include "api.h"
#include "server.h"

#define CONTROL_PREFIX "/_control/"

// The request's path starts with CONTROL_PREFIX.
void control_answer(
    struct api *api, struct server *server, const struct http_request *request, struct reply *reply);

#endif
