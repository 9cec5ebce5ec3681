// JSON string escapes and the UTF-8 decoding that they need. Pure functions; run on the main thread.
#include "json_text.h"

#include <stdio.h>

// Length of the sequence at text, 0 when it is not well-formed UTF-8. The code point goes to *point.
static size_t utf8_decode(const char *text, size_t len, uint32_t *point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text[0];
    if (lead < 0x80) {
        *point = lead;
        return 1;
    }
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || size > len)
        return 0;
    uint32_t value = lead & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3F);
    }
    bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < smallest[size] || value > 0x10FFFF || surrogate)
        return 0;
    *point = value;
    return size;
}

bool json_text_is_clean(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = utf8_decode(text + at, len - at, &point);
        if (size == 0 || point < 0x20 || point == 0x7F)
            return false;
        at += size;
    }
    return true;
}

static void add_unit(struct buf *out, uint32_t unit)
{
    char text[8];
    snprintf(text, sizeof text, "\\u%04x", (unsigned)(unit & 0xFFFF));
    buf_add(out, text, 6);
}

static void add_escaped(struct buf *out, uint32_t point)
{
    if (point < 0x10000) {
        add_unit(out, point);
        return;
    }
    add_unit(out, 0xD800 + ((point - 0x10000) >> 10));
    add_unit(out, 0xDC00 + ((point - 0x10000) & 0x3FF));
}

void json_text_add(struct buf *out, const char *text, size_t len, unsigned style)
{
    size_t plain = 0; // start of the run that needs no escape
    buf_add(out, "\"", 1);
    for (size_t at = 0; at < len;) {
        uint32_t point = 0;
        size_t size = utf8_decode(text + at, len - at, &point);
        size = size == 0 ? 1 : size;
        bool quote = point == '"' || point == '\\' || (point == '/' && (style & JSON_STYLE_SLASH));
        bool code = point < 0x20 || (point >= 0x80 && (style & JSON_STYLE_ASCII));
        if (quote || code) {
            buf_add(out, text + plain, at - plain);
            if (quote)
                buf_add(out, "\\", 1);
            else
                add_escaped(out, point);
            plain = quote ? at : at + size;
        }
        at += size;
    }
    buf_add(out, text + plain, len - plain);
    buf_add(out, "\"", 1);
}
