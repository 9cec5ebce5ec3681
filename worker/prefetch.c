/* Wakes librdkafka's fetching in time. Loop thread. */
#include "worker/prefetch.h"

bool prefetch_low(struct prefetch *prefetch, size_t queued, size_t taken)
{
    if (queued + taken >= PREFETCH_RECORDS)
        prefetch->enough = true;
    if (!prefetch->enough || queued > PREFETCH_RECORDS / 2)
        return false;
    prefetch->enough = false;
    return true;
}

/* Any request wakes the thread of its broker. Asking for the ends of the partitions' logs is cheap, goes to
 * just the brokers that are fetched from, and with no time to wait returns at once, its answer unheard. */
void prefetch_wake(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++)
        partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
    rd_kafka_offsets_for_times(consumer, partitions, 0);
}
