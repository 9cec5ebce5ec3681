/* The indexes of the documents. Store thread; owns nothing. Not being allowed to make them is no reason not
 * to store. */
#include "worker/indexes.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RETENTION_NAME "impcert_retention"

/* error_codes.yml of the server */
enum { CODE_INDEX_OPTIONS_CONFLICT = 85, CODE_INDEX_KEY_SPECS_CONFLICT = 86 };

/* The database and the collection, and who asks. */
struct place {
    mongoc_client_t *client;
    const char *database, *collection;
};

static bool indexes_run(const struct place *place, bson_t *command, bson_error_t *why)
{
    bool done =
        mongoc_client_write_command_with_opts(place->client, place->database, command, NULL, NULL, why);
    bson_destroy(command);
    return done;
}

static void indexes_ensure_unique_key(const struct place *place)
{
    bson_error_t why;
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(place->collection), "indexes", "[", "{", "key", "{",
        "unique_key", BCON_INT32(1), "}", "name", BCON_UTF8("unique_key_1"), "}", "]");
    if (!indexes_run(place, command, &why))
        log_warn("the index on unique_key could not be made", LOG_TEXT("error", why.message));
}

int32_t indexes_retention_s(const struct settings *settings)
{
    if (!settings_text(settings, SETTING_RETENTION))
        return 0;
    return (int32_t)((settings_ms(settings, SETTING_RETENTION) + 999) / 1000);
}

/* Whether there is an index of this name by which documents are deleted. Without an answer: no. */
static bool indexes_has_retention(const struct place *place)
{
    mongoc_collection_t *collection =
        mongoc_client_get_collection(place->client, place->database, place->collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, NULL);
    const bson_t *index;
    bool found = false;
    while (!found && mongoc_cursor_next(cursor, &index)) {
        bson_iter_t iter;
        found = bson_iter_init_find(&iter, index, "name") && BSON_ITER_HOLDS_UTF8(&iter) &&
                strcmp(bson_iter_utf8(&iter, NULL), RETENTION_NAME) == 0 &&
                bson_has_field(index, "expireAfterSeconds");
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
    return found;
}

/* Somebody wants documents to stay, or the setting got lost: either is theirs to say. */
static void indexes_leave_retention(const struct place *place)
{
    char command[384];
    if (!indexes_has_retention(place))
        return;
    snprintf(
        command, sizeof command, "db.getCollection('%s').dropIndex('" RETENTION_NAME "')", place->collection);
    log_warn("documents are still deleted by the index of an earlier IMPCERT_RETENTION, which is not set now",
        LOG_TEXT("index", RETENTION_NAME), LOG_TEXT("to_end_it", command));
}

static bool indexes_create_retention(const struct place *place, int32_t seconds, bson_error_t *why)
{
    return indexes_run(place,
        BCON_NEW("createIndexes", BCON_UTF8(place->collection), "indexes", "[", "{", "key", "{",
            "verified_at", BCON_INT32(1), "}", "name", BCON_UTF8(RETENTION_NAME), "expireAfterSeconds",
            BCON_INT32(seconds), "}", "]"),
        why);
}

static bool indexes_change_retention(const struct place *place, int32_t seconds, bson_error_t *why)
{
    return indexes_run(place,
        BCON_NEW("collMod", BCON_UTF8(place->collection), "index", "{", "name", BCON_UTF8(RETENTION_NAME),
            "expireAfterSeconds", BCON_INT32(seconds), "}"),
        why);
}

static void indexes_ensure_retention(const struct place *place, int32_t seconds)
{
    bson_error_t why;
    char command[512];
    if (indexes_create_retention(place, seconds, &why))
        return;
    bool there = why.domain == MONGOC_ERROR_SERVER &&
                 (why.code == CODE_INDEX_OPTIONS_CONFLICT || why.code == CODE_INDEX_KEY_SPECS_CONFLICT);
    if (there && indexes_change_retention(place, seconds, &why)) {
        log_info("retention changed", LOG_NUMBER("seconds", seconds));
        return;
    }
    if (there)
        snprintf(command, sizeof command,
            "db.runCommand({collMod: '%s', index: {keyPattern: {verified_at: 1}, expireAfterSeconds: %" PRId32
            "}})",
            place->collection, seconds);
    else
        snprintf(command, sizeof command,
            "db.getCollection('%s').createIndex({verified_at: 1}, {name: '" RETENTION_NAME
            "', expireAfterSeconds: %" PRId32 "})",
            place->collection, seconds);
    log_warn("IMPCERT_RETENTION could not be set: documents stay as long as before",
        LOG_TEXT("error", why.message), LOG_TEXT("to_set_it", command));
}

void indexes_ensure(const struct settings *settings, mongoc_client_t *client)
{
    struct place place = {
        .client = client,
        .database = settings_text(settings, SETTING_MONGODB_DATABASE),
        .collection = settings_text(settings, SETTING_MONGODB_COLLECTION),
    };
    int32_t seconds = indexes_retention_s(settings);
    indexes_ensure_unique_key(&place);
    if (seconds)
        indexes_ensure_retention(&place, seconds);
    else
        indexes_leave_retention(&place);
}
