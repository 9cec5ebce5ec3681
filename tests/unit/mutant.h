#ifndef IMPCERT_TESTS_MUTANT_H
#define IMPCERT_TESTS_MUTANT_H

#include <stddef.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define BYTES(text) text, sizeof(text) - 1

struct bytes {
    const char *data;
    size_t size;
};

/* A block of that size alone, so that reading on behind its end is seen. The caller frees it. */
char *block_of(const char *data, size_t size);

/* Bytes gone wrong by chance, the same for the same seed. */
enum { MUTANT_LIMIT = 4096 };

struct dice {
    unsigned short random[3]; /* the seed; nrand48(3) */
};

struct mutant {
    unsigned seed;
    size_t size;
    char data[MUTANT_LIMIT];
};

/* 0 to below - 1. */
size_t draw(struct dice *dice, size_t below);

/* Not done where it would become too long. */
void mutant_insert(struct mutant *mutant, size_t at, const char *data, size_t size);
void mutant_insert_one_of(
    struct mutant *mutant, struct dice *dice, size_t at, const struct bytes *words, size_t count);
void mutant_delete(struct mutant *mutant, size_t at, size_t size);
/* Puts a copy of size bytes, at most 64, from one place to another. */
void mutant_duplicate(struct mutant *mutant, size_t from, size_t size, size_t to);

#endif
