#ifndef IMPCERT_WORKER_HTTP_CALL_H
#define IMPCERT_WORKER_HTTP_CALL_H

#include "common/buf.h"
#include "worker/http.h"

#include <sys/queue.h>

/* One call, as http.c, which owns all calls, shares it with the connection that it is on. Thread: loop. */
enum { HTTP_CALL_PATH_SIZE = 128, HTTP_ORIGIN_PREFIX_SIZE = 2048 };

#define HTTP_USER_AGENT "impcert/" IMPCERT_VERSION

/* HTTP/1.1: a format for what follows the path of a request, of the authority. */
#define HTTP_COMMON_FIELDS                                                                                   \
    " HTTP/1.1\r\nHost: %s\r\nUser-Agent: " HTTP_USER_AGENT "\r\nAccept: application/json\r\n"

struct connection;

struct http_call {
    struct http *http;

    /* the question */
    char path[HTTP_CALL_PATH_SIZE]; /* below that of the origin, without a slash at its start */
    char *json;                     /* owned; to POST; NULL: GET */
    bool authorized;                /* carries the token */

    /* the answer */
    bool begun; /* some of it is here */
    int status; /* 0: its head is not here yet */
    int64_t retry_after_s;
    struct buf body; /* without memory until a part of it is here */
    bool too_large;  /* the body went over HTTP_BODY_LIMIT */

    /* who asks */
    http_done done;
    void *context;
    void *subject;

    /* where it stands */
    int64_t deadline_ns;
    int64_t taken_ns;               /* since when it is on its connection */
    uint64_t token_serial;          /* of the token that it was sent with */
    int repeats;                    /* after connections that had ended unnoticed */
    struct connection *connection;  /* NULL: waits for one */
    int32_t stream_id;              /* with HTTP/2 */
    bool headed;                    /* with HTTP/2: its head is whole */
    bool complete;                  /* with HTTP/2: the service has ended it */
    TAILQ_ENTRY(http_call) pending; /* all that have no answer, by deadline */
    TAILQ_ENTRY(http_call) link;    /* waiting, on its connection, or idle */
};

TAILQ_HEAD(http_calls, http_call);

/* What is the same for all calls. */
struct http_origin {
    bool tls;
    char *authority;   /* owned; for Host */
    char *prefix;      /* owned; path of the url with a slash at its end, below HTTP_ORIGIN_PREFIX_SIZE */
    uint64_t serial;   /* of the token */
    char *token;       /* owned; "Bearer ..."; NULL: none yet */
    size_t token_size; /* bytes */
    char *get_tail; /* owned; HTTP/1.1: what follows the path in a GET with the token; NULL as the token is */
    size_t get_tail_size;
};

/* The call has its whole answer, whose end, not kept yet, is in data; or one that is too large. */
void http_call_answered(struct http_call *call, const char *data, size_t size);
/* It will get none. failure is in words. */
void http_call_failed(struct http_call *call, enum transport transport, const char *failure);
/* Its connection has ended, perhaps before the service read the call: it is made once more on another
 * connection, or fails. */
void http_call_cut_off(struct http_call *call, const char *failure);
/* The service has not read the call, and goes away after others that it has: the call is made on another
 * connection, however often that happens until it times out. */
void http_call_unread(struct http_call *call);

/* Keeps a part of the body; false when it is too large. */
bool http_call_keep(struct http_call *call, const char *data, size_t size)
    __attribute__((warn_unused_result));
/* Value of a Retry-After header. */
void http_call_retry_after(struct http_call *call, const char *value, size_t size);

#endif
