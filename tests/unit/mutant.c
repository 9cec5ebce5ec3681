#include "tests/unit/mutant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *block_of(const char *data, size_t size)
{
    char *block = malloc(size + !size);
    assert_non_null(block);
    memcpy(block, data, size);
    return block;
}

size_t draw(struct dice *dice, size_t below)
{
    return (size_t)nrand48(dice->random) % below;
}

void mutant_insert(struct mutant *mutant, size_t at, const char *data, size_t size)
{
    if (mutant->size + size > sizeof mutant->data)
        return;
    memmove(mutant->data + at + size, mutant->data + at, mutant->size - at);
    memcpy(mutant->data + at, data, size);
    mutant->size += size;
}

void mutant_insert_one_of(
    struct mutant *mutant, struct dice *dice, size_t at, const struct bytes *words, size_t count)
{
    const struct bytes *word = &words[draw(dice, count)];
    mutant_insert(mutant, at, word->data, word->size);
}

void mutant_delete(struct mutant *mutant, size_t at, size_t size)
{
    memmove(mutant->data + at, mutant->data + at + size, mutant->size - at - size);
    mutant->size -= size;
}

void mutant_duplicate(struct mutant *mutant, size_t from, size_t size, size_t to)
{
    char copy[64];
    memcpy(copy, mutant->data + from, size);
    mutant_insert(mutant, to, copy, size);
}
