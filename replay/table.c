/* Unresolved dead letters by key. Main thread. */
/* HASH_ADD leaves hh.tbl NULL when out of memory, instead of ending the program. */
#define HASH_NONFATAL_OOM 1
#include "replay/table.h"

#include "common/utf8.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table)
{
    *table = (struct table){.keys = NULL};
}

void table_cleanup(struct table *table)
{
    struct dead *dead, *next;
    HASH_ITER (hh, table->keys, dead, next) {
        HASH_DEL(table->keys, dead);
        free(dead);
    }
}

struct dead *table_find(const struct table *table, const void *key, size_t key_size)
{
    struct dead *dead;
    HASH_FIND(hh, table->keys, key, key_size, dead);
    return dead;
}

static struct dead *table_add(struct table *table, const void *key, size_t key_size)
{
    struct dead *dead = calloc(1, offsetof(struct dead, key) + key_size + 1);
    if (!dead)
        return NULL;
    if (key_size)
        memcpy(dead->key, key, key_size);
    dead->key_size = (uint32_t)key_size;
    HASH_ADD_KEYPTR(hh, table->keys, dead->key, key_size, dead);
    if (dead->hh.tbl)
        return dead;
    free(dead);
    return NULL;
}

bool table_put(struct table *table, const void *key, size_t key_size, int32_t partition, int64_t offset,
    const struct letter_failure *failure)
{
    struct dead *dead = table_find(table, key, key_size);
    if (!dead && !(dead = table_add(table, key, key_size)))
        return false;
    dead->partition = partition;
    dead->offset = offset;
    dead->reason = (uint8_t)failure->reason;
    dead->replay_count = (uint8_t)(failure->replay_count < UINT8_MAX ? failure->replay_count : UINT8_MAX);
    dead->failed_ms = failure->failed_ms;
    return true;
}

void table_remove(struct table *table, const void *key, size_t key_size)
{
    struct dead *dead = table_find(table, key, key_size);
    if (!dead)
        return;
    HASH_DEL(table->keys, dead);
    free(dead);
}

void table_show_key(const struct dead *dead, char out[static TABLE_KEY_SHOWN])
{
    utf8_escape(dead->key, dead->key_size, out, TABLE_KEY_SHOWN);
}

size_t table_count(const struct table *table)
{
    return HASH_COUNT(table->keys);
}
