#ifndef IMPCERT_WORKER_VALIDATOR_H
#define IMPCERT_WORKER_VALIDATOR_H

#include "common/error.h"
#include "common/settings.h"

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdio.h>

/* What MongoDB may be told to demand of each document of the collection: schemas/validator.json. */

/* The file as it stands, terminated; put in by the build. Read-only. Thread: any. */
extern const char validator_json[];

/* Prints the file. Thread: main. */
void validator_print(FILE *out);

/* Sets it on the collection of the settings, which is made where there is none: what is new has to match, and
 * what matches has to stay so, while a document that does not match already may be updated. Waits for MongoDB
 * as long as the URI says. Thread: main. */
bool validator_apply(const struct settings *settings, mongoc_client_pool_t *clients, struct error *error)
    __attribute__((warn_unused_result));

/* Its parts, pure. Thread: any. The command, "create" or "collMod", that sets the validator: the caller
 * destroys it. */
bson_t *validator_command(const char *command, const char *collection);
/* What to say of a command that failed, in our words where the server's repeat the whole command. */
void validator_explain(
    const bson_error_t *why, const char *database, const char *collection, struct error *error);

#endif
