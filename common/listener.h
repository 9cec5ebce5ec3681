#ifndef IMPCERT_COMMON_LISTENER_H
#define IMPCERT_COMMON_LISTENER_H

#include "common/error.h"

#include <stdint.h>

/* A listening TCP socket. Thread: any. */
#define LISTENER_ADDRESS_SIZE 1064 /* NI_MAXHOST, NI_MAXSERV, brackets and colon */

/* Opens one, nonblocking, and closed by exec; port 0: any free one. address gets what is listened on,
 * "127.0.0.1:9464". The descriptor, the caller's to close; -1 with the reason. */
int listener_open(const char *host, uint16_t port, int backlog, char address[static LISTENER_ADDRESS_SIZE],
    struct error *error);

#endif
