#ifndef IMPCERT_WORKER_MEMBERSHIP_H
#define IMPCERT_WORKER_MEMBERSHIP_H

#include "common/error.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether a consumer is joining its group anew. With cooperative rebalancing it goes on working meanwhile,
 * but a commit sent then waits at the broker behind the request to join, arrives with the generation before,
 * and makes librdkafka give up the whole assignment as lost (confluentinc/librdkafka issue 4059, mended
 * after 2.0): so nothing is committed while joining. */
struct membership {
    _Atomic int64_t joining_since_ns; /* 0: not joining */
};

/* Watches the consumer that is made of conf; membership outlives it. Thread: main. */
bool membership_watch(struct membership *membership, rd_kafka_conf_t *conf, struct error *error)
    __attribute__((warn_unused_result));
/* False, too, when joining has taken so long that its answer must have been lost with a connection, of which
 * interceptors are not told. Thread: any. */
bool membership_joining(const struct membership *membership, int64_t now_ns);

#endif
