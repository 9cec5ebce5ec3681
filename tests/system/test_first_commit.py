"""A partition has a commit as soon as a worker holds it, so that whoever scales by lag never takes it for a full one."""

import pytest
from confluent_kafka import TopicPartition

from support import wait_for
from support.flow import event, imp_uids

DELAYS = {"IMPCERT_RETRY_DELAYS": "1h"}


@pytest.fixture
def kafka(stack):
    return stack.kafka


def ends(kafka, names):
    return kafka.end_offsets(names.topic)


def wait_for_commits(kafka, names, topic, wanted):
    group = names.group_of(topic)
    wait_for(lambda: kafka.commits(group, topic) == wanted, 30, f"commits {wanted} on {topic}")


def test_partitions_without_records_are_committed(kafka, names, simulator, worker):
    kafka.create_topic(names.topic, 4)
    worker(simulator, **DELAYS).wait_until_ready()
    for topic in (names.topic, names.retry_topic("1h")):
        wait_for_commits(kafka, names, topic, {partition: 0 for partition in range(4)})


def test_partitions_whose_records_have_been_deleted_are_committed_at_their_end(
    kafka, names, simulator, worker
):
    kafka.create_topic(names.topic, 2)
    kafka.produce(names.topic, [event(imp_uid) for imp_uid in imp_uids(50)])
    everything = ends(kafka, names)
    assert all(everything.values()), everything
    deleted = kafka.admin.delete_records([TopicPartition(names.topic, p, end) for p, end in everything.items()])
    for future in deleted.values():
        future.result(30)
    worker(simulator, **DELAYS).wait_until_ready()
    wait_for_commits(kafka, names, names.topic, everything)
    assert names.documents() == {}


def test_a_partition_is_committed_where_it_begins_while_its_first_record_is_in_flight(
    kafka, names, simulator, worker
):
    kafka.create_topic(names.topic, 2)
    worker(simulator, IMPCERT_TIMEOUT="30s", IMPCERT_DRAIN_TIMEOUT="1s", **DELAYS).wait_until_ready()
    simulator.faults([{"kind": "latency", "latency": "20s"}])
    kafka.produce(names.topic, [event(imp_uid) for imp_uid in imp_uids(50)])
    wait_for_commits(kafka, names, names.topic, {0: 0, 1: 0})
    assert names.lag() == 50
