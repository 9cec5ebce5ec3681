#ifndef IMPCERT_PRODUCER_PUBLISH_STOP_H
#define IMPCERT_PRODUCER_PUBLISH_STOP_H

#include <stdbool.h>

/* Ctrl-C and SIGTERM: the first asks to stop reading and to flush, a second of the same kind ends the program
 * at once. Thread: main. */
void publish_stop_install(void);
bool publish_stop_requested(void);

#endif
