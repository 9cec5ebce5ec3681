"""Retry topics and the dead letter queue are made when they are missing, like the main topic."""

import json

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from support import wait_for
from support.flow import event

PARTITIONS = 3
LARGEST = 200_000
DELAYS = {"IMPCERT_RETRY_DELAYS": None}  # the default


@pytest.fixture
def kafka(stack):
    return stack.kafka


@pytest.fixture
def main_topic(kafka, names):
    """The main topic alone, and records of up to 200,000 bytes in it."""
    kafka.create_topic(names.topic, PARTITIONS, {"max.message.bytes": str(LARGEST)})


@pytest.fixture
def retries(names):
    return [f"{names.topic}.retry.{delay}" for delay in ("30s", "5m", "1h")]


def topics(kafka, names):
    """{name: number of partitions} of the test's topics"""
    found = kafka.admin.list_topics(timeout=10).topics
    return {name: len(topic.partitions) for name, topic in found.items() if name.startswith(names.topic)}


def largest(kafka, topic):
    """max.message.bytes, and whether the topic has it of its own."""
    [answer] = kafka.admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    entry = answer.result(30)["max.message.bytes"]
    return int(entry.value), not entry.is_default


def reasons(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"]


def wait_for_reason(worker, text):
    wait_for(lambda: text in reasons(worker).get("topics", ""), 30, f"a reason with {text!r}")


def test_missing_topics_are_created_like_the_main_topic(kafka, names, main_topic, retries, simulator, worker):
    one = worker(simulator, **DELAYS).wait_until_ready()
    wanted = {name: PARTITIONS for name in (names.topic, names.dlq, *retries)}
    assert topics(kafka, names) == wanted
    for name in (names.dlq, *retries):
        assert largest(kafka, name) == (LARGEST + 65536, True), name
    assert {line["topic"] for line in one.log(message="topic created")} == {names.dlq, *retries}
    assert not one.log(message="topics are missing")


def test_a_dead_letter_finds_its_way_into_a_new_queue(kafka, names, main_topic, simulator, worker):
    kafka.produce(names.topic, [event("refused_1")])
    one = worker(simulator, **DELAYS)
    wait_for(lambda: names.lag() == 0, 60, "a group lag of 0")
    one.wait_until_ready()
    assert [record.key for record in names.dead_letters()] == [b"refused_1"]


def test_topics_that_are_there_stay_as_they_are(kafka, names, main_topic, retries, simulator, worker):
    kafka.create_topic(names.dlq, 1)
    one = worker(simulator, **DELAYS).wait_until_ready()
    assert topics(kafka, names)[names.dlq] == 1
    assert largest(kafka, names.dlq)[1] is False
    assert {line["topic"] for line in one.log(message="topic created")} == set(retries)


def test_processes_that_start_together_create_each_topic_once(
    kafka, names, main_topic, retries, simulator, worker
):
    all_of_them = [worker(simulator, IMPCERT_WORKERS=1, **DELAYS) for _ in range(4)]
    created = []
    for one in all_of_them:
        one.wait_until_ready()
        assert not one.log(message="topics are missing")
        created += [line["topic"] for line in one.log(message="topic created")]
    assert sorted(created) == sorted([names.dlq, *retries])


def test_the_main_topic_is_waited_for(kafka, names, retries, simulator, worker, properties):
    quick = properties("topic.metadata.refresh.interval.ms=500")
    one = worker(simulator, IMPCERT_WORKERS=1, **DELAYS, **quick)
    wait_for_reason(one, names.topic)
    assert topics(kafka, names) == {}
    kafka.create_topic(names.topic, PARTITIONS)
    one.wait_until_ready()
    assert topics(kafka, names) == {name: PARTITIONS for name in (names.topic, names.dlq, *retries)}


def test_what_may_not_be_created_is_told_as_commands(kafka, names, main_topic, retries, simulator, worker):
    # Kafka refuses names that differ only in . and _ for they would be one in its metrics.
    in_its_way = names.dlq.replace(".dlq", "_dlq")
    kafka.create_topic(in_its_way)
    kafka.produce(names.topic, [event("imp_1")])
    one = worker(simulator, **DELAYS)
    line = one.wait_for_log("topics are missing")
    assert line["level"] == "error"
    assert line["create"] == (
        f"kafka-topics.sh --bootstrap-server {kafka.brokers} --create --topic {names.dlq}"
        f" --partitions {PARTITIONS} --replication-factor 1 --config max.message.bytes={LARGEST + 65536}"
    )
    assert in_its_way in line["reason"]
    wait_for_reason(one, names.dlq)
    assert set(retries) <= set(topics(kafka, names)), "one that is refused keeps no other from being made"
    wait_for(lambda: names.lag() == 0, 60, "a group lag of 0")
    assert set(names.documents()) == {"imp_1"}, "what needs no missing topic goes on"
    kafka.delete_topics([in_its_way])
    one.wait_until_ready()
    assert len(one.log(message="topics are missing")) == 1
    assert topics(kafka, names)[names.dlq] == PARTITIONS
