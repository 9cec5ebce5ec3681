#ifndef IMPCERT_COMMON_ERROR_H
#define IMPCERT_COMMON_ERROR_H

#include <stdbool.h>

/* What went wrong, in words for the person who runs the program: names the input, what is wrong with it and
 * what was expected. Functions that fail fill one and return false or NULL; whoever has the knowledge to
 * decide logs it. It never holds a secret, a token or a person's data. Thread: any, each caller with its own.
 */
struct error {
    char text[512]; /* empty until something failed */
};

/* Always returns false, so that a failing function can end with `return error_set(...)`. Longer texts are
 * cut. */
bool error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
