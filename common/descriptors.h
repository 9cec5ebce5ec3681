#ifndef IMPCERT_COMMON_DESCRIPTORS_H
#define IMPCERT_COMMON_DESCRIPTORS_H

#include <sys/resource.h>

/* Where standard input, output or error was closed by the caller, /dev/null takes its place, so that no
 * socket or file gets its number and then our log lines. Reading such an input and writing such an output
 * still fail. Thread: main, before anything is opened. */
void descriptors_guard(void);

/* Raises the limit of open files to what is needed, or as far as it may; returns what it is then. Thread:
 * main. */
rlim_t descriptors_raise(rlim_t need);

#endif
