#ifndef IMPCERT_WORKER_HTTP1_H
#define IMPCERT_WORKER_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Answers of HTTP/1.1 (RFC 9112): the head and the framing of the body. What could be read in two ways is
 * refused, as it would put one answer's bytes into another's. Pure. Thread: any. */
#define HTTP1_HEAD_LIMIT (64 * 1024)

enum http1_result {
    HTTP1_MORE, /* what is there is fine, and not all */
    HTTP1_DONE,
    HTTP1_BAD,
};

enum http1_framing { HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_head {
    int status;
    bool keep_alive; /* the connection can be used again after this answer */
    enum http1_framing framing;
    uint64_t length;         /* of the body, with HTTP1_LENGTH */
    const char *retry_after; /* value of the header, inside data, not closed by a NUL; NULL: none */
    size_t retry_after_size;
};

/* Reads the head at the start of data. DONE: size_read is what it took. BAD: why says what is wrong, without
 * anything out of data. */
enum http1_result http1_read_head(
    const char *data, size_t size, struct http1_head *head, size_t *size_read, const char **why);

struct http1_body {
    enum http1_framing framing;
    int step;          /* with HTTP1_CHUNKED */
    int digits;        /* of the size of the chunk so far */
    uint64_t left;     /* of the body or of the chunk */
    uint64_t overhead; /* bytes of chunk extensions and trailers so far */
};

void http1_body_begin(struct http1_body *body, const struct http1_head *head);
/* Takes a part of data: size_read bytes, of which span_size, from *span on, are content. Call it again with
 * the rest until nothing is left or it is DONE, after which the rest belongs to nobody. */
enum http1_result http1_read_body(struct http1_body *body, const char *data, size_t size, size_t *size_read,
    const char **span, size_t *span_size);
/* The peer has closed the connection: whether the body is complete. */
bool http1_body_ends_here(const struct http1_body *body);

#endif
