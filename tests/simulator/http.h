// HTTP/1.1 as far as the simulator needs it: requests out of bytes, the head of an answer into bytes. No I/O;
// pure functions.
#ifndef SIMULATOR_HTTP_H
#define SIMULATOR_HTTP_H

#include "buf.h"
#include "reply.h"

enum {
    HTTP_MAX_HEAD = 16 * 1024,        // request line and headers
    HTTP_MAX_BODY = 16 * 1024 * 1024, // a list of imp_uids for the control endpoint may be long
};

enum http_progress {
    HTTP_COMPLETE,
    HTTP_MORE, // not all there yet
    HTTP_BAD,  // the connection cannot go on after this
};

// All spans are borrowed from the bytes that were read.
struct http_request {
    struct span method;
    struct span path; // without the query, still percent-encoded
    struct span authorization, content_type, body;
    size_t size;     // bytes of the whole request; with HTTP_MORE 0, or what it will be
    bool keep_alive; // the connection stays open after the answer
    bool continues;  // the client waits for "100 Continue" before it sends the body
    int status;      // with HTTP_BAD: what to answer
};

enum http_progress http_read(struct span bytes, struct http_request *request);

// Adds status line and headers of an answer, the blank line included.
void http_write_head(struct buf *out, const struct reply *reply, bool keep_alive);

// Reason phrase of a status.
const char *http_reason(int status);

// Decodes percent escapes, and "+" as a space when `form`, into size bytes. False: a bad escape, or too long.
bool http_decode(struct span text, bool form, char *out, size_t size, size_t *len)
    __attribute__((warn_unused_result));

bool http_equal(struct span text, const char *expected);
bool http_starts(struct span text, const char *prefix);

#endif
