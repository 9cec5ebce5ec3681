#ifndef IMPCERT_SIMULATION_BROKER_H
#define IMPCERT_SIMULATION_BROKER_H

#include "group.h"
#include "worker/tiers.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* The Kafka cluster: logs, committed offsets, and the requests that are on their way to it. Answers reach a
 * client as operations on its queue. Thread: main. */
struct world;

struct record {
    size_t event; /* the event that it is of: an index in the truth */
    char *bytes;  /* owned: key and value of a forwarded record; NULL: the event's own */
    const char *key, *value;
    size_t key_size, value_size;
    bool has_value;
    rd_kafka_headers_t *headers; /* owned; NULL: none */
    uint64_t ended_in;           /* the assignment in which a worker last ended it; 0: none */
};

/* A partition. */
struct shard {
    int topic;
    int32_t id;
    size_t index;
    struct record *records;
    size_t count, capacity;
    int64_t appended_ns;
    int64_t committed; /* -1: nothing yet */
    char *metadata;    /* of the commit; owned; NULL: none */
    /* Who holds it, whose it is to be, and to whom the last round gave it: NULL while the owner had to give
     * it up first, after which there is another round. */
    struct rd_kafka_s *owner, *target, *dealt;
};

struct commit {
    struct rd_kafka_s *client;
    rd_kafka_topic_partition_list_t *list; /* owned */
    int generation;
    int tries;
    bool silent; /* the client has had its answer */
    int64_t at_ns;
    TAILQ_ENTRY(commit) link;
};

struct produce {
    struct rd_kafka_s *client;
    int topic;
    struct record record;
    void *opaque;
    bool written; /* once already */
    int64_t at_ns, expires_ns;
    TAILQ_ENTRY(produce) link;
};

TAILQ_HEAD(commit_queue, commit);
TAILQ_HEAD(produce_queue, produce);
TAILQ_HEAD(client_list, rd_kafka_s);

struct broker {
    struct world *world;
    int topics; /* the main one, the tiers, the DLQ */
    char names[TIERS_MOST + 2][TIER_TOPIC_SIZE];
    struct shard *shards; /* of all topics, in their order */
    size_t shard_count, consumed_count;
    struct commit_queue commits; /* in the order sent */
    struct produce_queue produces;
    struct client_list clients; /* all that ever were */
    struct group groups[GROUP_COUNT];
};

struct broker *broker_new(struct world *world);
void broker_free(struct broker *broker);

int64_t broker_due_ns(const struct broker *broker);
void broker_turn(struct broker *broker);
bool broker_away(const struct broker *broker);

/* -1 where there is none of that name. */
int broker_topic(const struct broker *broker, const char *name);
struct shard *broker_shard(const struct broker *broker, const char *topic, int32_t id);
/* Requests of a client. What is pointed to is copied, a record's headers are taken. */
void broker_commit(
    struct broker *broker, struct rd_kafka_s *client, const rd_kafka_topic_partition_list_t *list);
void broker_produce(
    struct broker *broker, struct rd_kafka_s *client, int topic, struct record *record, void *opaque);
/* The commits of a client that no other request of it may overtake arrive now. */
void broker_flush_commits(struct broker *broker, const struct rd_kafka_s *client);
/* Its connections are cut: of its requests some arrive, and no answer is heard. */
void broker_cut(struct broker *broker, const struct rd_kafka_s *client);
/* Whether all that will ever come is finished and committed, and no request is on its way. */
bool broker_settled(const struct broker *broker);
/* Onto the trace: how far each partition is, and with whom. */
void broker_show(const struct broker *broker);

#endif
