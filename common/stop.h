#ifndef IMPCERT_COMMON_STOP_H
#define IMPCERT_COMMON_STOP_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

/* SIGTERM and SIGINT of a daemon: the first asks it to drain within a time, a second one to leave at once.
 * Thread: main. */
struct stop {
    int fd;             /* to be watched for input */
    int64_t drain_ns;   /* how long a drain may take */
    int64_t since_ns;   /* when the drain began; 0: it has not */
    int64_t exit_by_ns; /* CLOCK_NEVER until a stop was asked for */
    bool signalled;     /* a signal has asked for it */
};

/* What there is before stop_open, and where it failed: stop_close is fine. */
#define STOP_INIT ((struct stop){.fd = -1, .exit_by_ns = INT64_MAX})

/* Blocks both signals and SIGPIPE, also in all threads that are started later. */
bool stop_open(struct stop *stop, int64_t drain_ns, struct error *error);
void stop_close(struct stop *stop);

/* Asks for a stop, with the reason for the log. True where the drain begins with it. A second wish, unless it
 * comes within a second, as a terminal or a wrapper may pass one on twice, ends the time to drain. */
bool stop_ask(struct stop *stop, const char *why);
/* The same for each signal that has come; the first is no second wish, whatever asked before. */
bool stop_read(struct stop *stop);

#endif
