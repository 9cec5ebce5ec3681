#ifndef IMPCERT_COMMON_PROGRESS_H
#define IMPCERT_COMMON_PROGRESS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* Messages to the person on standard error, and on a terminal a progress line below them. Thread: main; owns
 * the terminal's last line while it draws. */
struct progress {
    const char *program;     /* stands before each message; borrowed for ever */
    bool terminal;           /* standard error is one */
    bool drawn;              /* the progress line stands on it */
    int64_t started_ns;      /* monotonic */
    int64_t next_drawing_ns; /* monotonic */
    bool plain;              /* where there is no terminal, a line now and then; set by the caller */
};

void progress_init(struct progress *progress, const char *program);
/* What is done from now on is another thing, with a rate of its own. */
void progress_restart(struct progress *progress);

/* "impcert-publish: line 17: text"; where: "" or with a colon and a space at its end. */
void progress_say(struct progress *progress, const char *where, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
/* "impcert-replay: text" */
void progress_message(struct progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The text alone, as it stands. */
void progress_plain(struct progress *progress, const char *text);

/* Draws "[=====     ]  45 %  12000 WHAT, 400/s, 10 s left" where it is due; total 0: not known, and then
 * without bar and time left. share: done of total, in the same unit; count: what is told. */
void progress_draw(
    struct progress *progress, uint64_t done, uint64_t total, uint64_t count, const char *what);
void progress_clear(struct progress *progress);

#endif
