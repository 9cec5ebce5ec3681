#ifndef IMPCERT_COMMON_EXPOSITION_H
#define IMPCERT_COMMON_EXPOSITION_H

#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prometheus's text format (https://prometheus.io/docs/instrumenting/exposition_formats/). All functions
 * append to page and return false when it is full or memory ran out. Thread: any, each with its own page. */
#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { EXPOSITION_BUCKETS = 16 };

/* What a histogram measures, and its upper bounds. */
struct exposition_scale {
    int64_t unit;  /* of what is observed make one of what is shown: 10^9 ns are a second */
    size_t bounds; /* at most EXPOSITION_BUCKETS - 1 */
    int64_t bound[EXPOSITION_BUCKETS - 1]; /* rising, in what is observed */
};

extern const struct exposition_scale exposition_durations; /* ns, shown in seconds: 1 ms to 60 s */
extern const struct exposition_scale exposition_delays;    /* ns, shown in seconds: 10 ms to 2 h */
extern const struct exposition_scale exposition_sizes;     /* numbers: 1 to 1,000 */
extern const struct exposition_scale exposition_tries;     /* numbers: 1 to 20 */

struct exposition_histogram {
    uint64_t buckets[EXPOSITION_BUCKETS]; /* each by itself, that behind the last bound is beyond all */
    uint64_t sum;                         /* of what was observed */
};

/* The bucket of a value. */
size_t exposition_bucket(const struct exposition_scale *scale, int64_t value);

bool exposition_head(struct buf *page, const char *name, const char *help, const char *type);
bool exposition_value(struct buf *page, const char *name, const char *help, const char *type, uint64_t value);
/* The lines behind a head of the type histogram. labels: `status="2xx"`, or "" for none. */
bool exposition_histogram(struct buf *page, const char *name, const char *labels,
    const struct exposition_scale *scale, const struct exposition_histogram *histogram);
/* What is shown of every process, by the names that Prometheus's own clients use, and the version. */
bool exposition_process(struct buf *page);

#endif
