// Growing bytes. An append that cannot get memory marks the buffer as failed and every later append does
// nothing, so that a writer checks once, at its end. All functions run on the main thread, as everything in
// this program.
#ifndef SIMULATOR_BUF_H
#define SIMULATOR_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;  // owned; NULL while nothing was added
    size_t len;  // bytes in use
    size_t cap;  // bytes allocated
    bool failed; // no memory, or over the ceiling; cleared by buf_clear
};

// Bytes borrowed from somebody else's buffer.
struct span {
    const char *data;
    size_t len;
};

// Makes room for `extra` more bytes and returns where they go, NULL when there is no memory. Does not change
// len.
char *buf_reserve(struct buf *buf, size_t extra);

// Empties the buffer; memory is kept for the next use unless it is large.
void buf_clear(struct buf *buf);

void buf_cleanup(struct buf *buf);

// Decimal text of a number.
void buf_add_int(struct buf *buf, int64_t value);

static inline void buf_add(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    char *to = buf->cap - buf->len >= len ? buf->data + buf->len : buf_reserve(buf, len);
    if (to == NULL)
        return;
    memcpy(to, data, len);
    buf->len += len;
}

static inline void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

#endif
