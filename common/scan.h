#ifndef IMPCERT_COMMON_SCAN_H
#define IMPCERT_COMMON_SCAN_H

#include "common/error.h"
#include "common/settings.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

/* Reads a topic, such as the dead letter queue, from an offset of each partition to where it ends now, of
 * what is committed. It belongs to no consumer group and commits nothing. Thread: main. */
struct scan;

/* topic is copied. NULL with the reason: a topic that is not there, as absent then says (NULL: no matter), no
 * broker within some seconds, a setting that is wrong. */
struct scan *scan_open(const struct settings *settings, const char *topic, bool *absent, struct error *error);
void scan_close(struct scan *scan);

int32_t scan_partitions(const struct scan *scan);
/* Records between the ends of the topic, at most: compacted ones are no longer there. 0: not known.
 * For progress. */
int64_t scan_length(const struct scan *scan);

/* Whether a topic is there; false with the reason. Asking does not create it. */
bool scan_has_topic(struct scan *scan, const char *name, struct error *error);

/* Adds to faults what is wrong with the settings of the consumer. */
void scan_check(const struct settings *settings, struct faults *faults);

/* Called for each record, which is borrowed. False ends the scan, which then fails with the reason. */
typedef bool (*scan_visit)(void *context, const rd_kafka_message_t *record, struct error *error);

/* Reads from from[partition] on (below 0: this partition is left out; NULL: all of all) up to the end.
 * False with the reason; an empty reason: interrupted. */
bool scan_read(struct scan *scan, const int64_t *from, scan_visit visit, void *context, struct error *error);

#endif
