// Growing bytes with a ceiling; see buf.h. Runs on the main thread; each buffer owns its memory.
#include "buf.h"

#include <stdlib.h>

enum { BUF_FIRST = 1024, BUF_KEEP = 64 * 1024 };

static const size_t buf_ceiling = (size_t)1 << 30;

char *buf_reserve(struct buf *buf, size_t extra)
{
    if (buf->failed)
        return NULL;
    if (extra <= buf->cap - buf->len && buf->data != NULL)
        return buf->data + buf->len;
    size_t cap = buf->cap == 0 ? BUF_FIRST : buf->cap;
    while (cap - buf->len < extra && cap < buf_ceiling)
        cap *= 2;
    char *data = cap - buf->len < extra ? NULL : realloc(buf->data, cap);
    if (data == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->data = data;
    buf->cap = cap;
    return data + buf->len;
}

void buf_clear(struct buf *buf)
{
    if (buf->cap > BUF_KEEP)
        buf_cleanup(buf);
    buf->len = 0;
    buf->failed = false;
}

void buf_cleanup(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_add_int(struct buf *buf, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    buf_add(buf, digits + at, sizeof digits - at);
}
