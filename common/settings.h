#ifndef IMPCERT_COMMON_SETTINGS_H
#define IMPCERT_COMMON_SETTINGS_H

#include "common/error.h"
#include "common/faults.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The one table of settings. Every program takes its settings from environment variables (or from a file
 * named by the variable with _FILE behind it); the same table makes --help, --check-config and
 * --print-config. A struct settings does not change after settings_start. Thread: any. */
enum setting {
    SETTING_KAFKA_BROKERS,
    SETTING_KAFKA_CONFIG,
    SETTING_TOPIC,
    SETTING_GROUP,
    SETTING_INSTANCE_ID,
    SETTING_RETRY_DELAYS,
    SETTING_DLQ_TOPIC,
    SETTING_WORKERS,
    SETTING_IN_FLIGHT,
    SETTING_ATTEMPTS,
    SETTING_BACKOFF,
    SETTING_BACKOFF_MAX,
    SETTING_TIMEOUT,
    SETTING_CONNECT_TIMEOUT,
    SETTING_CA_FILE,
    SETTING_ALLOW_HTTP,
    SETTING_RATE_LIMIT,
    SETTING_DRAIN_TIMEOUT,
    SETTING_STORE_FIELDS,
    SETTING_HTTP_LISTEN,
    SETTING_GATEWAY_LISTEN,
    SETTING_TLS_CERT_FILE,
    SETTING_TLS_KEY_FILE,
    SETTING_GATEWAY_IN_FLIGHT,
    SETTING_PUBLISH_TIMEOUT,
    SETTING_CONNECTIONS,
    SETTING_CLIENT_CONNECTIONS,
    SETTING_REQUEST_TIMEOUT,
    SETTING_IDLE_TIMEOUT,
    SETTING_CORS_ORIGINS,
    SETTING_BEARER_TOKENS,
    SETTING_LOG_LEVEL,
    SETTING_LOG_FORMAT,
    SETTING_IAMPORT_URL,
    SETTING_IAMPORT_KEY,
    SETTING_IAMPORT_SECRET,
    SETTING_MONGODB_URI,
    SETTING_MONGODB_DATABASE,
    SETTING_MONGODB_COLLECTION,
    SETTING_ENCRYPTION_KEY,
    SETTING_ENCRYPTION_KEY_VAULT,
    SETTING_RETENTION,
    SETTING_COUNT
};

#define SETTING_DURATION_SIZE 24

/* Which programs a setting belongs to, as bits. */
enum program_id {
    PROGRAM_WORKER = 1 << 0,
    PROGRAM_PUBLISH = 1 << 1,
    PROGRAM_VALIDATOR = 1 << 2, /* impcert-worker --apply-validator */
    PROGRAM_LIBRARY = 1 << 3,
    PROGRAM_GATEWAY = 1 << 4,
    PROGRAM_REPLAY = 1 << 5,
    PROGRAM_ERASE = 1 << 6 /* impcert-worker --erase */
};

struct settings;

/* How a program presents itself in --help and --version. */
struct program {
    enum program_id id;
    const char *name;                     /* "impcert-worker" */
    const char *summary;                  /* one or two sentences */
    const char *operands;                 /* "[IMP_UID...]", or NULL where none are taken */
    const char *details;                  /* text behind the options, or NULL */
    const char *const *commands;          /* what the first operand may be, closed by NULL; NULL: anything */
    const struct program_option *options; /* its own options, or NULL */
    /* What only a library can tell of settings that are right by themselves, such as a property of
     * IMPCERT_KAFKA_CONFIG: adds what is wrong to faults. NULL: nothing to tell. */
    void (*check)(const struct settings *settings, struct faults *faults);
};

/* An option of one program alone, listed in --help before the common ones. */
struct program_option {
    const char *name;     /* "header", given as --header VALUE; NULL ends the list */
    const char *argument; /* "NAME=VALUE", for --help; NULL: a flag, given as --header alone */
    const char *help;
    /* The words that its value is made of, by their number, NULL behind the last: for completions. NULL: any.
     */
    const char *(*word)(size_t number);
    /* Called for each time it stands on the command line, value being NULL for a flag; false: why is printed
     * and the program ends with 2. NULL: nothing to call. */
    bool (*take)(void *context, const char *value, struct error *why);
    void *context;
    /* What the program prints before it ends, as for --version: no setting is read. NULL: it goes on. */
    void (*print)(FILE *out);
    /* The task that the option makes of the program: the settings of this one are read and checked, and no
     * others. Outlives the settings. NULL: the program's own. */
    const struct program *instead;
};

/* Handles --help, --version, --check-config, --print-config, options of the program's own that print, and
 * unknown ones, reads and checks the settings, takes secrets out of the environment (where `ps e` and
 * /proc/PID/environ would show them), closes the process's memory to dumps, and sets up the log. Returns the
 * settings to run with (free with settings_free), operands being at argv[optind...]; or NULL when the program
 * is to end with *exit_code (0; 2 with every fault printed at once to stderr; 1 where stdout can't be
 * written). Thread: main. */
struct settings *settings_start(const struct program *program, int argc, char **argv, int *exit_code);
void settings_free(struct settings *settings);

/* A setting that a caller gives itself; value NULL: it does not. */
struct setting_given {
    const char *name; /* "IMPCERT_TOPIC"; NULL ends the list */
    const char *value;
};

/* For a library: no command line, no output, no log. given comes first, then, if environment, the
 * environment. Borrowed: program for the settings' life, given for the call. NULL where faults
 * has any, of before or with what is wrong here. Thread: any that may read the environment. */
struct settings *settings_open(const struct program *program, const struct setting_given *given,
    bool environment, struct faults *faults);

/* Reads and checks the settings afresh, as they stand in the environment and in files now, and adds what is
 * wrong to faults. Thread: main. */
void settings_try(const struct settings *settings, struct faults *faults);
/* Calls take with each file that the settings depend on and that is not read again by itself; false as soon
 * as take says so. */
bool settings_each_file(
    const struct settings *settings, bool (*take)(void *context, const char *path), void *context);
/* Puts secrets that were given by the environment back there, for a program that is run in place of this one;
 * settings_start has taken them out. False when out of memory. Thread: main. */
bool settings_restore_environment(const struct settings *settings);

/* The name of the program, as given to settings_start. */
const char *settings_program(const struct settings *settings);

/* The value as text, the default where none was given, NULL where there is neither; "" for a secret whose
 * file is read again, which is for settings_reread. Borrowed from settings. As with all that follow, the
 * setting must be one of the program's own. */
const char *settings_text(const struct settings *settings, enum setting setting);
/* A number, or the place of a choice among its words (of the log level: an enum log_level). */
int64_t settings_number(const struct settings *settings, enum setting setting);
/* A duration in milliseconds. */
int64_t settings_ms(const struct settings *settings, enum setting setting);
/* Whether a word stands in a comma-separated list. */
bool settings_has_word(const struct settings *settings, enum setting setting, const char *word);
/* The index-th duration of a list, as it is written and in milliseconds; false behind the last. */
bool settings_duration_at(const struct settings *settings, enum setting setting, size_t index,
    char text[static SETTING_DURATION_SIZE], int64_t *ms);
/* An address "host:port" split up, brackets of IPv6 removed; false for "off". host: at least 256 bytes. */
bool settings_address(
    const struct settings *settings, enum setting setting, char host[static 256], uint16_t *port);

/* The value as it stands now: where it came from a file, the file is read again (secrets are rotated in
 * place). out gets a terminated text. Returns false with the reason when the file can't be read or holds no
 * valid value. Thread: any. */
bool settings_reread(
    const struct settings *settings, enum setting setting, char *out, size_t size, struct error *error);

#endif
