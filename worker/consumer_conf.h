#ifndef IMPCERT_WORKER_CONSUMER_CONF_H
#define IMPCERT_WORKER_CONSUMER_CONF_H

#include "common/error.h"
#include "common/faults.h"
#include "common/settings.h"

#include <librdkafka/rdkafka.h>
#include <stddef.h>

/* How librdkafka is set up for the consumers of a worker: what may be overridden by IMPCERT_KAFKA_CONFIG, and
 * what the guarantees hang on. Thread: any. */

/* A consumer of the group IMPCERT_GROUP with suffix behind it, for the worker of that number within the
 * process. Goes to kafka_open. NULL: error says why. */
rd_kafka_conf_t *consumer_conf_new(
    const struct settings *settings, const char *suffix, size_t number, struct error *error);
/* Adds to faults what is wrong with the settings of the consumers. */
void consumer_conf_check(const struct settings *settings, struct faults *faults);

#endif
