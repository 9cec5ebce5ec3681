/* Lines from standard input: large reads, lines given in place, and a bound on what one line may hold. Main
 * thread. */
#include "producer/publish_input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for the longest line and for reads large enough that their cost is lost among the lines. */
#define BUFFER_SIZE (4 * (size_t)INPUT_LINE_MOST)

bool input_init(struct input *input, int file)
{
    *input = (struct input){.file = file, .buffer = malloc(BUFFER_SIZE)};
    return input->buffer != NULL;
}

void input_cleanup(struct input *input)
{
    free(input->buffer);
}

/* Ends the line that fills [start, stop), newline excluded. */
static enum input_result give(
    struct input *input, size_t stop, size_t next, const char **line, size_t *length)
{
    *line = input->buffer + input->start;
    *length = stop - input->start;
    input->start = next;
    input->line++;
    bool too_long = input->skipping || *length > INPUT_LINE_MOST;
    input->skipping = false;
    return too_long ? INPUT_TOO_LONG : INPUT_LINE;
}

enum input_result input_next(struct input *input, const char **line, size_t *length)
{
    size_t left = input->end - input->start;
    const char *newline = left ? memchr(input->buffer + input->start, '\n', left) : NULL;
    if (newline) {
        size_t stop = (size_t)(newline - input->buffer);
        return give(input, stop, stop + 1, line, length);
    }
    if (!input->ended) {
        if (left > INPUT_LINE_MOST) {
            input->skipping = true;
            input->start = input->end;
        }
        return INPUT_EMPTY;
    }
    if (left || input->skipping)
        return give(input, input->end, input->end, line, length);
    return INPUT_END;
}

bool input_fill(struct input *input, int wait_ms, struct error *error)
{
    struct pollfd readable = {.fd = input->file, .events = POLLIN};
    if (poll(&readable, 1, wait_ms) <= 0)
        return true;
    memmove(input->buffer, input->buffer + input->start, input->end - input->start);
    input->end -= input->start;
    input->start = 0;
    ssize_t got = read(input->file, input->buffer + input->end, BUFFER_SIZE - input->end);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN || error_set(error, "%s", strerror(errno));
    input->end += (size_t)got;
    input->bytes_read += (uint64_t)got;
    input->ended = got == 0;
    return true;
}
