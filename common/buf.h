#ifndef IMPCERT_COMMON_BUF_H
#define IMPCERT_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

/* Growing bytes with a hard ceiling: what comes from outside can't grow without bound. The memory is kept for
 * the next use. Thread: the owner's. */
struct buf {
    char *data;      /* NULL until the first append; closed by a NUL that size does not count */
    size_t size;     /* bytes held */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* most bytes that size may reach */
};

void buf_init(struct buf *buf, size_t limit);
void buf_cleanup(struct buf *buf);
/* Empties it, and frees the memory where more than keep bytes were allocated. */
void buf_reset(struct buf *buf, size_t keep);
/* The same, overwriting what it held: secrets and personal data. */
void buf_wipe(struct buf *buf, size_t keep);
/* Returns false, with buf unchanged, over the limit or out of memory. */
bool buf_append(struct buf *buf, const void *data, size_t size) __attribute__((warn_unused_result));
bool buf_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

#endif
