/* Growing bytes with a hard ceiling. The owner's thread. */
#include "common/buf.h"

#include "common/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_cleanup(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->limit);
}

void buf_reset(struct buf *buf, size_t keep)
{
    buf->size = 0;
    if (buf->capacity > keep)
        buf_cleanup(buf);
}

void buf_wipe(struct buf *buf, size_t keep)
{
    if (buf->size)
        explicit_bzero(buf->data, buf->size);
    buf_reset(buf, keep);
}

static bool buf_reserve(struct buf *buf, size_t more)
{
    if (more > buf->limit - buf->size)
        return false;
    size_t need = buf->size + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : 128;
    while (capacity < need)
        capacity *= 2;
    char *data = secret_rewipe(buf->data, capacity);
    if (!data)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

bool buf_append(struct buf *buf, const void *data, size_t size)
{
    if (!buf_reserve(buf, size))
        return false;
    if (size)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
    return true;
}

bool buf_format(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !buf_reserve(buf, (size_t)size))
        return false;
    va_start(arguments, format);
    vsnprintf(buf->data + buf->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buf->size += (size_t)size;
    return true;
}
