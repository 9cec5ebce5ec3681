"""Concurrency does not depend on partitions, and is bounded by IMPCERT_IN_FLIGHT."""

import pytest

from support import wait_for
from support.flow import event, imp_uids


@pytest.mark.parametrize("flow", [1, 6], indirect=True, ids=["1 partition", "6 partitions"])
def test_all_of_in_flight_is_used(flow, simulator_factory, worker):
    simulator = simulator_factory("--latency", "100ms")
    flow.publish(imp_uids(6000))
    flow.wait_until_done(worker(simulator, IMPCERT_IN_FLIGHT=1024, IMPCERT_WORKERS=1))
    assert 900 <= simulator.counters()["max_in_flight"] <= 1024


@pytest.mark.parametrize("limit, workers", [(1, 1), (10, 1), (10, 3)])
def test_in_flight_is_never_exceeded(flow, simulator_factory, worker, limit, workers):
    simulator = simulator_factory("--latency", "5ms")
    flow.publish(imp_uids(100))
    flow.wait_until_done(worker(simulator, IMPCERT_IN_FLIGHT=limit, IMPCERT_WORKERS=workers))
    counters = simulator.counters()
    assert counters["max_in_flight"] <= limit * workers
    assert counters["imp_uids"] == 100


def test_an_imp_uid_in_flight_is_verified_once(flow, names, simulator, worker):
    """Its twins complete with it: all their offsets are committed."""
    simulator.faults([{"kind": "latency", "latency": "1s"}])
    wanted = imp_uids(20)
    flow.publish(wanted * 30)
    one = worker(simulator, IMPCERT_IN_FLIGHT=1024, IMPCERT_WORKERS=1)
    flow.wait_until_done(one)
    assert simulator.calls() == dict.fromkeys(wanted, 1)
    assert one.metric("impcert_events_stored_total") == 600
    flow.assert_ends(documents=wanted)


def test_twins_of_a_failed_event_fail_with_it(flow, simulator, worker):
    simulator.faults([{"kind": "latency", "latency": "1s"}])
    flow.publish(["refused_1"] * 30)
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    letters = flow.letters()
    assert simulator.calls() == {"refused_1": 1}
    assert [letter.key for letter in letters] == [b"refused_1"] * 30
    assert len({letter.origin for letter in letters}) == 30
    assert {(letter.reason, letter.attempts) for letter in letters} == {("refused", 1)}


def test_one_stuck_event_holds_back_only_its_offset(flow, names, stack, simulator, worker, short_session):
    """The others of its partition are stored, and the commit waits for it."""
    simulator.faults([{"kind": "hang", "match": "stuck_"}])
    flow.publish(["stuck_1"])
    stuck = next(record for record in names.records())
    others = [(b"stuck_1", event(imp_uid)[1]) for imp_uid in imp_uids(500)]
    flow.publish(others)
    one = worker(simulator, IMPCERT_IN_FLIGHT=600, IMPCERT_TIMEOUT="1m", IMPCERT_WORKERS=1, **short_session)
    flow.wait_for_documents(500)
    assert stack.kafka.committed(names.group, names.topic)[stuck.partition] == stuck.offset
    simulator.faults([])
    one.kill()
    flow.wait_until_done(worker(simulator, **short_session))
    flow.assert_ends(documents=["stuck_1", *imp_uids(500)])


def test_a_full_worker_pauses_and_goes_on(flow, names, simulator, worker):
    """Longer than the pause's patience without room, with a backlog behind it."""
    simulator.faults([{"kind": "latency", "latency": "2s", "match": "slow_"}])
    slow, quick = imp_uids(64, "slow"), imp_uids(5000)
    flow.publish(slow)
    one = worker(simulator, IMPCERT_IN_FLIGHT=64, IMPCERT_WORKERS=1)
    wait_for(lambda: simulator.counters()["in_flight"] == 64, 30, "a full worker")
    flow.publish(quick)
    flow.wait_until_done(one)
    assert one.metric("impcert_pauses_total") >= 1
    flow.assert_ends(documents=[*slow, *quick])
