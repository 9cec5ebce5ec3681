#ifndef IMPCERT_WORKER_ERASE_H
#define IMPCERT_WORKER_ERASE_H

#include "common/settings.h"

#include <stdbool.h>

/* The erasure of one certification: its document, and the mark on the dead letter queue by which its dead
 * letter is never replayed. May be repeated. */

/* Adds to faults what is wrong with the settings. Thread: main. */
void erase_check(const struct settings *settings, struct faults *faults);

/* imp_uid: a valid one. Prints what was done, and which other certifications the same person has; returns the
 * exit code: 0 all is erased, also where there was nothing; 1, with the reason on standard error, where it is
 * not, or where an event of it is still on its way and would be stored again; 2 for settings. Thread: main.
 */
int erase_run(const struct settings *settings, const char *imp_uid);

#endif
