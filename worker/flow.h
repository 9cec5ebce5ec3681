#ifndef IMPCERT_WORKER_FLOW_H
#define IMPCERT_WORKER_FLOW_H

#include "common/error.h"
#include "common/health.h"
#include "common/settings.h"
#include "worker/limiter.h"
#include "worker/metrics.h"
#include "worker/tiers.h"
#include "worker/topics.h"

#include <mongoc/mongoc.h>
#include <stdint.h>

/* The way of an event, from its record to an acknowledged end: everything of a worker but its thread and its
 * waiting. Whoever drives it calls flow_turn when flow_due_ns is over, when wake_fd is signalled, and at
 * least ten times a second. Thread: loop. */
struct flow;

/* Everything is borrowed for the flow's life. */
struct flow_config {
    const struct settings *settings;
    const struct tiers *tiers;
    const struct topics *topics;   /* the process's; NULL: all are there */
    struct limiter *limiter;       /* the process's */
    mongoc_client_pool_t *clients; /* the process's */
    struct health *health;
    struct metrics *metrics; /* the worker's own */
    size_t number;           /* of the worker within the process */
    int epoll_fd;            /* where sockets are watched, with the socket as data.fd */
    int wake_fd;             /* the rooms' libraries and threads signal here */
};

/* Opens all rooms, waiting for nobody. NULL with the reason: a setting that some library does not take. */
struct flow *flow_open(const struct flow_config *config, struct error *error);
/* Leaves the group; what is in flight is forgotten, to be delivered again. NULL is fine. */
void flow_close(struct flow *flow);

/* Moves everything on that can be. */
void flow_turn(struct flow *flow);
/* When to turn next, if nothing happens before; CLOCK_NEVER where nothing is due. */
int64_t flow_due_ns(const struct flow *flow);
/* A watched socket has these epoll events. */
void flow_socket(struct flow *flow, int fd, uint32_t events);
/* The consumer can't go on (fenced, fatal): true with the reason. */
bool flow_failed(const struct flow *flow, struct error *error);

/* Takes nothing new from now on. */
void flow_drain(struct flow *flow);
/* Until when a drain waits for jobs that began then and has to end at until_ns: what was finished up to that
 * time is still committed. */
int64_t flow_drain_jobs_until_ns(int64_t begun_ns, int64_t until_ns);
/* Whether what is in flight has ended, or can't end before until_ns. */
bool flow_drained(const struct flow *flow, int64_t until_ns);
/* The end of a drain, in each of its turns: no call is started any more, and what has ended is committed
 * without waiting for the second to be over. */
void flow_finish(struct flow *flow);
/* Whether nothing is under way any more, a commit included. */
bool flow_finished(const struct flow *flow);
size_t flow_in_flight(const struct flow *flow);

#endif
