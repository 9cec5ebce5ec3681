"""SIGTERM: what is in flight is finished and committed, in time, and nothing is done twice or lost."""

import json
import signal
import time

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids


def stop_timed(worker, deadline=40):
    """Seconds from SIGTERM to the end, which must be with 0."""
    started = time.monotonic()
    assert worker.stop(deadline) == 0, f"{worker} did not end in order"
    return time.monotonic() - started


def test_a_stop_under_load_repeats_next_to_nothing(flow, names, simulator_factory, worker):
    simulator = simulator_factory("--latency", "50ms")
    wanted, refused = imp_uids(9900), imp_uids(100, "refused")
    flow.publish([event for pair in zip(wanted[:100], refused) for event in pair] + wanted[100:])
    for done in (2000, 5000):
        one = worker(simulator, IMPCERT_IN_FLIGHT=128)
        flow.wait_for_documents(done)
        assert stop_timed(one) < 10
        assert names.lag() > 0, "the stop was not under load"
        calls = simulator.calls()
        # Every call was of an event that is finished: what is on Kafka has not been asked for.
        assert set(calls) == set(names.documents()) | set(flow.letters_by_imp_uid())
    last = worker(simulator, IMPCERT_IN_FLIGHT=128)
    flow.wait_until_done(last)
    repeated = sum(simulator.calls().values()) - 10_000
    assert repeated < 70, f"{repeated} of 7000 done were asked for again"
    assert_documents(simulator, names.documents(), wanted)
    flow.assert_ends(documents=wanted, letters=refused)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once(flow, simulator, worker, number):
    one = worker(simulator, IMPCERT_WORKERS=1).wait_until_ready()
    started = time.monotonic()
    one.signal(number)
    assert one.wait() == 0
    assert time.monotonic() - started < 5


def test_a_worker_just_started_ends_at_once(flow, simulator, worker, short_session):
    """Wherever its group and its connections stand just then."""
    for log_line in ("endpoint listening", "started", "ready", "partitions assigned"):
        one = worker(simulator, IMPCERT_WORKERS=3, **short_session)
        one.wait_for_log(log_line)
        taken = stop_timed(one)
        assert taken < 10, f"{taken:.1f} s after {log_line!r}"


def test_what_is_in_flight_is_finished(flow, names, simulator, worker):
    simulator.faults([{"kind": "latency", "latency": "2s"}])
    wanted = imp_uids(50)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1)
    wait_for(lambda: simulator.counters()["in_flight"] == 50, 30, "all events in flight")
    assert stop_timed(one) < 5
    assert_documents(simulator, names.documents(), wanted)
    assert names.lag() == 0


def test_the_drain_timeout_ends_what_hangs(flow, names, simulator, worker):
    """Events that hang are left for the next worker, the others are done."""
    simulator.faults([{"kind": "hang", "match": "stuck_"}])
    stuck, fine = imp_uids(5, "stuck"), imp_uids(100)
    flow.publish([*fine, *stuck])
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_DRAIN_TIMEOUT="3s", IMPCERT_TIMEOUT="1m")
    flow.wait_for_documents(100)
    taken = stop_timed(one)
    assert 2 <= taken <= 4, f"{taken:.1f} s with a drain timeout of 3 s"
    flow.assert_ends(documents=fine)
    simulator.faults([])
    flow.wait_until_done(worker(simulator))
    flow.assert_ends(documents=[*fine, *stuck])


def test_what_is_finished_before_the_drain_timeout_ends_the_rest_is_committed(flow, names, simulator, worker):
    """There is more in flight than can be done in time."""
    wanted = imp_uids(1000)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_RATE_LIMIT=200, IMPCERT_DRAIN_TIMEOUT="2500ms")
    flow.wait_for_documents(100)
    assert stop_timed(one) < 5
    assert 100 < len(names.documents()) < 1000
    flow.wait_until_done(worker(simulator))
    flow.assert_ends(documents=wanted)
    repeated = sum(simulator.calls().values()) - len(wanted)
    assert repeated < 10, f"{repeated} calls were repeated"


def test_waiting_retries_are_finished_or_left(flow, simulator, worker):
    """A stop does not wait for a backoff that is longer than the drain, and dead-letters nothing early."""
    events = imp_uids(20, "unavailable")
    flow.publish(events)
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_BACKOFF": "10m", "IMPCERT_BACKOFF_MAX": "10m"}
    one = worker(simulator, IMPCERT_DRAIN_TIMEOUT="2s", **settings)
    wait_for(lambda: simulator.counters()["certification_calls"] >= 20, 30, "the first tries")
    assert stop_timed(one) < 4
    assert flow.letters() == []


@pytest.mark.parametrize("server", ["kafka", "mongodb"])
def test_a_stop_without_a_server_ends_in_time(
    flow, names, stack, simulator_factory, worker, server, short_session
):
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(3000)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_IN_FLIGHT=32, IMPCERT_DRAIN_TIMEOUT="2s", **short_session)
    flow.wait_for_documents(500)
    stack.server(server).kill()
    try:
        wait_for(lambda: server in json.loads(one.get("/readyz")[1])["reasons"], 30, f"readiness to name {server}")
        taken = stop_timed(one)
        assert taken < 4, f"{taken:.1f} s with a drain timeout of 2 s"
    finally:
        stack.server(server).start()
    flow.wait_until_done(worker(simulator, **short_session))
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []


def test_a_second_signal_leaves_at_once(flow, simulator, worker):
    simulator.faults([{"kind": "hang"}])
    flow.publish(imp_uids(10))
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_TIMEOUT="1m")
    wait_for(lambda: simulator.counters()["in_flight"], 30, "events in flight")
    one.signal(signal.SIGTERM)
    one.wait_for_log("draining")
    started = time.monotonic()

    def ended():
        one.signal(signal.SIGTERM)
        return one.exit_code is not None

    wait_for(ended, 10, "the end", interval=0.3)
    assert one.wait() == 0
    assert time.monotonic() - started < 5
