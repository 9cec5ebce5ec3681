#ifndef IMPCERT_COMMON_KAFKA_TROUBLE_H
#define IMPCERT_COMMON_KAFKA_TROUBLE_H

#include <stddef.h>

enum { KAFKA_TROUBLE_SIZE = 512 };

/* What librdkafka says of a connection that failed, for an operator: where TLS is the reason, what it may
 * hang on comes first; how long it took and how often it came, which would make each report news, is left
 * out. Thread: any. */
void kafka_trouble(const char *reason, char *out, size_t size);

#endif
