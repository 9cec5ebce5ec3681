#ifndef IMPCERT_COMMON_KAFKA_H
#define IMPCERT_COMMON_KAFKA_H

#include "common/error.h"
#include "common/settings.h"

#include <librdkafka/rdkafka.h>

/* Client set-up shared by all programs: IMPCERT_KAFKA_BROKERS, the property file of IMPCERT_KAFKA_CONFIG
 * (lines of key=value, # comments, as kcat -F reads them), and librdkafka's log lines in our log. Failed
 * connections are the one thing not logged there above debug: they come to the error_cb, which callers set.
 * Thread: any. */
struct kafka_property {
    const char *name; /* NULL ends a list */
    const char *value;
};

/* Makes a configuration in this order: defaults (which the file may override), the file, then fixed (which
 * the file may not name: guarantees hang on them). Returns NULL with the file, line and property that is
 * wrong. The result goes to kafka_open, which takes it. */
rd_kafka_conf_t *kafka_conf_new(const struct settings *settings, const struct kafka_property *defaults,
    const struct kafka_property *fixed, struct error *error);

/* Adds to faults what is wrong with such a configuration. */
void kafka_conf_check(const struct settings *settings, const struct kafka_property *defaults,
    const struct kafka_property *fixed, struct faults *faults);

/* Calls take with each file that the property file names: certificates, keys, keytabs. False as soon as take
 * says so, and where the property file is wrong. */
bool kafka_each_file(
    const struct settings *settings, bool (*take)(void *context, const char *path), void *context);

/* Takes conf whatever happens. Properties of the other client kind in a shared file are no fault and not
 * warned of. */
rd_kafka_t *kafka_open(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error);

/* Whether a delivery report says that the record is on its topic. One without an error does not always: a
 * record whose request failed, and that waits to be sent again, is reported as acknowledged when a later one
 * of its partition is. But a broker that has no record of this producer, as after the topic was created,
 * takes the later one for the first, and never saw the other. Such a report has no offset: send the record
 * again. */
bool kafka_acknowledged(const rd_kafka_message_t *report);

/* Whether a log line of librdkafka is no news: its words come as an error, too, or are of the other client
 * kind.
 */
bool kafka_is_told_elsewhere(const char *facility, const char *text);

#endif
