"""Tries in the process: as many as set, with a bounded and jittered wait between them."""

import time

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids

QUICK = {"IMPCERT_BACKOFF": "10ms", "IMPCERT_BACKOFF_MAX": "50ms", "IMPCERT_WORKERS": 1}


def test_what_fails_for_a_while_succeeds(flow, names, simulator, worker):
    """Good ones in between show that this is no outage."""
    wanted = {imp_uid: failures for failures in range(1, 4) for imp_uid in imp_uids(50, f"flaky{failures}")}
    wanted |= dict.fromkeys(imp_uids(600), 0)
    flow.publish(sorted(wanted, key=lambda imp_uid: imp_uid[-2:]))
    flow.wait_until_done(worker(simulator, IMPCERT_ATTEMPTS=4, **QUICK))
    assert_documents(simulator, names.documents(), wanted)
    assert simulator.calls() == {imp_uid: failures + 1 for imp_uid, failures in wanted.items()}
    assert flow.letters() == []


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_are_respected_exactly(flow, simulator, worker, attempts):
    enough, too_few = imp_uids(3, f"flaky{attempts - 1}"), imp_uids(2, f"flaky{attempts}")
    flow.publish([*enough, *too_few, "unavailable_1"])
    flow.wait_until_done(worker(simulator, IMPCERT_ATTEMPTS=attempts, **QUICK))
    flow.assert_ends(documents=enough, letters=[*too_few, "unavailable_1"])
    assert set(simulator.calls().values()) == {attempts}
    assert {(letter.reason, letter.attempts) for letter in flow.letters()} == {("unavailable", attempts)}


def waits(flow):
    """Seconds from the first failure of each dead letter to its last."""
    return [(letter.time("failed_at") - letter.time("first_failed_at")).total_seconds() for letter in flow.letters()]


def test_backoff_doubles_up_to_its_bound_with_full_jitter(flow, simulator, worker):
    """With 100, 200, 200, 200 ms at the most and each wait drawn from zero on, four take 350 ms on average.

    Good ones in between show that this is no outage."""
    good = imp_uids(1500)
    events = list(good)
    for number, failing in enumerate(imp_uids(50, "unavailable")):
        events.insert(number * 20, failing)
    flow.publish(events)
    settings = {"IMPCERT_ATTEMPTS": 5, "IMPCERT_BACKOFF": "100ms", "IMPCERT_BACKOFF_MAX": "200ms"}
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=200, **settings)
    flow.wait_until_done(one)
    assert one.metric("impcert_circuit_openings_total") == 0
    taken = waits(flow)
    assert len(taken) == 50
    average, spread = sum(taken) / len(taken), max(taken) - min(taken)
    assert 0.25 <= average <= 0.55, f"{average:.3f} s on average"
    assert spread >= 0.2, f"all took between {min(taken)} and {max(taken)} s: no jitter"
    assert max(taken) <= 0.7 + 0.5, "more than all waits together and some time for the calls"


def test_retry_after_is_obeyed_and_spends_no_try(flow, names, simulator, worker):
    wanted = imp_uids(20, "limited")
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_ATTEMPTS=1, **QUICK))
    assert_documents(simulator, names.documents(), wanted)
    assert simulator.calls() == dict.fromkeys(wanted, 2)
    assert flow.letters() == []


def test_a_try_after_429_comes_not_before_retry_after(flow, simulator, worker):
    """Refused after the wait, the events' dead letters tell how long it was."""
    simulator.faults([{"kind": "status", "status": 429, "retry_after": 2, "times": 1}])
    flow.publish(imp_uids(5, "refused"))
    flow.wait_until_done(worker(simulator, IMPCERT_ATTEMPTS=1, **QUICK))
    taken = waits(flow)
    assert len(taken) == 5
    assert 2 <= min(taken), f"waits from {min(taken)} to {max(taken)} s"
    assert {letter.attempts for letter in flow.letters()} == {1}


def test_many_429_spend_no_try_and_do_not_loop(flow, names, simulator, worker):
    """Without Retry-After the backoff alone holds the calls back, of the whole process."""
    simulator.faults([{"kind": "status", "status": 429, "times": 3}])
    wanted = imp_uids(1)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_ATTEMPTS=1, **QUICK))
    assert_documents(simulator, names.documents(), wanted)
    assert simulator.calls() == dict.fromkeys(wanted, 4)


def test_an_odd_retry_after_is_survived(flow, names, simulator, worker):
    """What is no number counts for nothing."""
    fault = {"kind": "status", "status": 429, "total": 1, "match": "odd"}
    one = worker(simulator, **QUICK)
    for number, text in enumerate(["soon", "-5", "0"]):
        simulator.faults([fault | {"retry_after": text}])
        flow.publish([f"odd{number}_1"])
        flow.wait_for_documents(number + 1, deadline=30)
        assert simulator.calls()[f"odd{number}_1"] == 2
    assert one.alive()


def test_an_endless_retry_after_can_be_stopped(flow, names, simulator, worker):
    """The process keeps silent, as it was asked to, but a stop is a stop, and the next one begins afresh."""
    simulator.faults([{"kind": "status", "status": 429, "retry_after": 9223372037, "total": 1, "match": "odd"}])
    flow.publish(["odd_1"])
    one = worker(simulator, IMPCERT_DRAIN_TIMEOUT="20s", **QUICK)
    wait_for(lambda: one.metric("impcert_failed_tries_total") == 1, 30, "429")
    flow.publish(imp_uids(10))
    wait_for(lambda: one.metric("impcert_events_consumed_total") == 11, 30, "the other events")
    assert one.alive()
    started = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - started < 10, "no call can come before the drain has to end"
    assert names.documents() == {}
    flow.wait_until_done(worker(simulator, **QUICK))
    flow.assert_ends(documents=["odd_1", *imp_uids(10)])


@pytest.mark.parametrize("prefix", ["hang", "slowbody"])
def test_a_call_ends_with_its_timeout(flow, simulator, worker, prefix):
    """And meanwhile the others go on."""
    flow.publish([f"{prefix}_1", *imp_uids(500)])
    one = worker(simulator, IMPCERT_TIMEOUT="700ms", IMPCERT_ATTEMPTS=2, **QUICK)
    flow.wait_for_documents(500)
    flow.wait_until_done(one)
    [letter] = flow.letters()
    assert (letter.key.decode(), letter.reason, letter.attempts) == (f"{prefix}_1", "unavailable", 2)
    assert simulator.calls()[f"{prefix}_1"] == 2
    [taken] = waits(flow)
    assert 0.65 <= taken <= 1.5, "the second try took one timeout"


def test_connections_are_kept(flow, simulator, worker):
    flow.publish(imp_uids(2000))
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=50))
    counters = simulator.counters()
    assert counters["certification_calls"] == 2000
    assert counters["connections_accepted"] <= 70


def test_a_retry_after_in_the_past_still_backs_off(flow, simulator, worker):
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    simulator.faults([{"kind": "status", "status": 429, "retry_after": past, "times": 3}])
    flow.publish(imp_uids(1))
    started = time.monotonic()
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_BACKOFF="300ms")
    flow.wait_until_done(one)
    assert sum(simulator.calls().values()) == 4
    assert time.monotonic() - started > 0.3, "four calls without any backoff"
    assert one.metric("impcert_retries_total") == 3
