#ifndef IMPCERT_PRODUCER_TRACEPARENT_H
#define IMPCERT_PRODUCER_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>

#define TRACEPARENT_MOST 512 /* bytes, which only later versions need */

/* The header traceparent of W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2): version,
 * trace id, parent id and flags in lower-case hex, of later versions also more behind them. Pure. Thread:
 * any. */
bool traceparent_valid(const char *text, size_t length);

#endif
