#ifndef IMPCERT_DEPLOY_MANUAL_PAGE_H
#define IMPCERT_DEPLOY_MANUAL_PAGE_H

#include "common/error.h"

#include <stdbool.h>
#include <stdio.h>

/* Copies a page in mdoc(7) from in to out; a line of it that begins with @ becomes what the tables say:
 *
 *     @options PROGRAM     the items of a list of its options
 *     @settings PROGRAM    the items of a list of its settings, in short
 *     @settings            subsections with lists of all settings, in full
 *
 * False with the reason, without a line number. Thread: main. */
bool page_copy(FILE *in, FILE *out, struct error *error);

#endif
