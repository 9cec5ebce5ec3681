/* Client-side field level encryption by libmongocrypt, through libmongoc: "explicit", value by value. Store
 * thread. Owns libmongoc's handle, which keeps the data key for a minute and is for one thread alone. */
#include "worker/cipher.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CIPHER_KEY_NAME "impcert"
/* Another process that made the data key in the same moment: its write may not have reached a majority yet.
 */
#define CIPHER_RACE (2 * CLOCK_S)
#define CIPHER_RACE_NAP (20 * CLOCK_MS)
enum { DUPLICATE_KEY = 11000, MASTER_KEY_TEXT_SIZE = 1024 };

struct cipher {
    const struct settings *settings;
    mongoc_client_t *client;
    char vault_database[64];
    mongoc_collection_t *vault, *documents;
    mongoc_client_encryption_t *handle; /* NULL: not ready */
    mongoc_client_encryption_encrypt_opts_t *deterministic, *random;
};

struct cipher *cipher_new(const struct settings *settings, mongoc_client_t *client)
{
    struct cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return NULL;
    const char *vault = settings_text(settings, SETTING_ENCRYPTION_KEY_VAULT), *dot = strchr(vault, '.');
    snprintf(cipher->vault_database, sizeof cipher->vault_database, "%.*s", (int)(dot - vault), vault);
    cipher->settings = settings;
    cipher->client = client;
    cipher->vault = mongoc_client_get_collection(client, cipher->vault_database, dot + 1);
    cipher->documents =
        mongoc_client_get_collection(client, settings_text(settings, SETTING_MONGODB_DATABASE),
            settings_text(settings, SETTING_MONGODB_COLLECTION));
    return cipher;
}

static void cipher_close(struct cipher *cipher)
{
    mongoc_client_encryption_encrypt_opts_destroy(cipher->deterministic);
    mongoc_client_encryption_encrypt_opts_destroy(cipher->random);
    mongoc_client_encryption_destroy(cipher->handle);
    cipher->deterministic = cipher->random = NULL;
    cipher->handle = NULL;
}

void cipher_free(struct cipher *cipher)
{
    if (!cipher)
        return;
    cipher_close(cipher);
    mongoc_collection_destroy(cipher->vault);
    mongoc_collection_destroy(cipher->documents);
    free(cipher);
}

static const char *cipher_vault_name(const struct cipher *cipher)
{
    return settings_text(cipher->settings, SETTING_ENCRYPTION_KEY_VAULT);
}

/* libmongocrypt's own words tell little to who runs a worker, and it has no codes. */
static bool cipher_explain(const struct cipher *cipher, const bson_error_t *why, struct error *error)
{
    if (strstr(why->message, "HMAC validation failure"))
        return error_set(error,
            "IMPCERT_ENCRYPTION_KEY is not the master key that the data key " CIPHER_KEY_NAME
            " in %s is encrypted with: correct it",
            cipher_vault_name(cipher));
    if (strstr(why->message, "not all keys requested were satisfied"))
        return error_set(error, "the data key " CIPHER_KEY_NAME " is no longer in %s: restore it",
            cipher_vault_name(cipher));
    return error_set(error, "encryption, key vault %s: %s", cipher_vault_name(cipher), why->message);
}

/* ---- the master key ---- */

/* {local: {key: base64}}, without the white space that libmongocrypt does not take. */
static bool cipher_providers(const struct cipher *cipher, bson_t *providers, struct error *error)
{
    char text[MASTER_KEY_TEXT_SIZE], key[MASTER_KEY_TEXT_SIZE];
    if (!settings_reread(cipher->settings, SETTING_ENCRYPTION_KEY, text, sizeof text, error))
        return false;
    size_t length = 0;
    for (const char *rest = text; *rest; rest++)
        if (!strchr(" \t\r\n", *rest))
            key[length++] = *rest;
    bson_t local;
    bool built = BSON_APPEND_DOCUMENT_BEGIN(providers, "local", &local) &&
                 bson_append_utf8(&local, "key", -1, key, (int)length) &&
                 bson_append_document_end(providers, &local);
    explicit_bzero(text, sizeof text);
    explicit_bzero(key, sizeof key);
    return built || error_set(error, "out of memory");
}

static bool cipher_open_handle(struct cipher *cipher, struct error *error)
{
    bson_t providers = BSON_INITIALIZER;
    bson_error_t why;
    bool built = cipher_providers(cipher, &providers, error);
    if (built) {
        mongoc_client_encryption_opts_t *options = mongoc_client_encryption_opts_new();
        mongoc_client_encryption_opts_set_keyvault_client(options, cipher->client);
        mongoc_client_encryption_opts_set_keyvault_namespace(
            options, cipher->vault_database, mongoc_collection_get_name(cipher->vault));
        mongoc_client_encryption_opts_set_kms_providers(options, &providers);
        cipher->handle = mongoc_client_encryption_new(options, &why);
        mongoc_client_encryption_opts_destroy(options);
        if (!cipher->handle)
            cipher_explain(cipher, &why, error);
    }
    explicit_bzero((void *)(uintptr_t)bson_get_data(&providers), providers.len);
    bson_destroy(&providers);
    return cipher->handle;
}

/* ---- the data key ---- */

/* The first document that matches, by what a majority has; id: its _id, where there is one, for the caller to
 * destroy. False with why when MongoDB did not answer. */
static bool cipher_find(
    mongoc_collection_t *collection, const bson_t *filter, bool *found, bson_value_t *id, bson_error_t *why)
{
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}",
        "readConcern", "{", "level", "majority", "}");
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, options, primary);
    const bson_t *document;
    bson_iter_t iter;
    *found = mongoc_cursor_next(cursor, &document) && bson_iter_init_find(&iter, document, "_id");
    if (*found && id)
        bson_value_copy(bson_iter_value(&iter), id);
    bool answered = !mongoc_cursor_error(cursor, why);
    mongoc_cursor_destroy(cursor);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    return answered;
}

static bool cipher_find_key(struct cipher *cipher, bool *found, bson_value_t *id, struct error *error)
{
    bson_error_t why;
    bson_t *filter = BCON_NEW("keyAltNames", BCON_UTF8(CIPHER_KEY_NAME));
    bool answered = cipher_find(cipher->vault, filter, found, id, &why);
    bson_destroy(filter);
    return answered || cipher_explain(cipher, &why, error);
}

/* Whether there are encrypted documents. */
static bool cipher_find_encrypted(struct cipher *cipher, bool *found, struct error *error)
{
    bson_error_t why;
    bson_t *filter =
        BCON_NEW(certification_name(CERTIFICATION_UNIQUE_KEY), "{", "$type", BCON_UTF8("binData"), "}");
    bool answered = cipher_find(cipher->documents, filter, found, NULL, &why);
    bson_destroy(filter);
    return answered || cipher_explain(cipher, &why, error);
}

/* Another process may have made the key meanwhile, and stored documents. Else it is lost: a new one beside
 * them would make two of each person, and hide that nobody can read them. */
static bool cipher_find_missed(struct cipher *cipher, bson_value_t *id, struct error *error)
{
    bool found;
    if (!cipher_find_key(cipher, &found, id, error))
        return false;
    return found || error_set(error,
                        "there are encrypted documents, but no data key " CIPHER_KEY_NAME
                        " in %s: restore it, or correct IMPCERT_ENCRYPTION_KEY_VAULT",
                        cipher_vault_name(cipher));
}

/* As MongoDB's manual has it for a key vault: without it, two processes could make two keys. */
static bool cipher_ensure_index(struct cipher *cipher, bson_error_t *why)
{
    const char *collection = mongoc_collection_get_name(cipher->vault);
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
        "keyAltNames", BCON_INT32(1), "}", "name", BCON_UTF8("keyAltNames_1"), "unique", BCON_BOOL(true),
        "partialFilterExpression", "{", "keyAltNames", "{", "$exists", BCON_BOOL(true), "}", "}", "}", "]");
    bool done = mongoc_collection_write_command_with_opts(cipher->vault, command, NULL, NULL, why);
    bson_destroy(command);
    return done;
}

static bool cipher_create_key(struct cipher *cipher, bson_value_t *id, bson_error_t *why)
{
    char *names[] = {CIPHER_KEY_NAME};
    mongoc_client_encryption_datakey_opts_t *options = mongoc_client_encryption_datakey_opts_new();
    mongoc_client_encryption_datakey_opts_set_keyaltnames(options, names, 1);
    bool made = mongoc_client_encryption_create_datakey(cipher->handle, "local", options, id, why);
    mongoc_client_encryption_datakey_opts_destroy(options);
    return made;
}

/* The key that another process has made meanwhile. */
static bool cipher_await_key(struct cipher *cipher, bson_value_t *id, struct error *error)
{
    int64_t until_ns = clock_ns() + CIPHER_RACE;
    bool found = false;
    while (cipher_find_key(cipher, &found, id, error)) {
        if (found)
            return true;
        if (clock_ns() >= until_ns)
            return error_set(error, "another process makes the data key in %s", cipher_vault_name(cipher));
        nanosleep(&(struct timespec){.tv_nsec = CIPHER_RACE_NAP}, NULL);
    }
    return false;
}

static bool cipher_make_key(struct cipher *cipher, bson_value_t *id, struct error *error)
{
    bson_error_t why = {0};
    bool encrypted;
    if (!cipher_find_encrypted(cipher, &encrypted, error))
        return false;
    if (encrypted)
        return cipher_find_missed(cipher, id, error);
    if (!cipher_ensure_index(cipher, &why))
        return cipher_explain(cipher, &why, error);
    if (cipher_create_key(cipher, id, &why))
        return true;
    if (why.code == DUPLICATE_KEY)
        return cipher_await_key(cipher, id, error);
    return cipher_explain(cipher, &why, error);
}

/* ---- ready ---- */

static mongoc_client_encryption_encrypt_opts_t *cipher_options(const bson_value_t *id, const char *algorithm)
{
    mongoc_client_encryption_encrypt_opts_t *options = mongoc_client_encryption_encrypt_opts_new();
    mongoc_client_encryption_encrypt_opts_set_keyid(options, id);
    mongoc_client_encryption_encrypt_opts_set_algorithm(options, algorithm);
    return options;
}

/* Encrypting takes the data key, and that the master key. */
static bool cipher_try(struct cipher *cipher, struct error *error)
{
    bson_error_t why;
    bson_value_t text = {.value_type = BSON_TYPE_UTF8}, sealed = {0};
    text.value.v_utf8.str = (char *)(uintptr_t) "";
    bool done = mongoc_client_encryption_encrypt(cipher->handle, &text, cipher->deterministic, &sealed, &why);
    bson_value_destroy(&sealed);
    return done || cipher_explain(cipher, &why, error);
}

static bool cipher_open(struct cipher *cipher, struct error *error)
{
    bson_value_t id = {0};
    bool found;
    if (!cipher_open_handle(cipher, error) || !cipher_find_key(cipher, &found, &id, error) ||
        (!found && !cipher_make_key(cipher, &id, error)))
        return false;
    cipher->deterministic = cipher_options(&id, MONGOC_AEAD_AES_256_CBC_HMAC_SHA_512_DETERMINISTIC);
    cipher->random = cipher_options(&id, MONGOC_AEAD_AES_256_CBC_HMAC_SHA_512_RANDOM);
    bson_value_destroy(&id);
    return cipher_try(cipher, error);
}

bool cipher_ready(struct cipher *cipher, struct error *error)
{
    if (cipher->handle || cipher_open(cipher, error))
        return true;
    cipher_close(cipher);
    return false;
}

bool cipher_append(struct cipher *cipher, bson_t *bson, enum certification_field field,
    const bson_value_t *value, struct error *error)
{
    bson_error_t why;
    bson_value_t sealed = {0};
    bool lookup = CERTIFICATION_ALWAYS & CERTIFICATION_BIT(field);
    bool done = mongoc_client_encryption_encrypt(
        cipher->handle, value, lookup ? cipher->deterministic : cipher->random, &sealed, &why);
    if (done)
        done = bson_append_value(bson, certification_name(field), -1, &sealed) ||
               error_set(error, "a document is too large");
    else {
        cipher_explain(cipher, &why, error);
        cipher_close(cipher);
    }
    bson_value_destroy(&sealed);
    return done;
}
