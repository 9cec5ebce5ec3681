#ifndef IMPCERT_SIMULATION_CLIENT_H
#define IMPCERT_SIMULATION_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* The inside of a simulated librdkafka client, for those who answer it. Clients outlive their process, as
 * the broker's idea of them does. Thread: main. */
struct broker;
struct process;
struct world;

enum { INSTANCE_SIZE = 64 };

struct rd_kafka_conf_s {
    void *opaque;
    char group[INSTANCE_SIZE];
    char instance[INSTANCE_SIZE]; /* static membership; empty: none */
    void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
    void (*commit)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
    void (*error)(rd_kafka_t *, int, const char *, void *);
    void (*delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *);
    rd_kafka_interceptor_f_on_new_t *on_new;
    void *on_new_context;
};

enum operation_kind { OPERATION_REBALANCE, OPERATION_COMMITTED, OPERATION_DELIVERED };

struct operation {
    enum operation_kind kind;
    int64_t at_ns;
    rd_kafka_resp_err_t err;
    rd_kafka_topic_partition_list_t *list; /* owned; NULL: none */
    void *opaque;
    TAILQ_ENTRY(operation) link;
};

TAILQ_HEAD(operation_queue, operation);

/* A client's place in the protocol of the group. */
enum phase {
    PHASE_OUT,
    PHASE_STABLE,
    PHASE_WANTS,   /* will ask to join at at_ns */
    PHASE_JOINED,  /* has asked */
    PHASE_SYNCING, /* is answered at at_ns */
    PHASE_SERVING  /* the application has a rebalance to serve */
};

/* A partition, as a consumer sees it. A pause outlives the assignment, as in librdkafka. */
struct toppar {
    bool assigned, paused, resolved;
    bool lost;        /* a pause crossed the start of fetching: nothing comes */
    int64_t start;    /* where the assignment began; -1: not asked yet */
    int64_t next;     /* of the next record for the application */
    int64_t ended;    /* one past the offset whose end the application was told of; 0: none */
    int64_t ready_ns; /* nothing is fetched before */
    int64_t first;    /* offset of the first record that the application got; -1: none */
    uint64_t serial;  /* of the assignment */
};

struct rd_kafka_s {
    struct rd_kafka_conf_s conf;
    rd_kafka_type_t type;
    struct world *world;
    struct broker *broker;
    struct process *process;
    bool dead;                         /* its process is gone without a word */
    bool destroyed;                    /* by the application */
    struct operation_queue operations; /* by time */
    int64_t operation_ns;              /* of the last one */

    struct toppar *toppars; /* of each consumed shard */
    size_t shard;           /* records come from it */
    size_t run;             /* so many more */
    rd_kafka_interceptor_f_on_request_sent_t *on_request;
    rd_kafka_interceptor_f_on_response_received_t *on_response;
    void *interceptor_context;

    struct group *group; /* of a consumer; NULL: not subscribed yet */
    enum phase phase;
    int64_t at_ns;
    bool member; /* the group counts on it */
    int generation;
    bool lost;                               /* what it held is lost, and not given up yet */
    int64_t tell_ns;                         /* when it learns that all is lost; 0: it is not */
    int64_t expel_ns;                        /* when the session of a dead member ends; 0: it has none */
    bool adding;                             /* SERVING: it is given partitions, and not asked for some */
    bool joins_again;                        /* SERVING: behind what it serves */
    rd_kafka_topic_partition_list_t *to_add; /* once it has given up others; owned; NULL: none */
    TAILQ_ENTRY(rd_kafka_s) link;
};

/* Kafka protocol, "Api Keys". */
enum { API_JOIN_GROUP = 11, API_SYNC_GROUP = 14 };

/* An answer for the application, between now and so many milliseconds from now, behind the earlier ones. The
 * list is taken. */
void client_answer(struct rd_kafka_s *client, enum operation_kind kind, rd_kafka_resp_err_t err,
    rd_kafka_topic_partition_list_t *list, void *opaque, int64_t within_ms);
/* What the application sees of the protocol. */
void client_sent(struct rd_kafka_s *client, int api);
void client_received(struct rd_kafka_s *client, int api, rd_kafka_resp_err_t result);
/* What it has assigned, as a list. */
rd_kafka_topic_partition_list_t *client_assignment(const struct rd_kafka_s *client);
/* When something came or comes that wakes the application, after since_ns. */
int64_t client_wakes_ns(const struct rd_kafka_s *client, int64_t since_ns);
void client_free(struct rd_kafka_s *client);

#endif
