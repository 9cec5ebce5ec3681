#ifndef IMPCERT_PRODUCER_GATEWAY_WATCH_H
#define IMPCERT_PRODUCER_GATEWAY_WATCH_H

#include "common/error.h"
#include "common/health.h"
#include "producer/include/impcert.h"

#include <stdatomic.h>

/* Asks Kafka for the topic again and again, on a thread of its own, so that requests need not wait to learn
 * that it is away. */
struct watch;

/* Everything is borrowed for its life. wake_fd, an eventfd, is signalled when the producer can't go on. NULL
 * with the reason. Thread: main. */
struct watch *watch_open(
    struct impcert *impcert, struct health_part *health, int wake_fd, struct error *error);
/* Nothing more is asked, so that watch_close need not wait long. Thread: main. */
void watch_stop(struct watch *watch);
/* Waits for the thread. NULL is fine. Thread: main. */
void watch_close(struct watch *watch);

/* Whether Kafka answers, as far as is known: true until it is known not to. Thread: any. */
const _Atomic bool *watch_available(const struct watch *watch);
/* Whether the producer can't go on, for good. Thread: any. */
bool watch_failed(const struct watch *watch);

#endif
