#ifndef IMPCERT_COMMON_UTF8_H
#define IMPCERT_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of text that came from outside, for writing it safely to a log or a terminal. Pure. Thread: any.
 */
struct utf8_char {
    uint32_t code; /* meaningless where not valid */
    size_t length; /* bytes, at least 1: an invalid byte counts alone */
    bool valid;    /* neither cut short, overlong, a surrogate, nor past U+10FFFF */
};

/* The first character of text; left is at least 1. */
struct utf8_char utf8_next(const char *text, size_t left);

/* False for control characters, line separators and the marks that turn the direction of what follows. */
bool utf8_printable(uint32_t code);

/* Copies text to out with everything unprintable as \xNN or \uNNNN; text that does not fit ends in "...".
 * size: at least 16. */
void utf8_escape(const char *text, size_t length, char *out, size_t size);

#endif
