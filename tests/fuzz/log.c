/* A value in a line of the log, and in words for a terminal. Whatever it holds, the line is one, is JSON or
 * text, and steers no terminal. The first byte tells the format. */
#include "common/log.h"

#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MOST = 4096 };

static bool capturing;
static char line[LINE_MOST + 1];
static size_t line_size;
static unsigned writes;

ssize_t __real_write(int file, const void *data, size_t size);
ssize_t __wrap_write(int file, const void *data, size_t size);

ssize_t __wrap_write(int file, const void *data, size_t size)
{
    if (!capturing || file != STDERR_FILENO)
        return __real_write(file, data, size);
    FUZZ_CHECK(size <= LINE_MOST);
    memcpy(line, data, size);
    line[size] = '\0';
    line_size = size;
    writes++;
    return (ssize_t)size;
}

static void check_harmless(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct utf8_char c = utf8_next(text + at, size - at);
        FUZZ_CHECK(c.valid && utf8_printable(c.code));
        at += c.length;
    }
}

/* The value as a line holds it: with U+FFFD for each byte that is no UTF-8. */
static void check_value(const char *logged, const char *text)
{
    FUZZ_CHECK(logged);
    while (*text) {
        struct utf8_char c = utf8_next(text, strlen(text));
        const char *shown = c.valid ? text : "\xef\xbf\xbd";
        size_t length = c.valid ? c.length : 3;
        FUZZ_CHECK(strncmp(logged, shown, length) == 0);
        logged += length;
        text += c.length;
    }
    FUZZ_CHECK(!*logged);
}

static void check_json(const char *text)
{
    json_t *root = json_loadb(line, line_size, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(root && json_integer_value(json_object_get(root, "offset")) == 7);
    bool cut = json_is_true(json_object_get(root, "cut"));
    if (!cut)
        check_value(json_string_value(json_object_get(root, "value")), text);
    json_decref(root);
}

static void check_line(const char *text, bool json)
{
    log_setup(LOG_LEVEL_INFO, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
    writes = 0;
    capturing = true;
    log_info("event rejected", LOG_NUMBER("offset", 7), LOG_TEXT("value", text));
    capturing = false;
    FUZZ_CHECK(writes == 1 && line_size && line[line_size - 1] == '\n');
    check_harmless(line, line_size - 1);
    if (json)
        check_json(text);
}

static void check_escape(const uint8_t *data, size_t size, size_t room)
{
    char *out = malloc(room);
    FUZZ_CHECK(out);
    utf8_escape((const char *)data, size, out, room);
    FUZZ_CHECK(memchr(out, '\0', room));
    check_harmless(out, strlen(out));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    check_line(text, data[0] & 1);
    check_escape(data + 1, size - 1, 16 + (data[0] >> 1));
    free(text);
    return 0;
}
