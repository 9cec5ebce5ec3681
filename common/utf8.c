/* UTF-8 from outside, made harmless. Pure, any thread. */
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS_SIZE 4  /* "..." and NUL */
#define LONGEST_ESCAPE 7 /* \U and five digits at most are ever needed: unprintables end below U+10000 */

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the character that starts so; 0 where none does. */
static size_t length_from(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return 2;
    if (first >= 0xe0 && first < 0xf0)
        return 3;
    if (first >= 0xf0 && first < 0xf5)
        return 4;
    return 0;
}

struct utf8_char utf8_next(const char *text, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const struct utf8_char invalid = {.length = 1};
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = length_from(bytes[0]);
    if (!length || length > left)
        return invalid;
    uint32_t code = bytes[0] & mask[length];
    for (size_t i = 1; i < length; i++) {
        if (!is_tail(bytes[i]))
            return invalid;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return invalid;
    return (struct utf8_char){.code = code, .length = length, .valid = true};
}

bool utf8_printable(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return false;
    if (code == 0x2028 || code == 0x2029 || code == 0xfeff)
        return false;
    bool turns_direction = code == 0x061c || code == 0x200e || code == 0x200f ||
                           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return !turns_direction;
}

void utf8_escape(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;
    while (length) {
        if (size - used < LONGEST_ESCAPE + ELLIPSIS_SIZE) {
            memcpy(out + used, "...", ELLIPSIS_SIZE);
            return;
        }
        struct utf8_char c = utf8_next(text, length);
        if (!c.valid) {
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", (unsigned char)*text);
        } else if (!utf8_printable(c.code)) {
            used += (size_t)snprintf(out + used, size - used, "\\u%04" PRIx32, c.code);
        } else {
            memcpy(out + used, text, c.length);
            used += c.length;
        }
        text += c.length;
        length -= c.length;
    }
    out[used] = '\0';
}
