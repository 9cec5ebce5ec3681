"""Workers join and leave under load: no event is lost, no partition idles, few are verified twice."""

import time

import pytest
from confluent_kafka.admin import NewPartitions

from support import wait_for
from support.flow import assert_documents, imp_uids

IDLE_LIMIT = 10
IN_FLIGHT = 100


class Idleness:
    """The longest time that a partition with something left made no progress; looks while the test waits."""

    def __init__(self, stack, names):
        self._stack, self._names = stack, names
        self._moved = {}  # partition: (committed offset, since when)
        self.worst = 0

    def look(self):
        now = time.monotonic()
        ends = self._stack.kafka.end_offsets(self._names.topic)
        for partition, offset in self._stack.kafka.committed(self._names.group, self._names.topic).items():
            known, since = self._moved.get(partition, (None, now))
            if offset != known or offset == ends[partition]:
                since = now
            self._moved[partition] = (offset, since)
            self.worst = max(self.worst, now - since)
        return True


def test_whoever_comes_later_gets_a_share_of_each_kind_of_topic(flow, names, simulator, worker):
    for count in (1, 2, 3):
        worker(simulator, IMPCERT_WORKERS=1, IMPCERT_RETRY_DELAYS="30s,5m").wait_until_ready()
        wait_for(lambda: names.shares(names.group) == [6 // count] * count, 30, f"{count} shares of the main topic")
        wait_for(lambda: names.shares(names.retry_group) == [12 // count] * count, 30, f"{count} shares of the retry topics")


def test_workers_join_and_leave_under_load(flow, names, stack, simulator_factory, worker, report):
    simulator = simulator_factory("--latency", "20ms")
    wanted, refused = imp_uids(99_900), imp_uids(100, "refused")
    flow.publish(sorted(wanted + refused, key=lambda imp_uid: imp_uid[-4:]))
    idleness = Idleness(stack, names)

    def start():
        # With fewer in flight, the records fetched of one partition keep the others waiting for long.
        one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=IN_FLIGHT)
        wait_for_work(one)
        return one

    def wait_for_work(one, count=300):
        least = one.metric("impcert_events_stored_total") + count
        wait_for(
            lambda: idleness.look() and one.metric("impcert_events_stored_total") >= least,
            30,
            f"{one} to store {count} more events",
        )

    first, second, third = start(), start(), start()
    assert second.stop() == 0
    wait_for_work(first)
    wait_for_work(third)
    fourth = start()
    assert first.stop() == 0
    assert third.stop() == 0
    wait_for_work(fourth)
    assert names.lag() > 0, "the last rebalance was not under load"
    simulator.settings(latency="0ms")
    wait_for(lambda: idleness.look() and names.lag() == 0, 60, "a group lag of 0")
    assert fourth.stop() == 0

    assert_documents(simulator, names.documents(), wanted)
    letters = flow.letters()
    assert {letter.key.decode() for letter in letters} == set(refused)
    repeated = sum(simulator.calls().values()) - 100_000
    report(f"{repeated} of 100,000 calls repeated; longest idle time of a partition {idleness.worst:.1f} s")
    assert idleness.worst <= IDLE_LIMIT
    assert repeated <= 7 * IN_FLIGHT, f"{repeated} calls repeated: more than what was in flight of revoked partitions"


def test_a_worker_more_than_partitions_is_ready_and_takes_over(flow, names, stack, simulator, worker):
    workers = [worker(simulator, IMPCERT_WORKERS=4) for _ in range(2)]
    for one in workers:
        one.wait_until_ready()
    wait_for(lambda: sum(one.metric("impcert_partitions_assigned") for one in workers) == 6, 30, "6 partitions")
    flow.publish(imp_uids(500))
    flow.wait_until_done(*workers)
    assert workers[0].stop() == 0
    flow.publish(imp_uids(1000))
    flow.wait_until_done(workers[1])
    flow.assert_ends(documents=imp_uids(1000))


def test_partitions_added_later_are_consumed(flow, names, stack, simulator, worker, properties):
    refresh = properties("topic.metadata.refresh.interval.ms=1000")
    one = worker(simulator, IMPCERT_WORKERS=1, **refresh).wait_until_ready()
    stack.kafka.admin.create_partitions([NewPartitions(names.topic, 12)])[names.topic].result(30)
    wait_for(lambda: one.metric("impcert_partitions_assigned") == 12, 30, "12 partitions")
    flow.publish(imp_uids(500))
    flow.wait_until_done(one)
    flow.assert_ends(documents=imp_uids(500))


@pytest.mark.parametrize("flow", [2], indirect=True)
def test_a_partition_given_up_while_paused_goes_on_when_it_comes_back(flow, names, simulator_factory, worker):
    simulator = simulator_factory("--latency", "8s")
    flow.publish(imp_uids(200))
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_IN_FLIGHT": 32, "IMPCERT_TIMEOUT": "60s"}
    stays = worker(simulator, **settings)
    wait_for(lambda: stays.metric("impcert_pauses_total") >= 1, 30, "a pause")
    goes = worker(simulator, **settings)
    wait_for(lambda: goes.metric("impcert_partitions_assigned") == 1, 60, "a partition each")
    simulator.settings(latency="0ms")
    flow.wait_until_done(stays, goes)
    assert goes.stop() == 0
    wait_for(lambda: stays.metric("impcert_partitions_assigned") == 2, 60, "both partitions back")
    flow.publish(imp_uids(200, "second"))
    flow.wait_until_done(stays, deadline=15)
