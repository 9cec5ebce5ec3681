/* JSON, read where it stands. Pure. */
#include "worker/reader.h"

#include "common/hex.h"
#include "common/utf8.h"

#include <string.h>

void reader_init(struct reader *reader, const char *data, size_t size)
{
    *reader = (struct reader){.start = data, .at = data, .end = data + size};
}

size_t reader_position(const struct reader *reader)
{
    return (size_t)(reader->at - reader->start);
}

static bool reader_fail(struct reader *reader)
{
    reader->bad = true;
    return false;
}

/* The next character; NUL, which no JSON has outside of a text, at the end. */
static char reader_peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static char reader_skip_blanks(struct reader *reader)
{
    char c;
    while ((c = reader_peek(reader)) == ' ' || c == '\n' || c == '\r' || c == '\t')
        reader->at++;
    return c;
}

/* ---- texts ---- */

/* The four digits of \uXXXX; negative where they are none. */
static int32_t hex_number(const char *at, const char *end)
{
    int32_t number = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static bool is_high_surrogate(int32_t code)
{
    return code >= 0xD800 && code <= 0xDBFF;
}

static bool is_low_surrogate(int32_t code)
{
    return code >= 0xDC00 && code <= 0xDFFF;
}

/* What an escape stands for, beginning behind its backslash; *size is what it takes. Negative where it is
 * bad.
 */
static int32_t escape_code(const char *at, const char *end, size_t *size)
{
    static const char letters[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
    const char *letter = at < end && *at ? strchr(letters, *at) : NULL;
    *size = 1;
    if (letter)
        return codes[letter - letters];
    int32_t code = at < end && *at == 'u' ? hex_number(at + 1, end) : -1;
    *size = 5;
    if (code <= 0 || is_low_surrogate(code))
        return -1;
    if (!is_high_surrogate(code))
        return code;
    int32_t low = end - at > 7 && at[5] == '\\' && at[6] == 'u' ? hex_number(at + 7, end) : -1;
    *size = 11;
    return is_low_surrogate(low) ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : -1;
}

static bool reader_escape(struct reader *reader)
{
    size_t size;
    if (escape_code(reader->at + 1, reader->end, &size) < 0)
        return reader_fail(reader);
    reader->at += 1 + size;
    return true;
}

static bool reader_character(struct reader *reader)
{
    struct utf8_char character = utf8_next(reader->at, (size_t)(reader->end - reader->at));
    if (!character.valid)
        return reader_fail(reader);
    reader->at += character.length;
    return true;
}

/* From behind the opening quote to behind the closing one. */
static bool reader_text(struct reader *reader, struct reader_text *text)
{
    *text = (struct reader_text){.data = reader->at};
    while (reader->at < reader->end) {
        unsigned char c = (unsigned char)*reader->at;
        if (c == '"') {
            text->size = (size_t)(reader->at++ - text->data);
            return true;
        }
        if (c == '\\') {
            text->escaped = true;
            if (!reader_escape(reader))
                return false;
        } else if (c >= 0x80) {
            if (!reader_character(reader))
                return false;
        } else if (c < 0x20)
            break;
        else
            reader->at++;
    }
    return reader_fail(reader);
}

static size_t utf8_write(int32_t code, char out[static 4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const int lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[more] | (code >> (6 * more)));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | ((code >> (6 * (more - i))) & 0x3F));
    return more + 1;
}

/* A piece of what a text says, from *at on: a run without escapes, or what one escape stands for. */
static struct reader_text text_piece(const struct reader_text *text, size_t *at, char decoded[static 4])
{
    const char *from = text->data + *at, *end = text->data + text->size;
    if (*from != '\\') {
        const char *backslash = text->escaped ? memchr(from, '\\', (size_t)(end - from)) : NULL;
        size_t size = (size_t)((backslash ? backslash : end) - from);
        *at += size;
        return (struct reader_text){.data = from, .size = size};
    }
    size_t size;
    int32_t code = escape_code(from + 1, end, &size);
    *at += 1 + size;
    return (struct reader_text){.data = decoded, .size = utf8_write(code, decoded)};
}

bool reader_text_is(const struct reader_text *text, const char *other)
{
    if (!text->escaped)
        return strncmp(text->data, other, text->size) == 0 && !other[text->size];
    size_t left = strlen(other);
    char decoded[4];
    for (size_t at = 0; at < text->size;) {
        struct reader_text piece = text_piece(text, &at, decoded);
        if (piece.size > left || memcmp(piece.data, other, piece.size) != 0)
            return false;
        other += piece.size;
        left -= piece.size;
    }
    return !left;
}

bool reader_text_append(const struct reader_text *text, struct buf *out)
{
    char decoded[4];
    for (size_t at = 0; at < text->size;) {
        struct reader_text piece = text_piece(text, &at, decoded);
        if (!buf_append(out, piece.data, piece.size))
            return false;
    }
    return true;
}

/* ---- other values ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool reader_digits(struct reader *reader)
{
    if (!is_digit(reader_peek(reader)))
        return reader_fail(reader);
    while (is_digit(reader_peek(reader)))
        reader->at++;
    return true;
}

static bool reader_fraction(struct reader *reader)
{
    if (reader_peek(reader) == '.') {
        reader->at++;
        if (!reader_digits(reader))
            return false;
    }
    if ((reader_peek(reader) | 0x20) == 'e') {
        reader->at++;
        if (reader_peek(reader) == '+' || reader_peek(reader) == '-')
            reader->at++;
        return reader_digits(reader);
    }
    return true;
}

/* Down from zero, since the least integer has no positive counterpart. */
static bool integer_value(const char *at, const char *end, bool negative, int64_t *value)
{
    *value = 0;
    for (; at < end; at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_sub_overflow(*value, *at - '0', value))
            return false;
    return negative || !__builtin_sub_overflow(0, *value, value);
}

static bool reader_number(struct reader *reader, struct reader_value *value)
{
    bool negative = *reader->at == '-';
    reader->at += negative;
    const char *digits = reader->at;
    if (!reader_digits(reader) || (*digits == '0' && reader->at - digits > 1))
        return reader_fail(reader);
    const char *end = reader->at;
    if (!reader_fraction(reader))
        return false;
    value->type = reader->at > end ? READER_REAL : READER_INTEGER;
    return value->type == READER_REAL || integer_value(digits, end, negative, &value->integer) ||
           reader_fail(reader);
}

static bool reader_word(
    struct reader *reader, const char *word, enum reader_type type, struct reader_value *value)
{
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        return reader_fail(reader);
    reader->at += size;
    value->type = type;
    return true;
}

/* ---- objects and arrays ---- */

bool reader_enter(struct reader *reader)
{
    if (reader->bad || reader_skip_blanks(reader) != '{')
        return false;
    reader->at++;
    reader->first = true;
    return true;
}

/* Comes to the next element, if there is one: past the comma, or past the closing bracket. */
static bool reader_next(struct reader *reader, char closing)
{
    bool first = reader->first;
    char c = reader_skip_blanks(reader);
    reader->first = false;
    if (c == closing) {
        reader->at++;
        return false;
    }
    if (first)
        return true;
    if (c != ',')
        return reader_fail(reader);
    reader->at++;
    return true;
}

bool reader_member(struct reader *reader, struct reader_text *name)
{
    if (reader->bad || !reader_next(reader, '}'))
        return false;
    if (reader_skip_blanks(reader) != '"')
        return reader_fail(reader);
    reader->at++;
    if (!reader_text(reader, name))
        return false;
    if (reader_skip_blanks(reader) != ':')
        return reader_fail(reader);
    reader->at++;
    return true;
}

static bool reader_any(struct reader *reader, struct reader_value *value, int depth);

static bool reader_skip_object(struct reader *reader, struct reader_value *value, int depth)
{
    struct reader_text name;
    struct reader_value member;
    reader_enter(reader);
    while (reader_member(reader, &name))
        if (!reader_any(reader, &member, depth + 1))
            return false;
    value->type = READER_OBJECT;
    return !reader->bad;
}

static bool reader_skip_array(struct reader *reader, struct reader_value *value, int depth)
{
    struct reader_value element;
    reader->at++;
    reader->first = true;
    while (reader_next(reader, ']'))
        if (!reader_any(reader, &element, depth + 1))
            return false;
    value->type = READER_ARRAY;
    return !reader->bad;
}

static bool reader_any(struct reader *reader, struct reader_value *value, int depth)
{
    char c = depth < READER_DEPTH ? reader_skip_blanks(reader) : '\0';
    switch (c) {
    case '{':
        return reader_skip_object(reader, value, depth);
    case '[':
        return reader_skip_array(reader, value, depth);
    case '"':
        reader->at++;
        value->type = READER_TEXT;
        return reader_text(reader, &value->text);
    case 't':
        return reader_word(reader, "true", READER_TRUE, value);
    case 'f':
        return reader_word(reader, "false", READER_FALSE, value);
    case 'n':
        return reader_word(reader, "null", READER_NULL, value);
    default:
        return c == '-' || is_digit(c) ? reader_number(reader, value) : reader_fail(reader);
    }
}

bool reader_read(struct reader *reader, struct reader_value *value)
{
    return !reader->bad && reader_any(reader, value, 0);
}

bool reader_finish(struct reader *reader)
{
    reader_skip_blanks(reader);
    if (reader->at < reader->end)
        reader_fail(reader);
    return !reader->bad;
}
