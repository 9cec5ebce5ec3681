#ifndef IMPCERT_WORKER_TASKS_H
#define IMPCERT_WORKER_TASKS_H

#include "common/event.h"
#include "common/settings.h"

#include <stdbool.h>

/* What impcert-worker does for an operator instead of its work, by an option: it reads no settings but the
 * task's own, prints what it did, and ends. Thread: main. */
enum { TASKS_OPTIONS = 3 };

enum task { TASK_NONE, TASK_APPLY_VALIDATOR, TASK_ERASE };

struct tasks {
    enum task asked;
    char imp_uid[EVENT_IMP_UID_SIZE]; /* of TASK_ERASE */
};

/* The options, which fill tasks; both outlive the reading of the command line. */
void tasks_list(struct tasks *tasks, struct program_option options[static TASKS_OPTIONS + 1]);
/* Does what was asked for, which must be something, and returns the exit code. */
int tasks_run(const struct tasks *tasks, const struct settings *settings);

#endif
