#ifndef IMPCERT_DEPLOY_MANUAL_COMPLETION_H
#define IMPCERT_DEPLOY_MANUAL_COMPLETION_H

#include "common/settings.h"

#include <stdio.h>

/* What a shell completes of a program's command line: its options with the words that their values are made
 * of, and its commands. Thread: main. */
void completion_bash(FILE *out, const struct program *program);
void completion_zsh(FILE *out, const struct program *program);
void completion_fish(FILE *out, const struct program *program);

#endif
