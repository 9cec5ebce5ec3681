"""An outage of Iamport is waited out by a circuit breaker: no event pays for it, and the service is spared.

An outage is told from events that fail by themselves, which end as dead letters and hold nobody up."""

import json
import time
from contextlib import contextmanager

import pytest

from stack import ports
from support import wait_for
from support.flow import assert_documents, imp_uids

WORKERS = 2
PROBES_LIMIT = 50
RECOVERY_LIMIT = 30
EVENTS_PER_SECOND = 500  # even on a machine that is busy otherwise
# With this an outage of ten seconds would end the membership of a worker that doesn't poll.
IMPATIENT = ("max.poll.interval.ms=6000", "session.timeout.ms=6000")
TIMEOUT = {"IMPCERT_TIMEOUT": "500ms", "IMPCERT_CONNECT_TIMEOUT": "500ms"}


class Upstream:
    """A simulator on one port that can go away, `refused` or by a kind of fault, and come back."""

    def __init__(self, start):
        self._start = start
        self.simulator = start()

    @property
    def url(self):
        return self.simulator.url

    def calls(self):
        """So far; 0 while it is refused."""
        return self.simulator.counters()["certification_calls"] if self.simulator.exit_code is None else 0

    def successes(self):
        return self.simulator.counters()["by_status"].get("200", 0)

    @contextmanager
    def away(self, how):
        if how == "refused":
            self.simulator.kill()
        else:
            self.simulator.faults([{"kind": how}])
        yield
        if how == "refused":
            self.simulator = self._start()
        else:
            self.simulator.reset()
            self.simulator.faults([])


@pytest.fixture
def upstream(simulator_factory, tmp_path):
    [port] = ports.claim(tmp_path, 1)
    yield Upstream(lambda: simulator_factory("--listen", f"127.0.0.1:{port}"))
    ports.release(tmp_path)


def reasons(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"]


def wait_for_open_circuits(worker, count=WORKERS):
    wait_for(lambda: worker.metric("impcert_circuit_open") == count, 30, f"{count} open circuits")
    wait_for(lambda: worker.metric("impcert_http_calls_total") == calls_answered(worker), 30, "answers to all calls")


def calls_answered(worker):
    return worker.metric("impcert_http_seconds_count")


def wait_out(seconds, worker):
    """Until so many seconds have passed, in which the worker has to be alive and not ready, and say why."""
    end = time.monotonic() + seconds

    def passed():
        assert worker.alive(), "liveness depends on no server"
        assert worker.get("/readyz")[0] == 503
        assert list(reasons(worker)) == ["circuit"]
        return time.monotonic() >= end

    wait_for(passed, seconds + 30, f"{seconds} s to pass", interval=0.5)


class Recovery:
    """When the calls came after an outage, from the first one on that was answered."""

    def __init__(self, upstream):
        self._upstream = upstream
        self._samples = []  # seconds, calls

    def look(self):
        calls = self._upstream.successes()
        if calls or self._samples:
            self._samples.append((time.monotonic(), calls))
        return True

    def calls_within(self, begin, end):
        """Between these seconds from the first call; at least, where a look was late."""
        times = [(at - self._samples[0][0], calls) for at, calls in self._samples]
        before = max((calls for at, calls in times if at <= begin), default=0)
        return max((calls for at, calls in times if at <= end), default=0) - before

    def peak(self):
        """The most calls within a second."""
        return max(self.calls_within(at - self._samples[0][0], at - self._samples[0][0] + 1) for at, _ in self._samples)


def assert_waits_out(how, seconds, events, flow, names, stack, upstream, worker, properties, report):
    """Everything that the breaker promises, over an outage of so many seconds with so many events waiting."""
    early, waiting = imp_uids(200, "early"), imp_uids(events)
    settings = {"IMPCERT_WORKERS": WORKERS, "IMPCERT_RETRY_DELAYS": "30s,5m", **TIMEOUT}
    one = worker(upstream, **settings, **properties(*IMPATIENT))
    flow.publish(early)
    flow.wait_until_done(one)
    for group, share in ((names.group, 6 // WORKERS), (names.retry_group, 12 // WORKERS)):
        wait_for(lambda: names.shares(group) == [share] * WORKERS, 30, f"{share} partitions each in {group}")
    rebalances = one.metric("impcert_rebalances_total")
    with upstream.away(how):
        flow.publish(waiting)
        wait_for_open_circuits(one)
        opened = one.metric("impcert_http_calls_total")
        arrived = upstream.calls()
        wait_out(seconds, one)
        arrived = upstream.calls() - arrived
        probes = one.metric("impcert_http_calls_total") - opened
        assert one.metric("impcert_circuit_open") == WORKERS
        assert arrived <= probes < PROBES_LIMIT
        assert probes > 0
        assert len(names.documents()) == len(early)
    recovery = Recovery(upstream)
    started = time.monotonic()
    all_of_them = [*early, *waiting]
    wait_for(
        lambda: recovery.look() and one.metric("impcert_events_stored_total") >= len(all_of_them),
        RECOVERY_LIMIT + events / EVENTS_PER_SECOND,
        "all events to be stored",
    )
    first, peak = recovery.calls_within(0, 1), recovery.peak()
    report(
        f"{how}: {probes:.0f} probes in {seconds} s; {first} calls in the first second, {peak} in the busiest; "
        f"all stored {time.monotonic() - started:.1f} s after the recovery"
    )
    assert first <= peak / 3, f"{first} calls in the first second and {peak} in the busiest"
    flow.wait_until_done(one)
    one.wait_until_ready()
    assert one.metric("impcert_circuit_open") == 0
    assert one.metric("impcert_rebalances_total") == rebalances, "an outage of Iamport is none of Kafka's business"
    assert_documents(upstream.simulator, names.documents(), all_of_them)
    assert flow.letters() == []
    for delay in ("30s", "5m"):
        assert stack.kafka.records(names.retry_topic(delay)) == [], "no event has used up its tries"


@pytest.mark.parametrize("how, seconds", [("unavailable", 8), ("hang", 3), ("refused", 3)])
def test_an_outage_costs_no_event_anything(
    flow, names, stack, upstream, worker, properties, report, how, seconds
):
    assert_waits_out(how, seconds, 5000, flow, names, stack, upstream, worker, properties, report)


@pytest.mark.long
@pytest.mark.parametrize("how", ["unavailable", "hang", "refused"])
def test_two_minutes_of_outage_cost_no_event_anything(
    flow, names, stack, upstream, worker, properties, report, how
):
    assert_waits_out(how, 120, 20_000, flow, names, stack, upstream, worker, properties, report)


def test_an_opened_circuit_is_told_once(flow, simulator, worker):
    """In the log, however many events and probes fail; its reason says what the calls fail with."""
    one = worker(simulator, IMPCERT_WORKERS=1).wait_until_ready()
    simulator.faults([{"kind": "unavailable"}])
    flow.publish(imp_uids(500))
    wait_for_open_circuits(one, 1)
    wait_for(lambda: one.metric("impcert_circuit_probes_total") >= 3, 30, "three probes")
    assert "HTTP 503" in reasons(one)["circuit"]
    [line] = one.log(message="not ready", part="circuit")
    assert (line["level"], line["reason"]) == ("warn", reasons(one)["circuit"])
    simulator.faults([])
    flow.wait_until_done(one)
    one.wait_for_log("ready", part="circuit")
    assert one.metric("impcert_circuit_openings_total") == 1


def test_a_stop_in_an_outage_ends_in_time_and_leaves_the_events(flow, names, simulator, worker):
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_DRAIN_TIMEOUT="3s").wait_until_ready()
    simulator.faults([{"kind": "unavailable"}])
    wanted = imp_uids(500)
    flow.publish(wanted)
    wait_for_open_circuits(one, 1)
    started = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - started < 6
    assert names.lag() == len(wanted)
    simulator.faults([])
    flow.wait_until_done(worker(simulator))
    flow.assert_ends(documents=wanted)


@pytest.mark.parametrize("latency", ["0ms", "50ms"])
@pytest.mark.parametrize("flow", [1, 6], indirect=True, ids=["1 partition", "6 partitions"])
def test_a_run_of_failing_events_keeps_nobody_waiting(flow, simulator_factory, worker, latency, report):
    """On one partition they are a hundred failures in a row, as in an outage. Good events go on arriving: without
    them the worker could not know that the failing ones that are left are no outage, and would take its time."""
    simulator = simulator_factory("--latency", latency)
    failing, good, late = imp_uids(100, "error"), imp_uids(2000), imp_uids(100, "late")
    flow.publish([*good[:500], *failing, *good[500:]])
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_BACKOFF="50ms", IMPCERT_BACKOFF_MAX="200ms")
    flow.wait_for_documents(len(good), deadline=30)
    for arrived, imp_uid in enumerate(late, len(good) + 1):
        flow.publish([imp_uid])
        flow.wait_for_documents(arrived, deadline=30)
    flow.wait_until_done(one, deadline=30)
    flow.assert_ends(documents=[*good, *late], letters=failing)
    assert {letter.reason for letter in flow.letters()} == {"unavailable"}
    assert one.metric("impcert_circuit_open") == 0
    report(f"{one.metric('impcert_circuit_openings_total'):.0f} openings")


def test_one_event_that_always_fails_is_a_dead_letter(flow, simulator, worker):
    flow.publish(["error_1"])
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_ATTEMPTS=4, IMPCERT_BACKOFF="20ms")
    flow.wait_until_done(one)
    [letter] = flow.letters()
    assert (letter.reason, letter.attempts, letter.status) == ("unavailable", 4, 500)
    assert one.metric("impcert_circuit_openings_total") == 0


def test_one_event_that_fails_again_and_again_opens_no_circuit(flow, simulator, worker):
    """It has more tries than events it takes to open one."""
    flow.publish(["error_1"])
    settings = {"IMPCERT_ATTEMPTS": 23, "IMPCERT_BACKOFF": "5ms", "IMPCERT_BACKOFF_MAX": "10ms"}
    one = worker(simulator, IMPCERT_WORKERS=1, **settings)
    flow.wait_until_done(one, deadline=30)
    [letter] = flow.letters()
    assert letter.attempts == 23
    assert one.metric("impcert_circuit_openings_total") == 0


def test_stubborn_events_that_were_never_tried_do_not_keep_good_ones_on_kafka(flow, simulator, worker):
    """They have come in to probe with, and are no better than those that opened the circuit."""
    flow.publish(imp_uids(20, "error"))
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=64)
    wait_for(lambda: one.metric("impcert_circuit_openings_total") >= 1, 30, "an open circuit")
    flow.publish(imp_uids(10, "error_more"))
    wait_for(lambda: one.metric("impcert_jobs_in_flight") == 30, 30, "10 more in flight")
    flow.publish(imp_uids(100))
    flow.wait_for_documents(100, deadline=30)


def test_stubborn_events_in_flight_do_not_keep_good_ones_on_kafka(flow, simulator, worker):
    """They are many of what may be in flight, and have opened the circuit; good ones come in to probe with."""
    flow.publish(imp_uids(30, "error"))
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=64)
    wait_for(lambda: one.metric("impcert_circuit_openings_total") >= 1, 30, "an open circuit")
    flow.publish(imp_uids(100))
    flow.wait_for_documents(100, deadline=30)
    flow.wait_until_done(one, deadline=100)
    flow.assert_ends(documents=imp_uids(100), letters=imp_uids(30, "error"))
