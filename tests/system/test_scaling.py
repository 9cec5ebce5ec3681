"""Replicas by lag: what the ScaledObject makes of a group's offsets on a real broker is the table of its README."""

import json
import re
import subprocess

import pytest
from confluent_kafka import TopicPartition

from support import golang, wait_for
from support.flow import event, imp_uids
from support.keda import Trigger, replicas
from support.kubernetes import DEPLOY, only

PARTITIONS = 12
NO_PROGRESS = "no commit"


def table():
    """[(lag, partitions, whether commits go on, replicas)]"""
    rows = re.findall(r"^\| ([\d,]+)(.*?) \| (\d+) \| (\d+) \|$", (DEPLOY / "README.md").read_text(), re.M)
    return [
        (int(lag.replace(",", "")), int(partitions), NO_PROGRESS not in note, int(wanted))
        for lag, note, partitions, wanted in rows
    ]


@pytest.fixture
def scaled():
    return only("cluster", "ScaledObject")["spec"]


@pytest.fixture
def metadata(scaled, names, stack):
    """Of the trigger, for the test's topic and group."""
    own = {"topic": names.topic, "consumerGroup": names.group, "bootstrapServers": stack.kafka.brokers}
    return scaled["triggers"][0]["metadata"] | own


@pytest.fixture
def filled(stack, names):
    """A topic with records enough for each row of the table, and nothing committed."""
    stack.kafka.create_topic(names.topic, PARTITIONS)
    producer = stack.kafka.producer(**{"batch.num.messages": 10_000, "queue.buffering.max.messages": 1_000_000})
    value = event("imp_1")[1]
    lags = [spread(lag, partitions) for lag, partitions, _, _ in table()]
    for partition in range(PARTITIONS):
        for _ in range(max(lag.get(partition, 0) for lag in lags) + 1):  # one more, see ahead
            producer.produce(names.topic, value, partition=partition)
        producer.poll(0)
    assert producer.flush(60) == 0


@pytest.fixture
def offsets(stack, names):
    """offsets() as KEDA reads them: what the group has committed, and the ends of the topic."""
    return lambda: (stack.kafka.commits(names.group, names.topic), stack.kafka.end_offsets(names.topic))


@pytest.fixture
def commit(stack, names):
    """commit({partition: lag}) moves the group; the other partitions are read to their ends."""
    consumer = stack.kafka.consumer(**{"group.id": names.group})

    def move(lags):
        ends = stack.kafka.end_offsets(names.topic)
        wanted = [TopicPartition(names.topic, p, end - lags.get(p, 0)) for p, end in ends.items()]
        consumer.commit(offsets=wanted, asynchronous=False)

    yield move
    consumer.close()


def spread(lag, partitions):
    """{partition: lag}, as even as can be."""
    return {p: lag // partitions + (p < lag % partitions) for p in range(partitions)} if partitions else {}


def ahead(lags):
    """The same a record before: a group at work, an interval earlier."""
    return {partition: lag + 1 for partition, lag in lags.items()}


def rows(commit, ask):
    """Has the lag of each row of the table made, and asked for twice: [(row, the second answer)]"""
    answers = []
    for row in table():
        lag, partitions, goes_on, _ = row
        lags = spread(lag, partitions)
        commit(ahead(lags) if goes_on else lags)
        ask()
        commit(lags)
        answers.append((row, ask()))
    return answers


def assert_table(scaled, found, report):
    threshold = int(scaled["triggers"][0]["metadata"]["lagThreshold"])
    for (lag, partitions, goes_on, wanted), reported in found:
        came = replicas(scaled, reported, threshold)
        how = "" if goes_on else ", standing"
        report(f"lag {lag} of {partitions} partitions{how}: {reported:.0f} reported, {came} replicas")
        assert came == wanted


def test_the_lag_of_the_group_comes_to_the_replicas_of_the_table(scaled, metadata, filled, offsets, commit, report):
    assert len(table()) > 5
    trigger = Trigger(metadata)
    found = rows(commit, lambda: trigger.lag(*offsets()))
    assert_table(scaled, found, report)


def test_the_rows_of_the_table_go_from_the_least_to_the_most(scaled):
    wanted = [row[3] for row in table()]
    assert (min(wanted), max(wanted)) == (scaled["minReplicaCount"], scaled["maxReplicaCount"])


def test_a_topic_without_commits_is_taken_for_unread_until_a_worker_has_it(
    metadata, stack, names, offsets, simulator, worker
):
    """All its records have been deleted, and still KEDA counts them: the worker's first commit puts that right."""
    stack.kafka.create_topic(names.topic, 3)
    stack.kafka.produce(names.topic, [event(imp_uid) for imp_uid in imp_uids(300)])
    gone = [TopicPartition(names.topic, p, end) for p, end in stack.kafka.end_offsets(names.topic).items()]
    for future in stack.kafka.admin.delete_records(gone).values():
        future.result(30)
    assert Trigger(metadata).lag(*offsets()) == 300
    worker(simulator).wait_until_ready()
    wait_for(lambda: Trigger(metadata).lag(*offsets()) == 0, 30, "a lag of 0 as KEDA counts it")


def test_an_open_circuit_is_no_load(scaled, metadata, stack, names, offsets, simulator, worker):
    """A backlog that nobody can work off now: after one polling interval it does not count."""
    stack.kafka.create_topic(names.topic, PARTITIONS)
    simulator.faults([{"kind": "status", "status": 503}])
    one = worker(simulator, IMPCERT_ATTEMPTS=2, IMPCERT_BACKOFF="10ms", IMPCERT_RETRY_DELAYS="1h").wait_until_ready()
    stack.kafka.produce(names.topic, [event(imp_uid) for imp_uid in imp_uids(5000)])
    wait_for(lambda: one.metric("impcert_circuit_open") > 0, 30, "an open circuit")
    trigger = Trigger(metadata | {"lagThreshold": "100"})
    wait_for(lambda: stands(trigger, offsets), 30, "a lag that does not count")
    assert names.lag() > 1000
    assert replicas(scaled, 0, trigger.threshold) == scaled["minReplicaCount"]


def stands(trigger, offsets):
    return trigger.lag(*offsets()) == 0


@pytest.mark.long
def test_keda_itself_comes_to_the_replicas_of_the_table(scaled, metadata, filled, commit, report):
    """KEDA's own scaler, built from its module, with the metadata of the ScaledObject on the real broker."""
    scaler = subprocess.Popen(
        [golang.build("scaler", "."), json.dumps(metadata)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask():
        scaler.stdin.write("\n")
        scaler.stdin.flush()
        answer = json.loads(scaler.stdout.readline())
        assert answer["target"] == int(metadata["lagThreshold"])
        return answer["lag"]

    try:
        assert_table(scaled, rows(commit, ask), report)
    finally:
        scaler.stdin.close()
        assert scaler.wait(30) == 0
