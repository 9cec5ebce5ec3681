// What is answered to one request, or done instead of answering. Filled by the service, carried out by the
// server. All functions run on the main thread.
#ifndef SIMULATOR_REPLY_H
#define SIMULATOR_REPLY_H

#include "buf.h"

enum { REPLY_FIELD = 128 };

enum reply_manner {
    REPLY_WHOLE,
    REPLY_TRUNCATED, // the head promises the whole body, half of it is sent, then the connection is closed
    REPLY_SLOW,      // the head at once, then one byte of the body in each interval
    REPLY_HANG,      // nothing until the client gives up
    REPLY_CLOSE,     // the connection is closed without an answer
    REPLY_RESET,     // the connection is reset
};

struct reply {
    enum reply_manner manner;
    int status;                    // HTTP status; 0 with hang, close and reset
    const char *content_type;      // static text
    struct buf body;               // owned
    size_t padding;                // bytes of white space after the body
    char retry_after[REPLY_FIELD]; // header value; empty: no header
    const char *location;          // header value, static text; NULL: no header
    const char *allow;             // header value, static text; NULL: no header
    int64_t delay_ms;              // wait before the answer
    int64_t interval_ms;           // of REPLY_SLOW
    bool in_flight;                // counts as a call in flight until it is answered
};

// Back to an empty 200 with JSON; keeps the body's memory.
void reply_clear(struct reply *reply);

// An answer in the service's envelope without a response. `message` needs no escapes.
void reply_error(struct reply *reply, int status, int code, const char *message);

// A page as gateways send it.
void reply_html(struct reply *reply, int status);

// A call that is not answered: hang, close or reset.
void reply_nothing(struct reply *reply, enum reply_manner manner);

#endif
