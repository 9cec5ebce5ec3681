#ifndef IMPCERT_COMMON_SETTINGS_PRINT_H
#define IMPCERT_COMMON_SETTINGS_PRINT_H

#include "common/settings_values.h"

/* The options of every program, closed by one without a name: for what tells of them. settings_start acts on
 * them. Read-only. Thread: any. */
extern const struct program_option settings_common_options[];

/* What the options of every program print, at most 100 columns wide. Thread: main. */
void settings_print_help(FILE *out, const struct program *program);
void settings_print_version(FILE *out, const struct program *program);
/* NAME=value lines, each with its origin; secrets as ***. */
void settings_print_config(FILE *out, const struct settings *settings);

#endif
