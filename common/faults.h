#ifndef IMPCERT_COMMON_FAULTS_H
#define IMPCERT_COMMON_FAULTS_H

#include <stddef.h>
#include <stdio.h>

/* Everything wrong with the settings, a line each, so that all of it can be told at once. Thread: the
 * owner's. */
struct faults {
    FILE *out; /* a memory stream over text; NULL where memory ran out at once */
    char *text;
    size_t size;
    unsigned count;
};

void faults_init(struct faults *faults);
void faults_cleanup(struct faults *faults);
/* name: the setting that is wrong. Neither a secret nor its part may be in the text. */
void faults_add(struct faults *faults, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
