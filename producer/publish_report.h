#ifndef IMPCERT_PRODUCER_PUBLISH_REPORT_H
#define IMPCERT_PRODUCER_PUBLISH_REPORT_H

#include "common/progress.h"

#include <stdbool.h>
#include <stdint.h>

/* What impcert-publish tells the person on standard error: messages by line, and on a terminal a progress
 * line below them. Thread: main. */
struct place {
    bool operand;    /* else a line of standard input */
    uint64_t number; /* from 1 */
};

struct report {
    struct progress progress;
    uint64_t input_size; /* bytes of a regular file to read, 0: unknown */
};

void report_init(struct report *report);

/* Takes the size of a regular file for the progress line; other files have none. */
void report_set_input(struct report *report, int file);

/* "impcert-publish: text" */
void report_message(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "impcert-publish: line 17: text" */
void report_at(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The text alone, for the summary. */
void report_plain(struct report *report, const char *text);

/* Draws the progress line where it is due. */
void report_progress(struct report *report, uint64_t acknowledged, uint64_t bytes_read);

#endif
