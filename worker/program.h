#ifndef IMPCERT_WORKER_PROGRAM_H
#define IMPCERT_WORKER_PROGRAM_H

#include "common/settings.h"

#include <stdbool.h>

/* How impcert-worker presents itself: in --help, and in its manual page and completions. Thread: main. */
enum { WORKER_OPTIONS = 2 };

/* options become the program's. *applies is set by --apply-validator, which makes the task validator of it;
 * both are borrowed. The check of the settings is the caller's. */
void worker_program(struct program *program, struct program_option options[static WORKER_OPTIONS + 1],
    bool *applies, const struct program *validator);

#endif
