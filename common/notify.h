#ifndef IMPCERT_COMMON_NOTIFY_H
#define IMPCERT_COMMON_NOTIFY_H

#include "common/health.h"

#include <stdbool.h>
#include <stdint.h>

/* What a daemon tells the service manager that started it, by sd_notify(3)'s protocol: a datagram of
 * NAME=VALUE lines to the socket that NOTIFY_SOCKET names. Without that variable nothing happens. The
 * watchdog is fed only while the daemon says that it is alive. Thread: main. */
enum { NOTIFY_STATUS_SIZE = 512 };

struct notify {
    int fd;                          /* connected to the manager; -1: nobody is told */
    int64_t interval_ns;             /* between two looks at what there is to tell */
    int64_t due_ns;                  /* when the next is due */
    bool watchdog;                   /* the manager expects WATCHDOG=1 */
    char status[NOTIFY_STATUS_SIZE]; /* as it was told last */
};

/* What there is before notify_open: all others may be called, and tell nothing. */
#define NOTIFY_INIT ((struct notify){.fd = -1})

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. A socket that can't be used is logged and left alone:
 * the daemon runs all the same. Call it once the log is set up. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* The daemon is up: whatever is ordered behind it may start. */
void notify_ready(struct notify *notify);
/* It is on its way down, by an order or by itself. */
void notify_stopping(struct notify *notify);

/* Where it is time: feeds the watchdog if alive, and tells the readiness of health as the unit's status when
 * it has changed. Call it in each turn of the main loop. */
void notify_turn(struct notify *notify, bool alive, struct health *health);
/* The same as poll(2)'s timeout: wait_ms (-1: for ever), or less where something is due before. */
int notify_wait_ms(const struct notify *notify, int wait_ms);

#endif
