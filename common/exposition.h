#ifndef IMPCERT_COMMON_EXPOSITION_H
#define IMPCERT_COMMON_EXPOSITION_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prometheus's text format (https://prometheus.io/docs/instrumenting/exposition_formats/). All functions
 * append to page and return false when it is full or memory ran out. Thread: any, each with its own page. */
#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { EXPOSITION_BUCKETS = 16 }; /* 1 ms to 60 s, and beyond */

struct exposition_histogram {
    uint64_t buckets[EXPOSITION_BUCKETS]; /* each by itself, the last beyond all bounds */
    uint64_t sum_ns;
};

/* The bucket of a duration. */
size_t exposition_bucket(int64_t duration_ns);

bool exposition_head(struct buf *page, const char *name, const char *help, const char *type);
bool exposition_value(struct buf *page, const char *name, const char *help, const char *type, uint64_t value);
bool exposition_histogram(
    struct buf *page, const char *name, const char *help, const struct exposition_histogram *histogram);
/* Resident memory and version. */
bool exposition_process(struct buf *page);

#endif
