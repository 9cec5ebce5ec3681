// JSON strings, written straight into a buffer in one of the styles that the real service and its gateways
// use. Pure functions.
#ifndef SIMULATOR_JSON_TEXT_H
#define SIMULATOR_JSON_TEXT_H

#include "buf.h"

enum json_style {
    JSON_STYLE_RAW = 0,
    JSON_STYLE_ASCII = 1, // non-ASCII as \uXXXX, with surrogate pairs
    JSON_STYLE_SLASH = 2, // "/" as "\/"
};

// Adds text, which must be valid UTF-8, with its quotes. style: JSON_STYLE_* flags.
void json_text_add(struct buf *out, const char *text, size_t len, unsigned style);

// True for well-formed UTF-8 without control characters.
bool json_text_is_clean(const char *text, size_t len);

#endif
