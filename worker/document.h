#ifndef IMPCERT_WORKER_DOCUMENT_H
#define IMPCERT_WORKER_DOCUMENT_H

#include "worker/certification.h"
#include "worker/cipher.h"

#include <bson/bson.h>

/* The document of a certification:
 *   {_id: <imp_uid>, unique_key, unique_in_site (null where absent), certified: true, certified_at: Date or
 * null, verified_at: Date, and each further field asked for (null where absent)}
 * cipher: encrypts what tells of the person, but nulls; NULL: nothing is encrypted. What can't be is an
 * error, never plain text. Pure but for it. Thread: the cipher's, or any. */

/* The whole document, to insert. Appends to an initialised bson, which is of no use when false comes back. */
bool document_insert(bson_t *bson, const char *imp_uid, const struct certification *certification,
    struct cipher *cipher, struct error *error) __attribute__((warn_unused_result));
/* {_id: <imp_uid>}, and {$set: {all but _id}}: to update a document, leaving fields that others added. */
bool document_selector(bson_t *bson, const char *imp_uid);
bool document_update(bson_t *bson, const struct certification *certification, struct cipher *cipher,
    struct error *error) __attribute__((warn_unused_result));

#endif
