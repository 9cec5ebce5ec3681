// Counts by name. Owns a copy of every name. All functions run on the main thread.
#ifndef SIMULATOR_TALLY_H
#define SIMULATOR_TALLY_H

#include "buf.h"

struct tally_entry;

struct tally {
    struct tally_entry *entries; // owned hash table; NULL while empty
};

// Adds one and returns the new count; 0 when there is no memory (the count then stands still).
uint32_t tally_add(struct tally *tally, const char *name, size_t len);

// 0 for a name that was never added.
uint32_t tally_get(const struct tally *tally, const char *name, size_t len);

// Number of different names.
size_t tally_names(const struct tally *tally);

// Adds a JSON object of all names and counts, in order of first appearance.
void tally_write(const struct tally *tally, struct buf *out);

void tally_cleanup(struct tally *tally);

#endif
