#ifndef IMPCERT_TESTS_BROKER_H
#define IMPCERT_TESTS_BROKER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* librdkafka's mock of a broker, within the test, with a topic "certifications" of four partitions. It
 * acknowledges whatever comes, unless it is told otherwise; it does not look at sequence numbers. */
#define DEADLINE_MS 30000
#define PRODUCE 0 /* the API key of the Kafka protocol, to have such requests fail */

struct broker {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
};

void broker_open(struct broker *broker);
void broker_close(struct broker *broker);
/* What clients are given to find it. Borrowed. */
const char *broker_address(const struct broker *broker);
/* Bit n for each record {..., "n": n} that it has. */
unsigned broker_records(const struct broker *broker);

#endif
