#ifndef IMPCERT_PRODUCER_PUBLISH_SENDER_H
#define IMPCERT_PRODUCER_PUBLISH_SENDER_H

#include "common/settings.h"
#include "producer/publish_line.h"
#include "producer/publish_report.h"

#include <librdkafka/rdkafka.h>

/* The Kafka producer of impcert-publish: idempotent, acks=all, a bounded queue, and each event's fate
 * reported by the place it came from. Thread: main; the reports come inside its own calls. */
struct sender;

struct sender_counts {
    uint64_t accepted;     /* given to sender_send and taken */
    uint64_t acknowledged; /* of these, by the broker */
    uint64_t failed;       /* of these, given up and reported */
};

/* headers (NULL: none) go with every event and are borrowed until sender_close, as is report. */
struct sender *sender_open(const struct settings *settings, const rd_kafka_headers_t *headers,
    struct report *report, struct error *error);
void sender_close(struct sender *sender);

/* Takes a copy of the event; waits while the queue is full. False: not taken, since publishing is to stop. */
bool sender_send(struct sender *sender, struct place place, const struct publish_event *event);

/* Serves what is due, without waiting. */
void sender_poll(struct sender *sender);

/* Waits at most 100 ms for the events in the queue; true once none is left. */
bool sender_flush(struct sender *sender);

/* Whether an event failed in a way that the next ones would share (no broker, no topic, no permission). */
bool sender_gave_up(const struct sender *sender);

struct sender_counts sender_counts(const struct sender *sender);

#endif
