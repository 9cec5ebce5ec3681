#ifndef IMPCERT_COMMON_LOG_H
#define IMPCERT_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Structured lines on stderr, one write(2) each: JSON for machines, text for a terminal. A message is a fixed
 * lower-case sentence; what varies goes into fields. imp_uid and Kafka coordinates identify a job; no secret,
 * token or personal datum is ever passed in. */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log_field {
    const char *name; /* NULL ends the list */
    const char *text; /* NULL: number counts instead */
    int64_t number;
    bool optional; /* left out where the text is empty */
};

#define LOG_TEXT(field, value) ((struct log_field){.name = (field), .text = (value)})
#define LOG_TEXT_IF_ANY(field, value) ((struct log_field){.name = (field), .text = (value), .optional = true})
#define LOG_NUMBER(field, value) ((struct log_field){.name = (field), .number = (value)})
#define LOG_END ((struct log_field){.name = NULL})

/* Set once, before any other thread starts. Until then: info, JSON. Thread: main. */
void log_setup(enum log_level least, enum log_format format);

bool log_enabled(enum log_level level);

/* fields are `struct log_field` values, closed by LOG_END; use the macros below. A warning or an error that
 * comes again and again, by its message and first text, is written LOG_REPEATS times in LOG_REPEATS_WITHIN_S
 * seconds; the next one after that tells in its field `suppressed` how many were not. Thread: any. */
enum { LOG_REPEATS = 10, LOG_REPEATS_WITHIN_S = 10 };
void log_fields(enum log_level level, const char *message, ...);

#define log_debug(...) log_fields(LOG_LEVEL_DEBUG, __VA_ARGS__, LOG_END)
#define log_info(...) log_fields(LOG_LEVEL_INFO, __VA_ARGS__, LOG_END)
#define log_warn(...) log_fields(LOG_LEVEL_WARN, __VA_ARGS__, LOG_END)
#define log_error(...) log_fields(LOG_LEVEL_ERROR, __VA_ARGS__, LOG_END)

#endif
