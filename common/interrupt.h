#ifndef IMPCERT_COMMON_INTERRUPT_H
#define IMPCERT_COMMON_INTERRUPT_H

#include <stdbool.h>

/* Ctrl-C and SIGTERM of a command: the first asks it to stop at the next point where nothing is half done, a
 * second of the same kind ends the program at once. Thread: main. */
void interrupt_install(void);
bool interrupt_requested(void);

#endif
