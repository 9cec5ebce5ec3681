/* A look at traceparent, which comes from outside and goes far. Pure, any thread. */
#include "common/traceparent.h"

#include <string.h>

enum { VERSION_LENGTH = 2, TRACE_LENGTH = 32, PARENT_LENGTH = 16, FLAGS_LENGTH = 2, LENGTH = 55 };

/* So many lower-case hex digits, and not all of them 0. */
static bool traceparent_hex(const char *text, size_t length, bool may_be_zero)
{
    return strspn(text, "0123456789abcdef") >= length && (may_be_zero || strspn(text, "0") < length);
}

bool traceparent_valid(const char *text, size_t length)
{
    static const size_t lengths[] = {VERSION_LENGTH, TRACE_LENGTH, PARENT_LENGTH, FLAGS_LENGTH};
    char copy[TRACEPARENT_MOST + 1];
    if (length < LENGTH || length > TRACEPARENT_MOST || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    const char *at = copy;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        bool may_be_zero = lengths[i] == VERSION_LENGTH || lengths[i] == FLAGS_LENGTH;
        if (!traceparent_hex(at, lengths[i], may_be_zero))
            return false;
        at += lengths[i];
        if (at < copy + LENGTH && *at++ != '-')
            return false;
    }
    if (strncmp(copy, "ff", VERSION_LENGTH) == 0)
        return false;
    bool first_version = strncmp(copy, "00", VERSION_LENGTH) == 0;
    return length == LENGTH || (!first_version && copy[LENGTH] == '-');
}

void traceparent_id(const rd_kafka_headers_t *headers, char out[static TRACEPARENT_ID_SIZE])
{
    const void *value;
    size_t length;
    out[0] = '\0';
    if (!headers || rd_kafka_header_get_last(headers, "traceparent", &value, &length) != 0 || !value ||
        !traceparent_valid(value, length))
        return;
    memcpy(out, (const char *)value + VERSION_LENGTH + 1, TRACE_LENGTH);
    out[TRACE_LENGTH] = '\0';
}
