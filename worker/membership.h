#ifndef IMPCERT_WORKER_MEMBERSHIP_H
#define IMPCERT_WORKER_MEMBERSHIP_H

#include "common/error.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Whether a consumer is joining its group anew. With cooperative rebalancing it goes on working meanwhile,
 * but a commit sent then waits at the broker behind the request to join, arrives with the generation before,
 * and makes librdkafka give up the whole assignment as lost (confluentinc/librdkafka issue 4059, mended
 * after 2.0): so nothing is committed while joining. */
struct membership {
    _Atomic bool joining;
};

/* Watches the consumer that is made of conf; membership outlives it. Thread: main. */
bool membership_watch(struct membership *membership, rd_kafka_conf_t *conf, struct error *error)
    __attribute__((warn_unused_result));
/* An answer lost with its connection is no end of it: librdkafka then joins once more. Thread: any. */
bool membership_joining(const struct membership *membership);

#endif
