#ifndef IMPCERT_COMMON_SETTINGS_VALUES_H
#define IMPCERT_COMMON_SETTINGS_VALUES_H

#include "common/faults.h"
#include "common/settings_table.h"

/* The values of one program, and how they are read from the environment. For the rooms of settings alone.
 * Thread: main while reading, then any. */
enum setting_origin { ORIGIN_NONE, ORIGIN_DEFAULT, ORIGIN_ENVIRONMENT, ORIGIN_FILE, ORIGIN_GIVEN };

struct setting_value {
    char *text;     /* owned, a secret's by secret_text; NULL where there is no value */
    int64_t number; /* what settings_check made of it */
    enum setting_origin origin;
    char *file; /* owned; path given by X_FILE, else NULL */
};

struct settings {
    const struct program *program; /* outlives the settings */
    const struct setting_given
        *given;               /* borrowed while they are read: comes before the environment; or NULL */
    bool without_environment; /* the environment says nothing */
    struct setting_value values[SETTING_COUNT];
};

/* Reads and checks every setting of settings->program; what is wrong is added to faults. */
void settings_values_read(struct settings *settings, struct faults *faults);
void settings_values_cleanup(struct settings *settings);

/* Takes secrets that came from the environment out of it, and forgets those whose files are read again: their
 * text is empty from then on. */
void settings_values_hide(struct settings *settings);
/* Whether a setting is one of those. */
bool settings_values_hidden(const struct settings *settings, enum setting setting);

/* Whether a setting belongs to the program. */
bool settings_values_owns(const struct settings *settings, enum setting setting);

/* The content of a file of a value, without the newlines at its end, at most 64 KiB. The caller frees it,
 * with secret_wipe if it is a secret; NULL with the reason otherwise. */
char *settings_values_load(const char *path, struct error *why);

#endif
