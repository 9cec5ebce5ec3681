#ifndef IMPCERT_COMMON_RELOAD_H
#define IMPCERT_COMMON_RELOAD_H

#include "common/settings.h"
#include "common/stop.h"

#include <stdbool.h>
#include <stdint.h>

/* Files of settings that are read only at the start, and what they name: passwords, keys and certificates
 * that are rotated in place. When one changes, and the settings are valid with it, a daemon drains and runs
 * itself again. Thread: main. */
struct reload;

/* Watches the files of X_FILE variables but for those that are read again by themselves, those whose paths
 * are settings, and the files named in IMPCERT_KAFKA_CONFIG. settings is borrowed. NULL when out of memory.
 */
struct reload *reload_open(const struct settings *settings);
void reload_close(struct reload *reload);
/* One more. False when out of memory. */
bool reload_watch(struct reload *reload, const char *path);

/* Whether to drain now: once, some seconds after a change. */
bool reload_turn(struct reload *reload, int64_t now_ns);
/* Whether reload_turn has said so. NULL is fine. */
bool reload_wanted(const struct reload *reload);
/* How long the caller may wait before the next reload_turn. */
int reload_wait_ms(const struct reload *reload, int64_t now_ns);

/* At the end, before the settings are freed: whether the program is to run again, unless it has failed or was
 * asked to stop as well; then the settings are made ready for it. reload: NULL is fine. */
bool reload_again(const struct reload *reload, const struct stop *stop, int exit_code);
/* Runs the program again in place of this one, with the arguments that it was given. Everything must be at
 * its end. Where that failed, it is logged and the exit code returned. */
int reload_exec(char **argv);

#endif
