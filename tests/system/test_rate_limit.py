"""Calls to Iamport come no faster than they may, for the whole process: by the set limit, and by what 429 asks for."""

import time

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids

LIMIT = 200
WINDOW = 10
# Nobody may be called faster than agreed. That the limit is used up, too, a busy machine may keep us from.
MOST, LEAST = 1.02, 0.95
ONE_TRY = {"IMPCERT_ATTEMPTS": 1, "IMPCERT_WORKERS": 2}


class Calls:
    """The simulator's count of calls with the time of each look."""

    def __init__(self, simulator):
        self._simulator = simulator
        self.samples = []  # seconds, calls

    def look(self):
        asked = time.monotonic()
        calls = self._simulator.counters()["certification_calls"]
        self.samples.append(((asked + time.monotonic()) / 2, calls))
        return self.samples[-1]

    def watch(self, seconds):
        """Looks for so long."""
        end = time.monotonic() + seconds
        wait_for(lambda: self.look()[0] >= end, seconds + 30, f"{seconds} s to pass")
        return self

    def rate(self, seconds):
        """Calls a second over about the last `seconds`."""
        (until, last) = self.samples[-1]
        (since, first) = next(sample for sample in self.samples if sample[0] >= until - seconds)
        return (last - first) / max(until - since, 1e-3)

    def longest_gap(self):
        """Seconds between two calls, the most; as seen, so a little less than it was."""
        longest, (since, known) = 0, self.samples[0]
        for at, calls in self.samples:
            if calls != known:
                since, known = at, calls
            longest = max(longest, at - since)
        return longest


def wait_for_calls(simulator, count=1):
    wait_for(lambda: simulator.counters()["certification_calls"] >= count, 30, f"{count} calls")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_limit_is_kept(flow, simulator, worker, report, workers):
    """By all workers of the process together."""
    flow.publish(imp_uids(LIMIT * (WINDOW + 3)))
    one = worker(simulator, IMPCERT_RATE_LIMIT=LIMIT, IMPCERT_WORKERS=workers)
    wait_for_calls(simulator)
    calls = Calls(simulator).watch(1)  # without its first second
    calls.samples = calls.samples[-1:]
    calls.watch(WINDOW)
    rate = calls.rate(WINDOW + 30)
    assert one.metric("impcert_jobs_in_flight") > 0, "no backlog: the test shows nothing"
    report(f"{rate:.1f} calls a second with a limit of {LIMIT} and {workers} workers")
    assert LEAST * LIMIT <= rate <= MOST * LIMIT


def test_without_a_limit_there_is_none(flow, simulator, worker):
    flow.publish(imp_uids(5000))
    flow.wait_until_done(worker(simulator), deadline=20)


def test_the_limit_is_no_obstacle_to_a_stop(flow, names, simulator, worker):
    flow.publish(imp_uids(1000))
    one = worker(simulator, IMPCERT_RATE_LIMIT=10, IMPCERT_DRAIN_TIMEOUT="2s")
    wait_for_calls(simulator)
    started = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - started < 5
    assert 1000 - len(names.documents()) <= names.lag() <= 1000


def test_retry_after_silences_the_whole_process(flow, names, simulator_factory, worker, report):
    """A single 429 speaks for all workers."""
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(20_000)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_IN_FLIGHT=20, **ONE_TRY)
    flow.wait_for_documents(500)
    simulator.faults([{"kind": "status", "status": 429, "retry_after": 3, "total": 1}])
    calls = Calls(simulator).watch(4.5)
    assert simulator.counters()["by_status"]["429"] == 1
    report(f"no call for {calls.longest_gap():.2f} s after Retry-After: 3")
    assert calls.longest_gap() >= 2.8
    wait_for_calls(simulator, calls.look()[1] + 100)
    assert one.metric("impcert_events_stored_total") < len(wanted), "no backlog: the test shows nothing"
    assert flow.letters() == []


def test_a_storm_of_429_slows_the_process_down_until_it_is_over(flow, simulator_factory, worker, report):
    """Without Retry-After; and no event has spent its only try on it."""
    simulator = simulator_factory("--latency", "20ms")
    flow.publish(imp_uids(40_000))
    one = worker(simulator, IMPCERT_IN_FLIGHT=20, **ONE_TRY)
    flow.wait_for_documents(500)
    calls = Calls(simulator)
    before = calls.watch(1).rate(1)
    simulator.faults([{"kind": "status", "status": 429}])
    storm = calls.watch(4).rate(3)
    assert simulator.counters()["by_status"]["429"] > 0
    simulator.faults([])

    def faster():
        calls.look()
        return calls.rate(2) >= 2 * max(storm, 2)

    wait_for(faster, 60, "calls to become more again")
    report(f"calls a second: {before:.0f} before, {storm:.0f} in the storm, {calls.rate(2):.0f} again")
    assert storm <= before / 3
    assert one.metric("impcert_circuit_openings_total") == 0, "429 is no outage"
    assert flow.letters() == []
