/* What the targets share. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = strndup(size ? (const char *)data : "", size);
    FUZZ_CHECK(text);
    return text;
}

bool fuzz_says_why(const char *text, size_t size)
{
    return text[0] && memchr(text, '\0', size);
}

json_t *fuzz_json(const uint8_t *data, size_t size, size_t flags, json_error_t *error)
{
    json_error_t other;
    memset(error ? error : &other, 0, sizeof other);
    if (!size || memchr(data, '\0', size))
        return NULL;
    return json_loadb((const char *)data, size, flags, error ? error : &other);
}
