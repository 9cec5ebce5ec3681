#ifndef IMPCERT_WORKER_CIPHER_H
#define IMPCERT_WORKER_CIPHER_H

#include "common/error.h"
#include "common/settings.h"
#include "worker/certification.h"

#include <mongoc/mongoc.h>

/* What of a document is encrypted before it leaves the process, if IMPCERT_ENCRYPTION_KEY is set: MongoDB's
 * client-side field level encryption, so that any of its drivers can decrypt. unique_key and unique_in_site
 * deterministically, so that they can be looked up; the opt-in fields at random. The data key is in the key
 * vault, a collection, encrypted with the master key; it is made where there is none. */
struct cipher;

/* Adds a fault where encryption is asked for and libmongoc was built without it. Thread: main. */
void cipher_check(const struct settings *settings, struct faults *faults);

/* Whether anything is to be encrypted. Thread: any. */
bool cipher_wanted(const struct settings *settings);

/* client: the thread's own; borrowed, as settings are. Asks nobody yet. NULL when out of memory. Thread: that
 * of the client, as with all that follow. */
struct cipher *cipher_new(const struct settings *settings, mongoc_client_t *client);
void cipher_free(struct cipher *cipher);

/* Whether it can encrypt, for which the key vault may have to be asked; false with the reason: the vault is
 * away, the master key is not the data key's, or the data key is missing while there are documents that need
 * it. After a failure the file of the master key is read again, so that it may be mended in place. */
bool cipher_ready(struct cipher *cipher, struct error *error) __attribute__((warn_unused_result));

/* Appends the encrypted value of a field, which is a text, a number or a bool. When false it was not
 * appended, and the cipher is no longer ready. */
bool cipher_append(struct cipher *cipher, bson_t *bson, enum certification_field field,
    const bson_value_t *value, struct error *error) __attribute__((warn_unused_result));

#endif
