/* The finished run of one partition, as a ring of bits. Loop thread. */
#include "worker/offsets.h"

#include <assert.h>
#include <stdlib.h>

enum { WORD_BITS = 64, FIRST_WORDS = 16 };

void offsets_init(struct offsets *offsets)
{
    *offsets = (struct offsets){.base = -1, .next = -1};
}

void offsets_cleanup(struct offsets *offsets)
{
    free(offsets->bits);
    offsets_init(offsets);
}

static uint64_t *offsets_word(const struct offsets *offsets, int64_t offset)
{
    return &offsets->bits[((uint64_t)offset / WORD_BITS) & (offsets->words - 1)];
}

static uint64_t offsets_mask(int64_t offset)
{
    return UINT64_C(1) << ((uint64_t)offset % WORD_BITS);
}

static void offsets_set(struct offsets *offsets, int64_t offset, bool finished)
{
    uint64_t *word = offsets_word(offsets, offset);
    *word = finished ? *word | offsets_mask(offset) : *word & ~offsets_mask(offset);
}

static bool offsets_is_set(const struct offsets *offsets, int64_t offset)
{
    return *offsets_word(offsets, offset) & offsets_mask(offset);
}

/* Makes room for all offsets from base to offset. */
static bool offsets_reserve(struct offsets *offsets, int64_t offset)
{
    uint64_t span = (uint64_t)(offset - offsets->base) + 1;
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
    for (int64_t o = offsets->base; o < offsets->next; o++)
        offsets_set(&grown, o, offsets_is_set(offsets, o));
    free(offsets->bits);
    *offsets = grown;
    return true;
}

bool offsets_begin(struct offsets *offsets, int64_t offset)
{
    if (offset < offsets->next)
        return false;
    /* With nothing in flight the run simply starts over at the new offset, however far away it is. */
    if (!offsets->in_flight) {
        offsets->base = offset;
        offsets->next = offset;
    }
    if (!offsets_reserve(offsets, offset))
        return false;
    for (int64_t skipped = offsets->next; skipped < offset; skipped++)
        offsets_set(offsets, skipped, true);
    offsets_set(offsets, offset, false);
    offsets->next = offset + 1;
    offsets->in_flight++;
    return true;
}

void offsets_done(struct offsets *offsets, int64_t offset)
{
    assert(offset >= offsets->base && offset < offsets->next && !offsets_is_set(offsets, offset));
    offsets_set(offsets, offset, true);
    offsets->in_flight--;
    while (offsets->base < offsets->next && offsets_is_set(offsets, offsets->base))
        offsets->base++;
}

int64_t offsets_span(const struct offsets *offsets)
{
    return offsets->next - offsets->base;
}
