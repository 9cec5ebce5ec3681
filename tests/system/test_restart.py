"""kill -9 of workers and of the broker under load: every event ends once, and nothing needs a hand."""

import base64
import json

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids


def test_killed_workers_lose_nothing(flow, names, simulator_factory, worker, short_session, report):
    simulator = simulator_factory("--latency", "20ms")
    wanted, refused, flaky = imp_uids(7900), imp_uids(50, "refused"), imp_uids(50, "flaky2")
    events = wanted + refused + flaky
    flow.publish(sorted(events, key=lambda imp_uid: imp_uid[-4:]))
    settings = {"IMPCERT_IN_FLIGHT": 64, "IMPCERT_WORKERS": 2, "IMPCERT_BACKOFF": "50ms"}
    kills = 2
    for kill in range(kills):
        one = worker(simulator, **settings, **short_session)
        flow.wait_for_documents(2000 * (kill + 1))
        one.kill()
    last = worker(simulator, **settings, **short_session)
    flow.wait_until_done(last)
    assert last.stop() == 0
    assert_documents(simulator, names.documents(), wanted + flaky)
    letters = flow.letters()
    assert {letter.key.decode() for letter in letters} == set(refused)
    assert {letter.reason for letter in letters} == {"refused"}
    calls = simulator.calls()
    repeated = sum(calls[imp_uid] - 1 for imp_uid in wanted)
    # What was in flight, and at most what two workers can do in the second since their last commits.
    bound = kills * 2 * (64 + 64 * 50)
    report(f"{repeated} calls repeated after {kills} kills")
    assert repeated <= bound


def finished_beyond(metadata):
    """How many offsets a commit's metadata tells to be finished, where it has run lengths."""
    if not metadata.startswith("1r:"):
        return 0
    text = metadata.removeprefix("1r:")
    runs, run, shift = [], 0, 0
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return 0
    for byte in decoded[4:]:
        run |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            runs.append(run)
            run = shift = 0
    return sum(runs[1::2])


@pytest.mark.parametrize("flow", [1], indirect=True)
def test_what_was_finished_behind_a_slow_event_is_not_repeated(
    flow, names, stack, simulator, worker, short_session, report
):
    simulator.faults([{"kind": "latency", "match": "slow", "latency": "30s"}])
    wanted = imp_uids(20_000)
    flow.publish(["slow_1", *wanted])
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_TIMEOUT": "60s"} | short_session
    one = worker(simulator, **settings)
    wait_for(
        lambda: finished_beyond(stack.kafka.metadata(names.group, names.topic)[0]) == 20_000,
        60,
        "a commit that tells of 20,000 finished events",
    )
    assert stack.kafka.committed(names.group, names.topic) == {0: 0}
    one.kill()
    simulator.faults([])
    last = worker(simulator, **settings)
    flow.wait_until_done(last)
    flow.assert_ends(documents=["slow_1", *wanted])
    calls = simulator.calls()
    repeated = sum(calls[imp_uid] - 1 for imp_uid in wanted)
    report(f"{repeated} of 20,000 finished events repeated after a kill")
    assert repeated < 200


def test_a_killed_broker_loses_nothing(flow, names, stack, simulator_factory, worker, report):
    simulator = simulator_factory("--latency", "20ms")
    wanted, refused = imp_uids(9800), imp_uids(200, "refused")
    flow.publish(sorted(wanted + refused, key=lambda imp_uid: imp_uid[-4:]))
    one = worker(simulator, IMPCERT_IN_FLIGHT=64, IMPCERT_WORKERS=2)
    flow.wait_for_documents(2000)
    stack.kafka.kill()
    try:
        wait_for(lambda: "kafka" in json.loads(one.get("/readyz")[1])["reasons"], 30, "readiness to name Kafka")
        assert one.alive()
    finally:
        stack.kafka.start()
    flow.wait_until_done(one, deadline=90)
    wait_for(one.ready, 30, "readiness after the broker is back")
    assert_documents(simulator, names.documents(), wanted)
    letters = flow.letters()
    assert {letter.key.decode() for letter in letters} == set(refused), "only what was refused is a dead letter"
    assert {letter.reason for letter in letters} == {"refused"}
    report(f"{simulator.counters()['certification_calls'] - 10_000} calls repeated after a kill of the broker")


def test_a_restarted_broker_is_met_again(flow, names, stack, simulator, worker):
    """An orderly restart while the worker has nothing to do: events come through afterwards."""
    one = worker(simulator, IMPCERT_WORKERS=1).wait_until_ready()
    stack.kafka.restart()
    wanted = imp_uids(100)
    flow.publish([*wanted, "refused_1"])
    flow.wait_until_done(one)
    one.wait_until_ready()
    flow.assert_ends(documents=wanted, letters=["refused_1"])


@pytest.mark.parametrize("flow", [1], indirect=True)
def test_a_topic_made_again_is_read_from_its_start(flow, names, stack, simulator, worker):
    flow.publish(imp_uids(300))
    one = worker(simulator, IMPCERT_WORKERS=1)
    flow.wait_until_done(one)
    stack.kafka.delete_topics([names.topic])
    wait_for(lambda: names.topic not in stack.kafka.topics(), 30, "the topic to be gone")
    stack.kafka.create_topic(names.topic, 1)
    again = imp_uids(200, "again")
    flow.publish(again)
    flow.wait_for_documents(500)
    assert set(again) <= set(names.documents())
    flow.wait_until_done(one)
