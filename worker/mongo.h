#ifndef IMPCERT_WORKER_MONGO_H
#define IMPCERT_WORKER_MONGO_H

#include "common/error.h"
#include "common/settings.h"

#include <mongoc/mongoc.h>

/* Adds to faults what is wrong with MONGODB_URI. Thread: main. */
void mongo_check(const struct settings *settings, struct faults *faults);

/* The process's one pool of MongoDB clients: one set of monitors for all workers' store threads. Writes wait
 * for a majority unless the URI asks for another write concern; unacknowledged writes are refused. threads:
 * how many will pop a client for their life. Thread: main; popping clients from the pool: any. */
mongoc_client_pool_t *mongo_open(const struct settings *settings, uint32_t threads, struct error *error);
/* All clients must be back in the pool. NULL is fine. */
void mongo_close(mongoc_client_pool_t *pool);

#endif
