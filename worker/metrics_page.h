#ifndef IMPCERT_WORKER_METRICS_PAGE_H
#define IMPCERT_WORKER_METRICS_PAGE_H

#include "worker/metrics.h"

/* Appends the page (Prometheus's text format 0.0.4), all workers summed up. False when out of memory. */
bool metrics_page(struct metrics *const *workers, size_t count, struct buf *page);

#endif
