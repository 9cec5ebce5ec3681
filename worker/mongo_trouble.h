#ifndef IMPCERT_WORKER_MONGO_TROUBLE_H
#define IMPCERT_WORKER_MONGO_TROUBLE_H

/* What a message of the MongoDB driver may hang on where TLS is the reason, to be put before it; ""
 * elsewhere. Pure. Thread: any. */
const char *mongo_trouble(const char *message);

#endif
