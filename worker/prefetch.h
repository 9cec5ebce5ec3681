#ifndef IMPCERT_WORKER_PREFETCH_H
#define IMPCERT_WORKER_PREFETCH_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* Records that librdkafka has fetched ahead. Once it has enough of them it looks again only after a second
 * (rd_kafka_broker_consumer_serve before 2.2; fetch.queue.backoff.ms since): a quick worker would need a
 * second's worth in memory, at some 500 bytes each, or be idle. Here it is woken as soon as they run low, so
 * that few do. Thread: loop. */
#define PREFETCH_RECORDS 1000 /* what is enough: queued.min.messages */

struct prefetch {
    bool enough; /* there were, so that librdkafka may have stopped to fetch */
};

/* queued: records that wait for the loop now, after it took so many since the last time: in between there may
 * have been both together. Whether librdkafka is to be woken. */
bool prefetch_low(struct prefetch *prefetch, size_t queued, size_t taken);
/* Makes the consumer fetch for partitions, whose offsets are overwritten. Does not wait. */
void prefetch_wake(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions);

#endif
