#ifndef IMPCERT_COMMON_HEALTH_H
#define IMPCERT_COMMON_HEALTH_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* What a program depends on, and whether it is there: readiness, with reasons. A part logs when it fails,
 * once a minute while it stays so, and when it is ready again; parts of one name, as several workers have,
 * log as one. A part begins as not ready, "not known yet". */
struct health;
struct health_part;

struct health *health_new(void);
void health_free(struct health *health);

/* name is borrowed for ever, e.g. "kafka". Owned by health. NULL when out of memory. Thread: any. */
struct health_part *health_add(struct health *health, const char *name);

/* Ready until it fails, for what can't be asked. Logs nothing. Thread: any. */
void health_assume(struct health_part *part);

/* Thread: any. The reason must hold no secret and no person's data. */
void health_ok(struct health_part *part);
void health_fail(struct health_part *part, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends whether all and which parts are ready to a page of metrics; false when out of memory. Thread: any.
 */
bool health_metrics(struct health *health, struct buf *page);

/* Whether every part is ready; the page gets a JSON object that says so or why not. Thread: any. */
bool health_ready(struct health *health, struct buf *page);
/* The same as a line for people, "ready" or "not ready: kafka: ..."; one that does not fit ends in "...".
 * size: at least 16. Thread: any. */
void health_summary(struct health *health, char *text, size_t size);

#endif
