#ifndef IMPCERT_WORKER_INDEXES_H
#define IMPCERT_WORKER_INDEXES_H

#include "common/settings.h"

#include <mongoc/mongoc.h>

/* The indexes of the documents: unique_key_1, that backends find a person by, and, where IMPCERT_RETENTION is
 * set, impcert_retention, by which MongoDB deletes documents that were verified so long ago. Both are made,
 * the latter also changed, as far as MongoDB allows it; where not, a warning says what to do. Several
 * processes may do so at once. Thread: that of the client. */
void indexes_ensure(const struct settings *settings, mongoc_client_t *client);

/* The seconds after which documents are to be deleted, rounded up; 0: never. Thread: any. */
int32_t indexes_retention_s(const struct settings *settings);

#endif
