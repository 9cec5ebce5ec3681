#ifndef IMPCERT_COMMON_DESCRIPTORS_H
#define IMPCERT_COMMON_DESCRIPTORS_H

/* Where standard input, output or error was closed by the caller, /dev/null takes its place, so that no
 * socket or file gets its number and then our log lines. Reading such an input and writing such an output
 * still fail. Thread: main, before anything is opened. */
void descriptors_guard(void);

#endif
