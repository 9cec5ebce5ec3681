// Counts by name in a uthash table, one allocation for each name: about 100 bytes with a usual imp_uid, so a
// million names take some 100 MB. Runs on the main thread.
#include "tally.h"

#include <stdlib.h>

#include "json_text.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct tally_entry {
    UT_hash_handle hh;
    uint32_t count;
    char name[]; // hh.keylen bytes
};

static struct tally_entry *find(const struct tally *tally, const char *name, size_t len)
{
    struct tally_entry *entry = NULL;
    HASH_FIND(hh, tally->entries, name, len, entry);
    return entry;
}

uint32_t tally_add(struct tally *tally, const char *name, size_t len)
{
    struct tally_entry *entry = find(tally, name, len);
    if (entry != NULL)
        return ++entry->count;
    entry = malloc(sizeof *entry + len);
    if (entry == NULL)
        return 0;
    memcpy(entry->name, name, len);
    entry->count = 1;
    HASH_ADD_KEYPTR(hh, tally->entries, entry->name, len, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return 0;
    }
    return 1;
}

uint32_t tally_get(const struct tally *tally, const char *name, size_t len)
{
    const struct tally_entry *entry = find(tally, name, len);
    return entry == NULL ? 0 : entry->count;
}

size_t tally_names(const struct tally *tally)
{
    return HASH_COUNT(tally->entries);
}

void tally_write(const struct tally *tally, struct buf *out)
{
    const char *separator = "{";
    for (const struct tally_entry *entry = tally->entries; entry != NULL; entry = entry->hh.next) {
        buf_add(out, separator, 1);
        json_text_add(out, entry->name, entry->hh.keylen, JSON_STYLE_RAW);
        buf_add(out, ":", 1);
        buf_add_int(out, entry->count);
        separator = ",";
    }
    buf_add_text(out, tally->entries == NULL ? "{}" : "}");
}

void tally_cleanup(struct tally *tally)
{
    struct tally_entry *entry = tally->entries;
    if (entry == NULL)
        return;
    // The entries keep their list links when the table goes, which frees a million of them without a million
    // unlinks.
    HASH_CLEAR(hh, tally->entries);
    while (entry != NULL) {
        struct tally_entry *next = entry->hh.next;
        free(entry);
        entry = next;
    }
}
