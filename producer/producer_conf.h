#ifndef IMPCERT_PRODUCER_PRODUCER_CONF_H
#define IMPCERT_PRODUCER_PRODUCER_CONF_H

#include "common/error.h"
#include "common/settings.h"

#include <librdkafka/rdkafka.h>

/* The configuration that all producers of events share: idempotent, acks=all, a bounded queue, and the
 * partition of an imp_uid that Java clients choose, too. Thread: any. */

/* NULL with the reason. The result goes to kafka_open, which takes it. */
rd_kafka_conf_t *producer_conf_new(const struct settings *settings, struct error *error);
/* Adds to faults what is wrong with the settings of a producer. */
void producer_conf_check(const struct settings *settings, struct faults *faults);

/* Whether a topic or partition is not there. */
bool producer_conf_topic_missing(rd_kafka_resp_err_t error);

#endif
