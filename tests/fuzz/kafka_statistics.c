/* librdkafka's statistics, which hold names that brokers tell. What is read is in bounds, and adding it up
 * keeps it so. */
#include "common/kafka_statistics.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check(const struct kafka_statistics *statistics)
{
    FUZZ_CHECK(memchr(statistics->group_state, '\0', sizeof statistics->group_state));
    FUZZ_CHECK(statistics->broker_count <= KAFKA_BROKERS_MOST);
    for (size_t i = 0; i < statistics->broker_count; i++) {
        const struct kafka_broker *broker = &statistics->brokers[i];
        FUZZ_CHECK(broker->name[0] && memchr(broker->name, '\0', sizeof broker->name));
        FUZZ_CHECK(broker->round_trip_us >= 0);
        for (size_t j = 0; j < i; j++)
            FUZZ_CHECK(strcmp(broker->name, statistics->brokers[j].name) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kafka_statistics one, sum;
    memset(&sum, 0, sizeof sum);
    if (!kafka_statistics_read(&one, (const char *)data, size))
        return 0;
    check(&one);
    kafka_statistics_add(&sum, &one);
    kafka_statistics_add(&sum, &one);
    check(&sum);
    FUZZ_CHECK(sum.broker_count == one.broker_count);
    FUZZ_CHECK(sum.sent_bytes == 2 * one.sent_bytes);
    return 0;
}
