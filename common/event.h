#ifndef IMPCERT_COMMON_EVENT_H
#define IMPCERT_COMMON_EVENT_H

#include "common/error.h"

#include <stddef.h>

/* The event, a record's value: {"imp_uid": "imp_448280090638"}; further members are allowed and carried
 * along. An imp_uid is 1 to 64 of [A-Za-z0-9_-]. Pure. Thread: any. */
#define EVENT_IMP_UID_SIZE 65 /* with the closing NUL */
#define EVENT_TEXT_SIZE 96    /* room for event_format's longest result */

bool event_imp_uid_valid(const char *text, size_t length);
/* The same, saying what is wrong by shape. */
bool event_imp_uid_check(const char *text, size_t length, struct error *why);

/* Reads the imp_uid out of a value. On failure why says what is wrong by place and shape, never quoting the
 * value: it may hold anything. */
bool event_parse(
    const void *value, size_t length, char imp_uid[static EVENT_IMP_UID_SIZE], struct error *why);

/* Writes the event of a valid imp_uid as JSON and returns its length. */
size_t event_format(const char *imp_uid, char out[static EVENT_TEXT_SIZE]);

#endif
