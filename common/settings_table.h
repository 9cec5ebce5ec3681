#ifndef IMPCERT_COMMON_SETTINGS_TABLE_H
#define IMPCERT_COMMON_SETTINGS_TABLE_H

#include "common/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rows that every program's settings, their checks and --help are made from. For the rooms of settings
 * alone. Read-only. Thread: any. */
enum setting_type {
    SETTING_IS_TEXT,      /* printable, not empty; at most so many bytes, if said */
    SETTING_IS_NUMBER,    /* least to most */
    SETTING_IS_DURATION,  /* least to most, in ms; with ms, s, m or h */
    SETTING_IS_DURATIONS, /* a comma-separated list of rising ones, each from least to most */
    SETTING_IS_CHOICE,    /* one of words */
    SETTING_IS_WORDS,     /* a comma-separated list of words */
    SETTING_IS_BROKERS,   /* host[:port],... */
    SETTING_IS_ADDRESS,   /* host:port, or off */
    SETTING_IS_ORIGINS,   /* *, or web origins separated by commas: https://shop.example,... */
    SETTING_IS_TOKENS,   /* bearer tokens, separated by white space or commas, each of 16 to 256 characters */
    SETTING_IS_URL,      /* http or https, without user info, query and fragment */
    SETTING_IS_FILE,     /* path of a readable file */
    SETTING_IS_TOPIC,    /* Kafka topic name */
    SETTING_IS_INSTANCE, /* group.instance.id: as topic names, with room for a worker's number */
    SETTING_IS_DATABASE, /* MongoDB database name */
    SETTING_IS_COLLECTION,  /* MongoDB collection name */
    SETTING_IS_MONGODB_URI, /* mongodb:// or mongodb+srv:// */
    SETTING_IS_NAMESPACE,   /* database.collection of MongoDB */
    SETTING_IS_MASTER_KEY   /* 96 bytes in base64, white space allowed */
};

enum setting_group {
    GROUP_KAFKA,
    GROUP_WORK,
    GROUP_IAMPORT,
    GROUP_MONGODB,
    GROUP_HTTP,
    GROUP_PROCESS,
    GROUP_COUNT
};

#define SETTING_DEFAULT_SIZE 512

struct setting_row {
    const char *name;
    enum setting_type type;
    enum setting_group group;
    unsigned programs; /* bits of enum program_id */
    bool required;
    bool secret;              /* never printed */
    bool reread;              /* its file is read again while the program runs, when it changes */
    bool may_be_empty;        /* set to nothing is a value; else it counts as not set */
    const char *fallback;     /* the default; NULL: none, or computed */
    const char *help;         /* one line */
    int64_t least, most;      /* of numbers, and of durations in ms */
    const char *const *words; /* of choices and lists, closed by NULL */

    /* A default that depends on the machine or on another setting, whose value is given as text; and how
     * --help names it. out: SETTING_DEFAULT_SIZE bytes. */
    void (*compute)(const char *base, char *out);
    enum setting base;
    const char *computed_help;
};

extern const struct setting_row settings_table[SETTING_COUNT];

/* "Kafka" */
const char *settings_group_title(enum setting_group group);

#endif
