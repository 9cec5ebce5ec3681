/* The finished offsets of one partition, as a ring of bits. Loop thread. */
#include "worker/offsets.h"

#include <assert.h>
#include <stdlib.h>

enum { WORD_BITS = 64, FIRST_WORDS = 16 };

void offsets_init(struct offsets *offsets)
{
    *offsets = (struct offsets){.base = -1, .next = -1, .end = -1};
}

void offsets_cleanup(struct offsets *offsets)
{
    free(offsets->bits);
    offsets_init(offsets);
}

static uint64_t *offsets_word(const struct offsets *offsets, uint64_t offset)
{
    return &offsets->bits[(offset / WORD_BITS) & (offsets->words - 1)];
}

static bool offsets_is_set(const struct offsets *offsets, int64_t offset)
{
    return *offsets_word(offsets, (uint64_t)offset) >> ((uint64_t)offset % WORD_BITS) & 1;
}

/* Sets the flags of [from, to). */
static void offsets_fill(struct offsets *offsets, int64_t from, int64_t to, bool finished)
{
    for (uint64_t at = (uint64_t)from; at < (uint64_t)to;) {
        uint64_t first = at % WORD_BITS;
        uint64_t count = WORD_BITS - first;
        if (count > (uint64_t)to - at)
            count = (uint64_t)to - at;
        uint64_t mask = UINT64_MAX >> (WORD_BITS - count) << first;
        uint64_t *word = offsets_word(offsets, at);
        *word = finished ? *word | mask : *word & ~mask;
        at += count;
    }
}

/* Makes room for all offsets of [base, to). */
static bool offsets_reserve(struct offsets *offsets, int64_t to)
{
    uint64_t span = (uint64_t)(to - offsets->base);
    size_t words = offsets->words ? offsets->words : FIRST_WORDS;
    /* One word to spare: a span that begins inside a word touches one word more than its length fills. */
    while ((words - 1) * WORD_BITS < span)
        words *= 2;
    if (words == offsets->words)
        return true;
    struct offsets grown = *offsets;
    grown.words = words;
    grown.bits = calloc(words, sizeof *grown.bits);
    if (!grown.bits)
        return false;
    uint64_t end = (uint64_t)offsets->end;
    for (uint64_t at = (uint64_t)offsets->base; at < end; at += WORD_BITS - at % WORD_BITS)
        *offsets_word(&grown, at) = *offsets_word(offsets, at);
    free(offsets->bits);
    *offsets = grown;
    return true;
}

bool offsets_restore(struct offsets *offsets, int64_t base)
{
    assert(!offsets->in_flight);
    if (base < 0)
        return false;
    offsets->base = base;
    offsets->next = base;
    offsets->end = base;
    return true;
}

bool offsets_restore_finished(struct offsets *offsets, int64_t from, int64_t to)
{
    assert(offsets->base >= 0);
    if (to - offsets->base > OFFSETS_RESTORED_MAX)
        to = offsets->base + OFFSETS_RESTORED_MAX;
    if (from < offsets->next)
        from = offsets->next;
    if (from >= to)
        return true;
    if (!offsets_reserve(offsets, to))
        return false;
    if (from > offsets->end)
        offsets_fill(offsets, offsets->end, from, false);
    offsets_fill(offsets, from, to, true);
    if (to > offsets->end)
        offsets->end = to;
    return true;
}

/* The end of the run of equal flags that starts at from, or to if that comes first. */
static int64_t offsets_run_until(const struct offsets *offsets, int64_t from, int64_t to)
{
    uint64_t equal = offsets_is_set(offsets, from) ? UINT64_MAX : 0;
    uint64_t at = (uint64_t)from;
    while (at < (uint64_t)to) {
        uint64_t unequal = (*offsets_word(offsets, at) ^ equal) >> (at % WORD_BITS);
        if (unequal) {
            at += (uint64_t)__builtin_ctzll(unequal);
            break;
        }
        at += WORD_BITS - at % WORD_BITS;
    }
    return at < (uint64_t)to ? (int64_t)at : to;
}

int64_t offsets_run_end(const struct offsets *offsets, int64_t from, bool *finished)
{
    assert(from >= offsets->base && from < offsets->end);
    *finished = offsets_is_set(offsets, from);
    return offsets_run_until(offsets, from, offsets->end);
}

/* Looks no further than next: a long run that was restored would be read again for each of its offsets. */
static void offsets_advance(struct offsets *offsets)
{
    if (offsets->base < offsets->next && offsets_is_set(offsets, offsets->base))
        offsets->base = offsets_run_until(offsets, offsets->base, offsets->next);
}

static void offsets_start_over(struct offsets *offsets, int64_t offset)
{
    offsets->base = offset;
    offsets->next = offset;
    if (offsets->end < offset)
        offsets->end = offset;
}

enum offsets_begun offsets_begin(struct offsets *offsets, int64_t offset)
{
    if (offset < offsets->next)
        return OFFSETS_REPEATED;
    /* With nothing in flight the run simply starts over at the new offset, however far away it is. */
    if (!offsets->in_flight)
        offsets_start_over(offsets, offset);
    if (!offsets_reserve(offsets, offset + 1))
        return OFFSETS_NO_MEMORY;
    bool finished = offset < offsets->end && offsets_is_set(offsets, offset);
    offsets_fill(offsets, offsets->next, offset, true);
    offsets_fill(offsets, offset, offset + 1, finished);
    offsets->next = offset + 1;
    if (offsets->end < offsets->next)
        offsets->end = offsets->next;
    if (finished) {
        offsets_advance(offsets);
        return OFFSETS_FINISHED;
    }
    offsets->in_flight++;
    return OFFSETS_BEGUN;
}

void offsets_pass(struct offsets *offsets, int64_t offset)
{
    if (offset <= offsets->next)
        return;
    if (!offsets->in_flight) {
        offsets_start_over(offsets, offset);
        return;
    }
    if (!offsets_reserve(offsets, offset))
        return;
    offsets_fill(offsets, offsets->next, offset, true);
    offsets->next = offset;
    if (offsets->end < offset)
        offsets->end = offset;
    offsets_advance(offsets);
}

void offsets_done(struct offsets *offsets, int64_t offset)
{
    assert(offset >= offsets->base && offset < offsets->next && !offsets_is_set(offsets, offset));
    offsets_fill(offsets, offset, offset + 1, true);
    offsets->in_flight--;
    offsets->done++;
    offsets_advance(offsets);
}

int64_t offsets_span(const struct offsets *offsets)
{
    return offsets->end - offsets->base;
}
