#ifndef IMPCERT_REPLAY_TABLE_H
#define IMPCERT_REPLAY_TABLE_H

#include "common/letter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* The dead letter queue as a table: the newest record of a key counts, and one with a null value says that
 * the key is dealt with. Holds what is unresolved and nothing else: memory goes with that, not with the
 * length of the topic. Pure. Thread: main. */
struct dead {
    UT_hash_handle hh; /* the table's */
    int64_t offset;    /* of the newest record */
    int64_t failed_ms; /* wall time */
    int32_t partition;
    uint32_t key_size;
    uint8_t reason;       /* enum reason */
    uint8_t replay_count; /* at most 255 */
    bool chosen;          /* by the command under way */
    char key[];           /* key_size bytes and a NUL: an imp_uid, or where the event had none, its origin */
};

struct table {
    struct dead *keys; /* by key */
    uint64_t read;     /* records that were looked at */
};

void table_init(struct table *table);
void table_cleanup(struct table *table);

/* A dead letter: it takes the place of an older one. False when out of memory. */
bool table_put(struct table *table, const void *key, size_t key_size, int32_t partition, int64_t offset,
    const struct letter_failure *failure);
/* A mark. */
void table_remove(struct table *table, const void *key, size_t key_size);
/* The key for a person's eyes, with what is unprintable escaped. */
enum { TABLE_KEY_SHOWN = 320 };
void table_show_key(const struct dead *dead, char out[static TABLE_KEY_SHOWN]);
size_t table_count(const struct table *table);
/* NULL where there is none; borrowed until the next change. */
struct dead *table_find(const struct table *table, const void *key, size_t key_size);

#endif
