#ifndef IMPCERT_PRODUCER_GATEWAY_TRACESTATE_H
#define IMPCERT_PRODUCER_GATEWAY_TRACESTATE_H

#include <stdbool.h>
#include <stddef.h>

/* The header tracestate of W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.3):
 * key=value,... in at most 512 bytes. Pure. Thread: any. */
bool tracestate_valid(const char *text, size_t length);

#endif
