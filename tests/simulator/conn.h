// One connection: reads requests, carries out replies in their order, one at a time. Requests behind the one
// that is being answered stay unread, so a pipelining client meets backpressure. All functions run on the
// main thread.
#ifndef SIMULATOR_CONN_H
#define SIMULATOR_CONN_H

#include <sys/queue.h>

#include "server.h"
#include "timers.h"

enum { CONN_SPACES = 64 * 1024 };

// What connections share; the server owns it.
struct conn_host {
    server_answer answer;
    void *context;
    struct timers timers;
    struct server_gauges gauges;
    struct reply reply;       // the one that is being made; empty between requests
    int64_t now_ns;           // monotonic time of this turn of the loop
    char spaces[CONN_SPACES]; // white space for padding
};

enum conn_state {
    CONN_READING,  // waits for a whole request
    CONN_DELAYED,  // has a reply, its time has not come
    CONN_HANGING,  // will never answer
    CONN_WRITING,  // sends the reply, up to out_limit
    CONN_PAUSED,   // waits for the next byte's time of a slow reply
    CONN_DRAINING, // has answered its last; waits for the client to close, so that no reset eats the answer
};

struct conn {
    TAILQ_ENTRY(conn) link; // the server's list
    struct conn_host *host; // borrowed
    int fd;                 // owned
    enum conn_state state;
    struct timer timer; // of DELAYED, PAUSED and DRAINING

    bool readable;  // there may be bytes to read
    bool peer_gone; // the client has closed, or half-closed

    struct buf in;      // what was read
    size_t in_start;    // bytes of it that are done with
    bool said_continue; // "100 Continue" was sent for the request that is being read

    enum reply_manner manner; // how the reply at hand goes out
    struct buf out;           // the reply's bytes
    size_t out_sent;          // how many are sent
    size_t out_limit;         // how many may be sent by now
    size_t padding;           // bytes of white space still to send behind them
    int64_t interval_ms;      // between the bytes of a slow reply
    bool last;                // close after this reply
    bool in_flight;           // counted in gauges.in_flight
};

// Takes the descriptor, in any case. NULL: no memory.
struct conn *conn_new(struct conn_host *host, int fd);

// Closes at once and frees.
void conn_free(struct conn *conn);

// Does all that can be done now. False: the connection is over, and the caller frees it.
bool conn_run(struct conn *conn) __attribute__((warn_unused_result));

// Its timer is due; then as conn_run.
bool conn_due(struct conn *conn) __attribute__((warn_unused_result));

#endif
