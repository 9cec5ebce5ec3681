#ifndef IMPCERT_DEPLOY_MANUAL_PROGRAMS_H
#define IMPCERT_DEPLOY_MANUAL_PROGRAMS_H

#include "common/settings.h"

/* The programs as they present themselves in --help. Thread: main. */

/* "impcert-worker"; NULL for any other name. For the life of the process. */
const struct program *programs_find(const char *name);
/* By number, NULL behind the last. */
const struct program *programs_at(size_t number);

#endif
