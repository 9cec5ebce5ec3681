#ifndef IMPCERT_WORKER_PROGRAM_H
#define IMPCERT_WORKER_PROGRAM_H

#include "common/settings.h"
#include "worker/tasks.h"

/* How impcert-worker presents itself: in --help, and in its manual page and completions. options become the
 * program's, and fill tasks; both are borrowed. The check of the settings is the caller's. Thread: main. */
void worker_program(
    struct program *program, struct program_option options[static TASKS_OPTIONS + 1], struct tasks *tasks);

#endif
