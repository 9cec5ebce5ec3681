"""What fails for good is on the DLQ: as it came, with the reason, and never before it was given up."""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from support import wait_for
from support.flow import event, imp_uids

TRIES = 3
# curl repeats a call by itself where a kept connection breaks before any answer, at most so often.
CURL_REPEATS = 5
# By the beginning of the imp_uid: reason, HTTP status, tries.
OUTCOMES = {
    "missing": ("not_found", 404, 1),
    "unfinished": ("not_certified", 200, 1),
    "nokey": ("no_unique_key", 200, 1),
    "nullkey": ("no_unique_key", 200, 1),
    "absentkey": ("no_unique_key", 200, 1),
    "refused": ("refused", 400, 1),
    "code": ("refused", 200, 1),
    "error": ("unavailable", 500, TRIES),
    "unavailable": ("unavailable", 503, TRIES),
    "reset": ("unavailable", None, TRIES),
    "truncated": ("unavailable", None, TRIES),
    "html": ("bad_response", 200, TRIES),
    "empty": ("bad_response", 200, TRIES),
    "malformed": ("bad_response", 200, TRIES),
    "other": ("bad_response", 200, TRIES),
    "redirect": ("bad_response", 302, TRIES),
    "huge": ("bad_response", None, TRIES),
}
FACTS = {"reason", "error", "attempts", "first_failed_at", "failed_at", "origin", "topic"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
QUICK = {"IMPCERT_ATTEMPTS": TRIES, "IMPCERT_BACKOFF": "20ms", "IMPCERT_WORKERS": 1}


@pytest.mark.parametrize("flow", [1], indirect=True)
def test_every_outcome_has_its_reason(flow, names, simulator, worker):
    failing = [f"{prefix}_{number}" for prefix in OUTCOMES for number in range(2)]
    started = datetime.now(timezone.utc)
    one = worker(simulator, **QUICK)
    good = publish_by_and_by(flow, one, failing)
    assert one.metric("impcert_circuit_openings_total") == 0, "that many failures were an outage"
    flow.assert_ends(documents=good, letters=failing)
    calls, letters = simulator.calls(), flow.letters_by_imp_uid()
    for imp_uid in failing:
        letter = letters[imp_uid]
        reason, status, tries = OUTCOMES[imp_uid.split("_")[0]]
        assert (letter.reason, letter.attempts) == (reason, tries), letter
        assert status is None or letter.status == status, letter
        repeats = CURL_REPEATS if imp_uid.startswith("reset_") else 0
        assert tries <= calls[imp_uid] <= tries * (1 + repeats), letter
        assert_facts(letter, names, started)
    counted = {name: value for name, value in one.metrics().items() if "dead_lettered_total" in name and value}
    assert counted == {
        f'impcert_events_dead_lettered_total{{reason="{reason}"}}': count
        for reason, count in tally(letter.reason for letter in letters.values()).items()
    }


def publish_by_and_by(flow, worker, failing, at_once=6):
    """Each few behind some good ones, which are returned: so their tries are no row that opens the circuit."""
    good = []
    for start in range(0, len(failing), at_once):
        fine = imp_uids(20, f"good{start}")
        flow.publish(fine + failing[start : start + at_once])
        flow.wait_until_done(worker)
        good += fine
    return good


def tally(values):
    values = list(values)
    return {value: values.count(value) for value in values}


def assert_facts(letter, names, started):
    assert set(letter.facts) - {"http_status"} == FACTS
    assert letter.facts["topic"] == names.topic
    assert letter.facts["error"]
    for name in ("first_failed_at", "failed_at"):
        assert RFC3339.fullmatch(letter.facts[name]), letter
    first, last = letter.time("first_failed_at"), letter.time("failed_at")
    assert started - timedelta(milliseconds=1) <= first <= last <= datetime.now(timezone.utc), letter


def test_a_dead_letter_is_the_record_as_it_came(flow, names, simulator, worker):
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    headers = [("z", b"1"), trace, ("a", b""), ("z", b"2"), ("binary", bytes(range(256))), ("none", None)]
    values = [
        b'{"imp_uid": "refused_1"}',
        b'{ "note" : "\\u0041\\/ \xea\xb0\x80", "imp_uid":"refused_2","n":1e308 }\n',
        b'{"imp_uid": "refused_3", "padding": "%s"}' % (b" " * 900_000),
    ]
    flow.publish([(b"any key", value, headers) for value in values] + [(None, values[0])])
    flow.wait_until_done(worker(simulator, **QUICK))
    sources = {(names.topic, record.partition, record.offset): record for record in names.records()}
    letters = flow.letters()
    assert len(letters) == 4
    for letter in letters:
        source = sources[letter.origin]
        assert letter.value == source.value, f"the value of {letter}"
        assert letter.headers == source.headers, f"the headers of {letter}"
        assert letter.key == json.loads(source.value)["imp_uid"].encode()


def test_own_headers_of_an_earlier_life_are_replaced(flow, simulator, worker):
    headers = [("impcert.reason", b"old"), ("shop", b"1"), ("impcert.attempts", b"99"), ("impcert.x", b"old")]
    flow.publish([(*event("refused_1"), headers)])
    flow.wait_until_done(worker(simulator, **QUICK))
    [letter] = flow.letters()
    assert (letter.reason, letter.attempts) == ("refused", 1)
    assert letter.headers == [("shop", b"1")]
    assert "x" not in letter.facts


def test_the_error_says_what_is_wrong_with_an_event(flow, names, simulator, worker):
    """An empty value and a null one are two things, though both are empty on the DLQ, where a null has its own
    meaning."""
    errors = {None: "null", b"": "empty", b"\xff": "UTF-8", b"{}": "missing", b"[]": "array", b"{": "JSON"}
    flow.publish([(None, value) for value in errors])
    flow.wait_until_done(worker(simulator, **QUICK))
    sources = {(names.topic, record.partition, record.offset): record for record in names.records()}
    letters = flow.letters()
    assert {sources[letter.origin].value for letter in letters} == set(errors)
    for letter in letters:
        value = sources[letter.origin].value
        assert letter.value == (value or b"")
        assert letter.reason == "invalid_event"
        assert errors[value] in letter.facts["error"], letter


def test_while_the_dlq_is_gone_events_wait(flow, names, stack, simulator, worker, properties):
    """Readiness names it; when it is there again everything goes on."""
    quick = properties("topic.metadata.propagation.max.ms=100", "topic.metadata.refresh.interval.ms=500")
    one = worker(simulator, **QUICK, **quick).wait_until_ready()
    stack.kafka.delete_topics([names.dlq])
    wait_for(lambda: names.dlq not in stack.kafka.topics(), 30, "the DLQ to be gone")
    flow.publish(["refused_1", *imp_uids(50)])
    wait_for(lambda: names.dlq in reasons(one).get("forwarding", ""), 60, "readiness to name the DLQ")
    assert one.alive()
    wait_for(lambda: set(names.documents()) == set(imp_uids(50)), 30, "the other events to be stored")
    assert names.lag() > 0
    if names.dlq not in stack.kafka.topics():
        stack.kafka.create_topic(names.dlq, 1)
    wait_for(lambda: names.lag() == 0, 30, "a group lag of 0")
    one.wait_until_ready()
    assert [record.key for record in names.dead_letters()] == [b"refused_1"]


def reasons(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"]


def test_the_dlq_may_have_any_name(flow, names, stack, simulator, worker):
    other = f"{names.topic}-graveyard"
    stack.kafka.create_topic(other, 1)
    flow.publish(["refused_1"])
    flow.wait_until_done(worker(simulator, IMPCERT_DLQ_TOPIC=other, **QUICK))
    assert flow.letters() == []
    assert [record.key for record in stack.kafka.records(other)] == [b"refused_1"]
