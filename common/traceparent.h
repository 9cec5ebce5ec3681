#ifndef IMPCERT_COMMON_TRACEPARENT_H
#define IMPCERT_COMMON_TRACEPARENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

#define TRACEPARENT_MOST 512   /* bytes, which only later versions need */
#define TRACEPARENT_ID_SIZE 33 /* a trace id, NUL included */

/* The header traceparent of W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2): version,
 * trace id, parent id and flags in lower-case hex, of later versions also more behind them. Pure. Thread:
 * any. */
bool traceparent_valid(const char *text, size_t length);
/* The trace id of a record's last traceparent; empty where there is none, or no valid one. headers may be
 * NULL. */
void traceparent_id(const rd_kafka_headers_t *headers, char out[static TRACEPARENT_ID_SIZE]);

#endif
