#ifndef IMPCERT_PRODUCER_GATEWAY_PROGRAM_H
#define IMPCERT_PRODUCER_GATEWAY_PROGRAM_H

#include "common/settings.h"

/* How impcert-gateway presents itself: in --help, and in its manual page and completions. The check of the
 * settings is the program's to add. Read-only. Thread: any. */
extern const struct program gateway_program;

#endif
