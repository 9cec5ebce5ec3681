#ifndef IMPCERT_WORKER_OFFSETS_H
#define IMPCERT_WORKER_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which offsets of one partition are finished. Jobs finish in any order; what may be committed is the end of
 * the unbroken finished run. One bit per offset between that end and the newest offset begun. Pure. Thread:
 * loop. */
struct offsets {
    int64_t base;     /* the lowest unfinished offset: the position to commit; -1 before the first begin */
    int64_t next;     /* one past the newest offset begun */
    uint64_t *bits;   /* finished flags, a ring: offset o has bit o % (words * 64) */
    size_t words;     /* length of bits, a power of two */
    size_t in_flight; /* begun and not finished */
};

void offsets_init(struct offsets *offsets);
void offsets_cleanup(struct offsets *offsets);

/* A record was received. Offsets come in rising order; those skipped (compacted away, transaction marks) do
 * not exist and count as finished. Returns false when out of memory or when the offset is not beyond the
 * newest one. */
bool offsets_begin(struct offsets *offsets, int64_t offset) __attribute__((warn_unused_result));
/* The work of a begun offset is finished for good. Each offset once. */
void offsets_done(struct offsets *offsets, int64_t offset);
/* How many offsets are remembered behind the oldest unfinished one: the memory that a stuck job costs. */
int64_t offsets_span(const struct offsets *offsets);

#endif
