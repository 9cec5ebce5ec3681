#ifndef IMPCERT_PRODUCER_PUBLISH_INPUT_H
#define IMPCERT_PRODUCER_PUBLISH_INPUT_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* Lines of a file descriptor, in bounded memory. Thread: main. */
#define INPUT_LINE_MOST 65536 /* bytes without the newline */

struct input {
    int file;            /* not owned */
    uint64_t line;       /* number of the line given last, from 1 */
    uint64_t bytes_read; /* from file, so far */
    char *buffer;        /* owned */
    size_t start, end;   /* what of buffer is not given yet */
    bool skipping;       /* inside a line that is too long */
    bool ended;          /* the file has no more */
};

enum input_result {
    INPUT_LINE,     /* a line, borrowed until the next input_fill */
    INPUT_TOO_LONG, /* a line over INPUT_LINE_MOST, which is thrown away */
    INPUT_EMPTY,    /* no whole line in memory: call input_fill */
    INPUT_END       /* the last line was given */
};

/* False when out of memory. */
bool input_init(struct input *input, int file);
void input_cleanup(struct input *input);

/* The next line, without newline, from what was read so far. The last one needs no newline. */
enum input_result input_next(struct input *input, const char **line, size_t *length);

/* Waits for input at most wait_ms and reads once; true also when nothing came in time or a signal came first.
 */
bool input_fill(struct input *input, int wait_ms, struct error *error);

#endif
