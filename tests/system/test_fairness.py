"""Partitions of one worker share it: a backlog on some does not keep the others waiting until it is done."""

from support import wait_for
from support.flow import imp_uids


def test_a_backlog_is_worked_off_on_all_partitions_alike(flow, names, stack, simulator_factory, worker):
    simulator = simulator_factory("--latency", "20ms")
    flow.publish(imp_uids(60_000))
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=100)
    wait_for(lambda: one.metric("impcert_events_stored_total") >= 30_000, 60, "half of the backlog to be stored")
    committed = stack.kafka.committed(names.group, names.topic)
    ends = stack.kafka.end_offsets(names.topic)
    for partition, end in ends.items():
        assert committed[partition] > end / 10, f"partition {partition} waits: {committed} of {ends}"
    simulator.settings(latency="0ms")
    flow.wait_until_done(one)
