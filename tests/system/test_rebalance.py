"""Workers join and leave under load: no event is lost, no partition idles, few are verified twice."""

import time

from support import wait_for
from support.flow import assert_documents, imp_uids

IDLE_LIMIT = 10


class Idleness:
    """The longest time that a partition with something left made no progress, asked while the test waits."""

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


def test_workers_join_and_leave_under_load(flow, names, stack, simulator_factory, worker):
    simulator = simulator_factory("--latency", "50ms")
    wanted, refused = imp_uids(19_900), imp_uids(100, "refused")
    events = sorted(wanted + refused, key=lambda imp_uid: imp_uid[-4:])
    flow.publish(events)
    idleness = Idleness(stack, names)
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_IN_FLIGHT": 64}

    def start():
        return worker(simulator, **settings)

    def wait_for_work(one, count=300):
        """Until this worker has stored so many more events."""
        least = one.metric("impcert_events_stored_total") + count
        wait_for(
            lambda: idleness.look() and one.metric("impcert_events_stored_total") >= least,
            30,
            f"{one} to store {count} more events",
        )

    rebalances = 0
    first = start()
    wait_for_work(first)
    second = start()
    wait_for_work(second)
    third = start()
    wait_for_work(third)
    assert second.stop() == 0
    wait_for_work(first)
    wait_for_work(third)
    fourth = start()
    wait_for_work(fourth)
    assert first.stop() == 0
    assert third.stop() == 0
    wait_for_work(fourth)
    rebalances = 6
    assert names.lag() > 0, "the last rebalance was not under load"
    wait_for(lambda: idleness.look() and names.lag() == 0, 60, "a group lag of 0")
    assert fourth.stop() == 0

    assert_documents(simulator, names.documents(), wanted)
    letters = flow.letters()
    assert {letter.key.decode() for letter in letters} == set(refused)
    repeated = sum(simulator.calls().values()) - len(events)
    print(f"{repeated} calls repeated in {rebalances} rebalances; longest idle partition {idleness.worst:.1f} s")
    assert idleness.worst <= IDLE_LIMIT
    assert repeated <= rebalances * 64, "at most what was in flight of the revoked partitions"


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
    from confluent_kafka.admin import NewPartitions

    refresh = properties("topic.metadata.refresh.interval.ms=1000")
    one = worker(simulator, IMPCERT_WORKERS=1, **refresh).wait_until_ready()
    stack.kafka.admin.create_partitions([NewPartitions(names.topic, 12)])[names.topic].result(30)
    wait_for(lambda: one.metric("impcert_partitions_assigned") == 12, 30, "12 partitions")
    flow.publish(imp_uids(500))
    flow.wait_until_done(one)
    flow.assert_ends(documents=imp_uids(500))
