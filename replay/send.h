#ifndef IMPCERT_REPLAY_SEND_H
#define IMPCERT_REPLAY_SEND_H

#include "common/error.h"
#include "common/settings.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The transactional producer: what one transaction holds is on Kafka as a whole or not at all, whatever
 * happens to this process. There is one transactional id for each dead letter queue, so that a second
 * operator fences the first before it looks at the queue. Thread: main. */
struct send;

enum send_result {
    SEND_OK,
    SEND_ABORTED, /* nothing of it is on Kafka; it may be tried again */
    SEND_REFUSED, /* nothing of it is on Kafka; a record of it is refused for what it is, as one too large */
    SEND_FENCED,  /* somebody else replays this queue now */
    SEND_FAILED   /* it can't go on */
};

/* Fences any other, and ends its open transaction. NULL with the reason. */
struct send *send_open(const struct settings *settings, struct error *error);
/* Aborts an open transaction. NULL is fine. */
void send_close(struct send *send);
/* Adds to faults what is wrong with the settings of the producer. */
void send_check(const struct settings *settings, struct faults *faults);

enum send_result send_begin(struct send *send, struct error *error);
/* An event onto the main topic; headers are taken whatever happens. */
enum send_result send_event(struct send *send, const void *key, size_t key_size, const void *value,
    size_t value_size, rd_kafka_headers_t *headers, struct error *error);
/* The mark of a key, in the partition of its dead letter. headers as above. */
enum send_result send_mark(struct send *send, int32_t partition, const void *key, size_t key_size,
    rd_kafka_headers_t *headers, struct error *error);
/* SEND_OK: all of it is on Kafka. */
enum send_result send_commit(struct send *send, struct error *error);
/* Waits, but not for long, until readers see all that was committed: a broker says that a transaction is
 * committed before its end stands on each partition. Who lists the queue next is not to find it there. */
void send_settle(struct send *send);

#endif
