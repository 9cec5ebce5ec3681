/* Unresolved dead letters by key. Main thread. */
#include "replay/table.h"

#include <stdlib.h>
#include <string.h>

void table_init(struct table *table)
{
    *table = (struct table){.keys = NULL};
}

void table_cleanup(struct table *table)
{
    struct dead *dead, *next;
    HASH_ITER(hh, table->keys, dead, next)
    {
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
    struct dead *dead = calloc(1, sizeof *dead + key_size + 1);
    if (!dead)
        return NULL;
    if (key_size)
        memcpy(dead->key, key, key_size);
    dead->key_size = (uint16_t)key_size;
    HASH_ADD_KEYPTR(hh, table->keys, dead->key, key_size, dead);
    return dead;
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

size_t table_count(const struct table *table)
{
    return HASH_COUNT(table->keys);
}
