#ifndef IMPCERT_WORKER_OFFSETS_H
#define IMPCERT_WORKER_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which offsets of one partition are finished. Jobs finish in any order; what may be committed is the end of
 * the unbroken finished run. One bit per offset from that end to the newest offset that was begun, or that an
 * earlier assignment is known to have finished. Pure. Thread: loop. */
struct offsets {
    int64_t base;     /* the lowest unfinished offset: the position to commit; -1 before the first begin */
    int64_t next;     /* one past the newest offset begun */
    int64_t end;      /* one past the newest offset with a flag: next, or more where some were restored */
    uint64_t *bits;   /* finished flags of [base, end), a ring: offset o has bit o % (words * 64) */
    size_t words;     /* length of bits, a power of two */
    size_t in_flight; /* begun and not finished */
    uint64_t done;    /* how often offsets_done was called: where it is the same, nothing was finished */
};

/* How far beyond the position finished offsets are restored: the bound on what outside data can cost. */
enum { OFFSETS_RESTORED_MAX = 1000000 };

enum offsets_begun {
    OFFSETS_BEGUN,    /* in flight from now on */
    OFFSETS_FINISHED, /* restored as finished: it is not in flight, and there is nothing to do for it */
    OFFSETS_REPEATED, /* not beyond the newest one: in flight, or finished */
    OFFSETS_NO_MEMORY /* nothing has changed that could be committed wrongly */
};

void offsets_init(struct offsets *offsets);
void offsets_cleanup(struct offsets *offsets);

/* A record was received. Offsets come in rising order; those skipped (compacted away, transaction marks) do
 * not exist and count as finished. */
enum offsets_begun offsets_begin(struct offsets *offsets, int64_t offset) __attribute__((warn_unused_result));
/* Every record before this offset was received: those not begun do not exist (compacted away, transaction
 * marks) and count as finished. Where no position is known, there were none to receive, and it is the
 * position. When out of memory nothing changes. */
void offsets_pass(struct offsets *offsets, int64_t offset);
/* The work of a begun offset is finished for good. Each offset once. */
void offsets_done(struct offsets *offsets, int64_t offset);
/* How many offsets are remembered from the oldest unfinished one on: the memory that a stuck job costs. */
int64_t offsets_span(const struct offsets *offsets);

/* Takes up the position that an earlier assignment left, without finished offsets beyond it. Nothing may be
 * in flight. Returns false, and changes nothing, where base is negative and so not a position. */
bool offsets_restore(struct offsets *offsets, int64_t base);
/* The offsets of [from, to) were finished by an earlier assignment. What was begun already, and what is more
 * than OFFSETS_RESTORED_MAX beyond the position, is passed over. Returns false when out of memory. */
bool offsets_restore_finished(struct offsets *offsets, int64_t from, int64_t to)
    __attribute__((warn_unused_result));
/* The end of the run of offsets from this one on that are all finished, or all not. From is in [base, end);
 * the last run ends at end. */
int64_t offsets_run_end(const struct offsets *offsets, int64_t from, bool *finished);

#endif
