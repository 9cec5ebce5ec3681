#ifndef IMPCERT_COMMON_KAFKA_STATISTICS_H
#define IMPCERT_COMMON_KAFKA_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What of librdkafka's statistics is worth watching (its STATISTICS.md). Pure. Thread: any. */
enum { KAFKA_BROKERS_MOST = 64, KAFKA_BROKER_NAME_SIZE = 128 };

struct kafka_broker {
    char name[KAFKA_BROKER_NAME_SIZE]; /* "host:port" */
    bool up;                           /* some connection to it stands */
    int64_t round_trip_us;             /* of requests of the last interval, mean; 0: there were none */
};

struct kafka_statistics {
    char group_state[16]; /* "up": the coordinator is known and there; empty: not in a group */
    uint64_t sent_bytes, received_bytes;
    uint64_t request_errors;   /* requests and answers that failed */
    uint64_t request_timeouts; /* requests without an answer in time */
    uint64_t fetched_records;  /* fetched ahead, not polled yet */
    uint64_t fetched_bytes;
    size_t broker_count;
    struct kafka_broker brokers[KAFKA_BROKERS_MOST]; /* those that were ever connected to */
};

/* False where the text is not as librdkafka writes it. */
bool kafka_statistics_read(struct kafka_statistics *statistics, const char *text, size_t size);
/* Adds up what several clients tell; a broker is up if it is for one of them, and its round trip the longest.
 */
void kafka_statistics_add(struct kafka_statistics *sum, const struct kafka_statistics *one);

#endif
