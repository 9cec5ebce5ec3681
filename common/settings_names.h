#ifndef IMPCERT_COMMON_SETTINGS_NAMES_H
#define IMPCERT_COMMON_SETTINGS_NAMES_H

#include "common/faults.h"
#include "common/settings_table.h"

/* Names of environment variables: which are ours, and which real one a misspelt one is nearest to. Thread:
 * main. */
#define SETTING_FILE_SUFFIX "_FILE"
#define SETTING_NAME_SIZE 64 /* room for any name of the table, suffix and NUL */

/* Adds a fault for each IMPCERT_* variable that is no setting of any program, but for those that Kubernetes
 * sets for its services. */
void settings_names_check(struct faults *faults);

/* Whether the environment has a variable, set to something and not a setting, whose name is nearly that of a
 * missing one; out then holds it. */
bool settings_names_similar(const char *name, char out[static SETTING_NAME_SIZE]);

/* The name of a setting, with or without _FILE, that comes nearest; out holds it. */
void settings_names_nearest(const char *name, char out[static SETTING_NAME_SIZE]);

/* Whether a name has the form of those that Kubernetes sets for its services, such as
 * IMPCERT_GATEWAY_SERVICE_HOST. */
bool settings_names_from_kubernetes(const char *name);

#endif
