#ifndef IMPCERT_WORKER_HTTP2_H
#define IMPCERT_WORKER_HTTP2_H

#include "worker/http_call.h"

/* The HTTP/2 session of one connection, by libnghttp2. Bytes go in and out through the caller. Thread: loop.
 */
struct http2;

/* Calls on one connection: what a service is to take at least (RFC 9113, section 6.5.2). With more, one lost
 * packet would hold up more of them. */
enum { HTTP2_CALLS_MAX = 100 };

/* NULL when there is no memory. origin is borrowed. */
struct http2 *http2_new(const struct http_origin *origin);
/* The calls on it have to be gone. NULL is fine. */
void http2_free(struct http2 *http2);

/* How many more calls it takes now. */
size_t http2_room(const struct http2 *http2);
/* Takes a call: what is to be sent for it comes with http2_collect. False when out of memory. */
bool http2_take(struct http2 *http2, struct http_call *call) __attribute__((warn_unused_result));
/* Gives up a call that is on it. */
void http2_cancel(struct http2 *http2, struct http_call *call);

/* Bytes that came. Calls end in it (http_call_answered and so on). False when they are no HTTP/2: why. */
bool http2_feed(struct http2 *http2, const char *data, size_t size, const char **why)
    __attribute__((warn_unused_result));
/* Appends what is to be sent. False when out of memory. */
bool http2_collect(struct http2 *http2, struct buf *out) __attribute__((warn_unused_result));
/* It takes no more calls, and has none. */
bool http2_over(const struct http2 *http2);
/* Nothing is read or written any more, whatever calls it has: what came was no HTTP/2. */
bool http2_dead(const struct http2 *http2);

#endif
