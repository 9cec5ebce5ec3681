/* The MongoDB validator: printed, and set on the collection. Main thread; owns nothing. */
#include "worker/validator.h"

#include <assert.h>
#include <string.h>

/* error_codes.yml of the server */
enum { CODE_UNAUTHORIZED = 13, CODE_NAMESPACE_EXISTS = 48 };

void validator_print(FILE *out)
{
    fputs(validator_json, out);
}

/* moderate: a document from before that does not match may still be updated, so that setting the validator
 * turns no event of a running system into a dead letter. All others are checked as with strict. */
bson_t *validator_command(const char *command, const char *collection)
{
    bson_t *validator = bson_new_from_json((const uint8_t *)validator_json, -1, NULL);
    assert(validator); /* ours, and read by a test */
    bson_t *built = BCON_NEW(command, BCON_UTF8(collection), "validator", BCON_DOCUMENT(validator),
        "validationLevel", BCON_UTF8("moderate"), "validationAction", BCON_UTF8("error"));
    bson_destroy(validator);
    return built;
}

static bool validator_is_code(const bson_error_t *why, uint32_t code)
{
    return why->domain == MONGOC_ERROR_SERVER && why->code == code;
}

void validator_explain(
    const bson_error_t *why, const char *database, const char *collection, struct error *error)
{
    if (validator_is_code(why, CODE_UNAUTHORIZED))
        error_set(error,
            "the user of MONGODB_URI may not set a validator on %s.%s, expected one who may createCollection "
            "and collMod, as by the roles readWrite and dbAdmin of the database (code %d)",
            database, collection, CODE_UNAUTHORIZED);
    else
        error_set(error, "the validator could not be set on %s.%s: %s (code %u)", database, collection,
            why->message, why->code);
}

static bool validator_run(mongoc_client_t *client, const char *database, const char *collection,
    const char *command, bson_error_t *why)
{
    bson_t *built = validator_command(command, collection);
    bool done = mongoc_client_write_command_with_opts(client, database, built, NULL, NULL, why);
    bson_destroy(built);
    return done;
}

bool validator_apply(const struct settings *settings, mongoc_client_pool_t *clients, struct error *error)
{
    const char *database = settings_text(settings, SETTING_MONGODB_DATABASE);
    const char *collection = settings_text(settings, SETTING_MONGODB_COLLECTION);
    bson_error_t why = {0};
    mongoc_client_t *client = mongoc_client_pool_pop(clients);
    /* The server alone knows whether there is one: a worker may make it in the same moment. */
    bool done = validator_run(client, database, collection, "create", &why) ||
                (validator_is_code(&why, CODE_NAMESPACE_EXISTS) &&
                    validator_run(client, database, collection, "collMod", &why));
    mongoc_client_pool_push(clients, client);
    if (!done)
        validator_explain(&why, database, collection, error);
    return done;
}
