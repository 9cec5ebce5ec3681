"""Retry topics: what can't be verified now comes back by its delay, first in first out, and is told of all the way."""

from datetime import datetime, timezone

import pytest

from support import wait_for
from support.flow import Letter, event, imp_uids

# Quick tries, and tiers of a test's patience.
QUICK = {"IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "10ms", "IMPCERT_BACKOFF_MAX": "20ms"}
TIERS = QUICK | {"IMPCERT_RETRY_DELAYS": "1s,3s"}


@pytest.fixture
def deferred(stack, names):
    """deferred("1s") gives the letters on a retry topic, by imp_uid, with the times of their records."""

    def read(delay):
        return {letter.key.decode(): letter for letter in map(Letter, stack.kafka.records(names.retry_topic(delay)))}

    return read


def test_a_certification_that_is_finished_later_is_stored(flow, names, simulator, worker, deferred):
    late = imp_uids(20, "late")
    simulator.faults([{"kind": "missing", "match": "late", "times": 1}])
    flow.publish([*late, *imp_uids(200)])
    one = worker(simulator, **TIERS)
    flow.wait_for_documents(220)
    flow.wait_until_done(one)
    flow.assert_ends(documents=late + imp_uids(200))
    letters = deferred("1s")
    assert set(letters) == set(late)
    assert {(letter.reason, letter.attempts, letter.status) for letter in letters.values()} == {("not_found", 1, 404)}
    assert one.metric("impcert_events_deferred_total") == 20
    assert one.metric("impcert_events_dead_lettered_total") == 0


def test_what_fails_in_every_tier_is_a_dead_letter_with_its_whole_story(flow, names, simulator, worker, deferred):
    headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    flow.publish([(*event("missing_1"), headers), (*event("unavailable_1"), headers), *imp_uids(50)])
    one = worker(simulator, **TIERS)
    wait_for(lambda: len(flow.letters()) == 2, 30, "both dead letters")
    letters = flow.letters_by_imp_uid()
    origins = {record.key: (names.topic, record.partition, record.offset) for record in names.records()}
    # Every hop asks once for what is missing, and spends all tries in process on what is unavailable.
    for imp_uid, reason, attempts in (("missing_1", "not_found", 3), ("unavailable_1", "unavailable", 6)):
        letter = letters[imp_uid]
        assert (letter.reason, letter.attempts) == (reason, attempts)
        assert letter.origin == origins[imp_uid.encode()]
        assert letter.facts["topic"] == names.topic
        assert letter.headers == headers
        assert letter.value == event(imp_uid)[1]
        assert "not_before" not in letter.facts
        first, second = deferred("1s")[imp_uid], deferred("3s")[imp_uid]
        assert (first.attempts, second.attempts) == (attempts / 3, attempts * 2 / 3)
        assert first.origin == second.origin == letter.origin
        assert first.facts["first_failed_at"] == letter.facts["first_failed_at"]
        assert first.time("not_before") > first.time("failed_at")
    assert simulator.calls()["missing_1"] == 3
    flow.wait_until_done(one)


def test_refused_for_good_takes_no_tier(flow, names, simulator, worker, deferred):
    flow.publish(["refused_1", "nokey_1", (b"k", b"no JSON")])
    one = worker(simulator, **TIERS)
    flow.wait_until_done(one)
    assert {letter.reason for letter in flow.letters()} == {"refused", "no_unique_key", "invalid_event"}
    assert deferred("1s") == {}


def test_the_due_time_is_exact_to_a_second_and_nobody_waits_busily(flow, names, simulator, worker, deferred, report):
    """With other work and without; the worker's CPU time over the wait shows that no thread turns hot."""
    simulator.faults([{"kind": "missing", "match": "late", "times": 1}])
    flow.publish(imp_uids(30, "late"))
    one = worker(simulator, **QUICK, IMPCERT_RETRY_DELAYS="5s", IMPCERT_WORKERS=1)
    wait_for(lambda: one.metric("impcert_events_deferred_total") == 30, 30, "all events to be deferred")
    cpu = one.cpu_seconds()
    turned = one.metric("impcert_http_calls_total")
    flow.wait_for_documents(30)
    assert one.cpu_seconds() - cpu < 1.0
    assert one.metric("impcert_http_calls_total") == turned + 30
    documents = names.documents()
    lateness = {
        imp_uid: (documents[imp_uid]["verified_at"].replace(tzinfo=timezone.utc) - letter.time("not_before")).total_seconds()
        for imp_uid, letter in deferred("5s").items()
    }
    report(f"{min(lateness.values())} to {max(lateness.values())} s after the due time")
    assert all(-0.005 <= late < 1 for late in lateness.values()), lateness


def test_a_waiting_tier_holds_nobody_up_and_survives_a_restart(flow, names, stack, simulator, worker):
    """With one job in flight at the most, too."""
    simulator.faults([{"kind": "missing", "match": "late", "times": 1}])
    flow.publish(imp_uids(10, "late"))
    settings = QUICK | {"IMPCERT_RETRY_DELAYS": "8s", "IMPCERT_IN_FLIGHT": 1, "IMPCERT_WORKERS": 1}
    one = worker(simulator, **settings)
    wait_for(lambda: one.metric("impcert_events_deferred_total") == 10, 30, "all events to be deferred")
    flow.publish(imp_uids(100))
    flow.wait_for_documents(100)
    assert one.stop() == 0
    assert not set(names.documents()) & set(imp_uids(10, "late"))
    assert stack.kafka.lag(names.retry_group, names.retry_topic("8s")) == 10
    two = worker(simulator, **settings)
    flow.wait_for_documents(110)
    wait_for(lambda: stack.kafka.lag(names.retry_group, names.retry_topic("8s")) == 0, 30, "no lag on the tier")
    flow.wait_until_done(two)
    assert set(simulator.calls().values()) == {1, 2}


@pytest.mark.parametrize("backlog", ["main", "retry"])
def test_a_backlog_on_one_topic_keeps_no_event_of_another_waiting(
    flow, names, stack, simulator_factory, worker, backlog
):
    simulator = simulator_factory("--latency", "20ms")
    retry_topic = names.retry_topic("1h")
    many, few = (names.topic, retry_topic) if backlog == "main" else (retry_topic, names.topic)
    one = worker(simulator, IMPCERT_RETRY_DELAYS="1h", IMPCERT_IN_FLIGHT=4, IMPCERT_WORKERS=1).wait_until_ready()
    due = [("impcert.not_before", b"2000-01-01T00:00:00.000Z")]
    stack.kafka.produce(many, [(*event(imp_uid), due) for imp_uid in imp_uids(10_000)])
    wait_for(lambda: one.metric("impcert_events_stored_total") > 0, 30, "a stored event")
    stack.kafka.produce(few, [(*event(imp_uid), due) for imp_uid in imp_uids(20, "few")])
    wait_for(lambda: set(imp_uids(20, "few")) <= set(names.documents()), 30, "the few to be stored")
    assert stack.kafka.lag(names.group_of(many), many) > 0


def test_a_forged_due_time_waits_no_longer_than_the_tier(flow, names, stack, simulator, worker):
    one = worker(simulator, **QUICK, IMPCERT_RETRY_DELAYS="2s").wait_until_ready()
    far = datetime(2999, 1, 1, tzinfo=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    stack.kafka.produce(
        names.retry_topic("2s"),
        [
            (*event("imp_far"), [("impcert.not_before", far.encode())]),
            (*event("imp_none"), []),
            (*event("imp_bad"), [("impcert.not_before", b"soon"), ("impcert.attempts", b"-5")]),
        ],
    )
    flow.wait_for_documents(3, deadline=15)
    flow.assert_ends(documents=["imp_far", "imp_none", "imp_bad"])
    assert one.alive()


def test_workers_that_come_and_go_lose_nothing_on_the_tiers(flow, names, stack, simulator, worker, short_session):
    simulator.faults([{"kind": "missing", "match": "late", "times": 2}])
    flow.publish(imp_uids(300, "late"))
    settings = TIERS | short_session | {"IMPCERT_WORKERS": 1}
    first = worker(simulator, **settings)
    wait_for(lambda: first.metric("impcert_events_deferred_total") >= 100, 30, "events to be deferred")
    second = worker(simulator, **settings)
    wait_for(lambda: second.metric("impcert_partitions_assigned") > 0, 30, "partitions of the second")
    first.kill()
    third = worker(simulator, **settings)
    assert second.stop() == 0
    flow.wait_for_documents(300, deadline=90)
    flow.assert_ends(documents=imp_uids(300, "late"))
    for delay in ("1s", "3s"):
        wait_for(lambda: stack.kafka.lag(names.retry_group, names.retry_topic(delay)) == 0, 30, f"no lag on {delay}")
    flow.wait_until_done(third)
