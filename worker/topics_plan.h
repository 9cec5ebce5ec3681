#ifndef IMPCERT_WORKER_TOPICS_PLAN_H
#define IMPCERT_WORKER_TOPICS_PLAN_H

#include "common/buf.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>

/* Which topics are to be created, and how: like the main topic. Pure: no I/O, no client. Thread: the owner's.
 */
struct topics_plan {
    const char **missing; /* owned array with room for every name; the names are borrowed */
    size_t count;         /* names in missing */

    /* of the main topic; meant for whatever is missing */
    int partitions;
    int replicas;          /* its replication factor */
    int64_t message_bytes; /* max.message.bytes of what is created; 0: whatever the broker's default is */
};

/* room: the most names that a plan can be asked about. Returns false when out of memory. */
bool topics_plan_init(struct topics_plan *plan, size_t room) __attribute__((warn_unused_result));
void topics_plan_cleanup(struct topics_plan *plan);

/* Plans anew from metadata that lists all topics: what of names is missing there, and what the main topic is
 * like. names are borrowed until the next look. Returns false, with nothing missing, when the main topic is
 * not there. */
bool topics_plan_look(struct topics_plan *plan, const struct rd_kafka_metadata *metadata,
    const char *main_topic, const char *const *names, size_t count) __attribute__((warn_unused_result));

/* Notes the main topic's max.message.bytes, as Kafka writes it: what is created gets some more. Anything else
 * than a number leaves the broker's default. */
void topics_plan_limit(struct topics_plan *plan, const char *main_limit);

/* That topic is there. */
void topics_plan_created(struct topics_plan *plan, const char *name);

/* Append the missing names, separated by ", "; and the commands that create them, separated by "; ". Return
 * false where buf has no room. */
bool topics_plan_names(const struct topics_plan *plan, struct buf *buf) __attribute__((warn_unused_result));
bool topics_plan_commands(const struct topics_plan *plan, const char *brokers, struct buf *buf)
    __attribute__((warn_unused_result));

#endif
