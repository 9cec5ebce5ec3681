/* Documents like the worker's in unordered bulk inserts, one after another. */
#include "tests/bench/floors/floor.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void insert_build(bson_t *document, size_t number)
{
    char name[64];
    bson_init(document);
    snprintf(name, sizeof name, "imp_%012zu", number);
    BSON_APPEND_UTF8(document, "_id", name);
    snprintf(name, sizeof name, "ukZ7c3S5kWlT8Y2mQ0%012zu+v9dH1rJx4bN6pFgA==", number);
    BSON_APPEND_UTF8(document, "unique_key", name);
    BSON_APPEND_UTF8(document, "unique_in_site", name);
    BSON_APPEND_BOOL(document, "certified", true);
    BSON_APPEND_DATE_TIME(document, "certified_at", (int64_t)time(NULL) * 1000);
    BSON_APPEND_DATE_TIME(document, "verified_at", (int64_t)time(NULL) * 1000);
}

static bool insert_batch(
    mongoc_collection_t *collection, size_t first, size_t size, bson_t *documents, const bson_t **pointers)
{
    bson_error_t why;
    bson_t options = BSON_INITIALIZER;
    BSON_APPEND_BOOL(&options, "ordered", false);
    for (size_t i = 0; i < size; i++) {
        insert_build(&documents[i], first + i);
        pointers[i] = &documents[i];
    }
    bool inserted = mongoc_collection_insert_many(collection, pointers, size, &options, NULL, &why);
    if (!inserted)
        fprintf(stderr, "impcert-floor: %s\n", why.message);
    for (size_t i = 0; i < size; i++)
        bson_destroy(&documents[i]);
    bson_destroy(&options);
    return inserted;
}

bool floor_insert(const char *uri, const char *database, size_t count, size_t at_once)
{
    mongoc_init();
    mongoc_client_t *client = mongoc_client_new(uri);
    mongoc_collection_t *collection = client ? mongoc_client_get_collection(client, database, "floor") : NULL;
    bson_t *documents = calloc(at_once, sizeof *documents);
    const bson_t **pointers = calloc(at_once, sizeof *pointers);
    bool fine = collection && documents && pointers;
    for (size_t done = 0; fine && done < count; done += at_once)
        fine = insert_batch(
            collection, done, count - done < at_once ? count - done : at_once, documents, pointers);
    free(documents);
    free(pointers);
    if (collection)
        mongoc_collection_destroy(collection);
    mongoc_client_destroy(client);
    mongoc_cleanup();
    return fine;
}
