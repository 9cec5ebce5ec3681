#ifndef IMPCERT_SIMULATION_GROUP_H
#define IMPCERT_SIMULATION_GROUP_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The consumer groups, each of its own topics, with cooperative rebalancing as librdkafka 2.0 does it: all
 * members join anew, and go on meanwhile; whoever has to give partitions up does so first, joins once more,
 * and only then they are somebody else's. Thread: main. */
struct broker;

enum { GROUP_MAIN, GROUP_RETRY, GROUP_COUNT, GROUP_NAME_SIZE = 64 };

struct group {
    char name[GROUP_NAME_SIZE];
    size_t first_shard, shard_count;
    int generation;
    bool rebalancing;
    int64_t round_ns; /* when the members that have joined are answered; CLOCK_NEVER: some are missing */
};

void group_init(struct broker *broker);
int64_t group_due_ns(const struct broker *broker);
void group_turn(struct broker *broker);
/* All members are to join anew. */
void group_rebalance(struct broker *broker, struct group *group);

/* What a client does. */
void group_subscribe(
    struct broker *broker, struct rd_kafka_s *client, const rd_kafka_topic_partition_list_t *topics);
void group_leave(struct broker *broker, struct rd_kafka_s *client);
void group_assigned(struct broker *broker, struct rd_kafka_s *client);
void group_unassigned(struct broker *broker, struct rd_kafka_s *client);

/* A member's session ends; it hears of it later. */
void group_expel(struct broker *broker, struct rd_kafka_s *client);
/* A member learns that all it holds is lost. */
void group_tell_lost(struct broker *broker, struct rd_kafka_s *client);

#endif
