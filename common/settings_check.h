#ifndef IMPCERT_COMMON_SETTINGS_CHECK_H
#define IMPCERT_COMMON_SETTINGS_CHECK_H

#include "common/settings_table.h"

/* Checks of single values against their rows. Pure, but for SETTING_IS_FILE, which opens the file. Thread:
 * any. */

/* Whether text is a value of the row; number (never NULL) then holds what it says: the number, the ms of a
 * duration, the place of a choice, 0 for the rest. Otherwise why says what is wrong and what was expected; it
 * quotes the value unless the row is secret. */
bool settings_check(const struct setting_row *row, const char *text, int64_t *number, struct error *why);

/* "host:port" or "[::1]:port" in two, brackets removed; least_port is 0 or 1. Any of host and port may be
 * NULL. */
bool settings_split_address(const char *text, char host[256], uint16_t *port, unsigned least_port);

/* Whether word is an entry of the comma-separated list (spaces around entries do not count). */
bool settings_list_has(const char *list, const char *word);
/* The index-th duration of a checked list, as it is written and in milliseconds; false behind the last. */
bool settings_list_duration(const char *list, size_t index, char *out, size_t size, int64_t *ms);

#endif
