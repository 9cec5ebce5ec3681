/* Headers of records, for the targets that read them. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void headers_add_line(rd_kafka_headers_t *headers, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    size_t name = colon ? (size_t)(colon - line) : size;
    const char *value = colon ? colon + 1 : NULL;
    FUZZ_CHECK(!rd_kafka_header_add(
        headers, line, (ssize_t)strnlen(line, name), value, value ? (ssize_t)(size - name - 1) : 0));
}

rd_kafka_headers_t *fuzz_headers(const uint8_t *data, size_t size)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        headers_add_line(headers, at, (size_t)(line_end - at));
        at = newline ? newline + 1 : end;
    }
    return headers;
}

bool fuzz_header_is_foreign(const char *name, bool replay_is_foreign)
{
    return strncmp(name, "impcert.", 8) != 0 ||
           (replay_is_foreign && strncmp(name, "impcert.replay", 14) == 0);
}

struct header {
    const char *name;
    const void *value;
    size_t size;
};

/* The next foreign header from *at on. */
static bool next_foreign(
    const rd_kafka_headers_t *headers, size_t *at, bool replay_is_foreign, struct header *header)
{
    while (!rd_kafka_header_get_all(headers, (*at)++, &header->name, &header->value, &header->size))
        if (fuzz_header_is_foreign(header->name, replay_is_foreign))
            return true;
    return false;
}

bool fuzz_headers_carried(
    const rd_kafka_headers_t *from, const rd_kafka_headers_t *to, bool replay_is_foreign)
{
    size_t at_from = 0, at_to = 0;
    struct header one, other;
    while (next_foreign(from, &at_from, replay_is_foreign, &one))
        if (!next_foreign(to, &at_to, replay_is_foreign, &other) || strcmp(one.name, other.name) != 0 ||
            one.size != other.size || !one.value != !other.value ||
            (one.size && memcmp(one.value, other.value, one.size) != 0))
            return false;
    return !next_foreign(to, &at_to, replay_is_foreign, &other);
}

size_t fuzz_headers_count(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value;
    size_t size, count = 0;
    while (!rd_kafka_header_get(headers, count, name, &value, &size))
        count++;
    return count;
}

bool fuzz_header_is(const rd_kafka_headers_t *headers, const char *name, const char *text)
{
    const void *value;
    size_t size;
    return !rd_kafka_header_get_last(headers, name, &value, &size) && value && size == strlen(text) &&
           memcmp(value, text, size) == 0;
}
