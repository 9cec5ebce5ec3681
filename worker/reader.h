#ifndef IMPCERT_WORKER_READER_H
#define IMPCERT_WORKER_READER_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads JSON (RFC 8259) where it stands, without memory of its own: an answer of Iamport is read for each
 * event, of which a tree of all its values would take half of the worker's time. As strict as jansson: UTF-8
 * must be valid, surrogates come in pairs, texts hold no NUL character, integers have 64 bits. Nesting is
 * limited. Pure. Thread: the owner's. */
enum { READER_DEPTH = 64 };

struct reader {
    const char *start;
    const char *at;
    const char *end;
    bool first; /* of the object that was entered last, no member was read yet */
    bool bad;
};

enum reader_type {
    READER_NONE, /* of a value that was not read */
    READER_OBJECT,
    READER_ARRAY,
    READER_TEXT,
    READER_INTEGER,
    READER_REAL,
    READER_TRUE,
    READER_FALSE,
    READER_NULL,
};

/* Borrowed from what is read. */
struct reader_text {
    const char *data;
    size_t size;
    bool escaped;
};

struct reader_value {
    enum reader_type type;
    struct reader_text text; /* READER_TEXT */
    int64_t integer;         /* READER_INTEGER */
};

void reader_init(struct reader *reader, const char *data, size_t size);
/* Enters an object if the next value is one. */
bool reader_enter(struct reader *reader);
/* The name of the next member, whose value is then to be entered or read. False at the end of the object, and
 * when the JSON is bad. */
bool reader_member(struct reader *reader, struct reader_text *name);
/* Reads a value; of an object or an array only the type is told. False when the JSON is bad. */
bool reader_read(struct reader *reader, struct reader_value *value);
/* Whether all was read, nothing follows, and nothing was bad. */
bool reader_finish(struct reader *reader);
/* Where it stands, in bytes. */
size_t reader_position(const struct reader *reader);

bool reader_text_is(const struct reader_text *text, const char *other);
/* Appends what the text says, in UTF-8. False when out of memory or over the limit. */
bool reader_text_append(const struct reader_text *text, struct buf *out) __attribute__((warn_unused_result));

#endif
