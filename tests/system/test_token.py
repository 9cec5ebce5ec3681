"""The access token: one request, one more per expiry, no event failed by it, and never a hot loop."""

import json

import pytest

from support import wait_for
from support.flow import imp_uids
from support.simulator import KEY_PAIR


@pytest.mark.parametrize("workers", [1, 2])
def test_one_token_request_per_worker(flow, simulator, worker, workers):
    flow.publish(imp_uids(10_000))
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=workers))
    counters = simulator.counters()
    assert counters["certification_calls"] == 10_000
    assert counters["token_requests"] == workers
    assert counters["unauthorized"] == 0


def test_tokens_that_expire_cost_one_request_each(flow, simulator_factory, worker):
    simulator = simulator_factory("--token-life", "1s", "--latency", "30ms")
    wanted = imp_uids(2400)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=24))
    counters = simulator.counters()
    assert counters["tokens_issued"] >= 3, "the run was too short for any expiry"
    assert counters["token_requests"] == counters["tokens_issued"]
    assert counters["unauthorized"] <= 24 * counters["tokens_issued"], "at most what was in flight at each expiry"
    flow.assert_ends(documents=wanted)


def test_a_token_that_expires_under_way_fails_no_event(flow, simulator_factory, worker):
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(4000)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=100, IMPCERT_ATTEMPTS=1)
    for done in (500, 1500, 2500):
        flow.wait_for_documents(done)
        simulator.expire_token()
    flow.wait_until_done(one)
    counters = simulator.counters()
    assert counters["token_requests"] == counters["tokens_issued"] == 4
    assert 0 < counters["unauthorized"] <= 300
    assert max(simulator.calls().values()) <= 3
    flow.assert_ends(documents=wanted)


def test_a_fresh_token_refused_again_is_unavailable_and_no_loop(flow, simulator, worker):
    simulator.faults([{"kind": "expired_token", "match": "cursed_"}])
    cursed, fine = imp_uids(20, "cursed"), imp_uids(200)
    flow.publish([*cursed, *fine])
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_ATTEMPTS=2, IMPCERT_BACKOFF="20ms")
    flow.wait_until_done(one)
    flow.assert_ends(documents=fine, letters=cursed)
    for letter in flow.letters():
        assert (letter.reason, letter.status, letter.attempts) == ("unavailable", 401, 2), letter
    calls = simulator.calls()
    assert {calls[imp_uid] for imp_uid in cursed} == {4}, "each try is one call and one more with a new token"
    assert simulator.counters()["token_requests"] <= 10


def test_a_token_that_is_always_refused_is_no_loop(flow, simulator, worker):
    """The service gives the same token again and again, and takes it nowhere."""
    simulator.faults([{"kind": "expired_token"}])
    events = imp_uids(10)
    flow.publish(events)
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_ATTEMPTS=2, IMPCERT_BACKOFF="20ms", IMPCERT_IN_FLIGHT=5)
    wait_for(lambda: flow.letters() or simulator.counters()["token_requests"] > 20, 60, "a dead letter")
    counters = simulator.counters()
    assert counters["token_requests"] <= 10, "token requests are backed off"
    simulator.faults([])
    flow.wait_until_done(one)
    letters = flow.letters_by_imp_uid()
    assert {letter.reason for letter in letters.values()} == {"unavailable"}
    flow.assert_ends(documents=set(events) - set(letters), letters=letters)


def reasons(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"]


def test_with_a_refused_key_pair_nothing_is_consumed(flow, names, simulator, worker):
    simulator.settings(secret="another")
    wanted = imp_uids(100)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1)
    wait_for(lambda: list(reasons(one)) == ["iamport"], 30, "only the key pair to be missing")
    assert one.get("/readyz")[0] == 503
    assert "key pair was refused (HTTP 401)" in reasons(one)["iamport"]
    assert one.alive()
    asked = simulator.counters()["token_requests"]
    wait_for(lambda: simulator.counters()["token_requests"] > asked, 30, "another request")
    assert one.metric("impcert_events_consumed_total") == 0
    assert simulator.counters()["certification_calls"] == 0
    assert names.lag() == 100
    simulator.settings(secret=KEY_PAIR["IAMPORT_SECRET"])
    one.wait_until_ready()
    flow.wait_until_done(one)
    flow.assert_ends(documents=wanted)


def test_a_key_pair_refused_later_fails_no_event(flow, simulator_factory, worker):
    simulator = simulator_factory("--latency", "10ms")
    wanted = imp_uids(2000)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=20, IMPCERT_ATTEMPTS=1)
    flow.wait_for_documents(200)
    simulator.settings(key="another")
    simulator.expire_token()
    wait_for(lambda: "iamport" in reasons(one), 30, "readiness to name Iamport")
    simulator.settings(key=KEY_PAIR["IAMPORT_KEY"])
    flow.wait_until_done(one)
    flow.assert_ends(documents=wanted)
    assert one.ready()


def test_a_rotated_secret_file_is_taken_up(flow, simulator, worker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("old-secret\n")
    flow.publish(imp_uids(10))
    one = worker(simulator, IMPCERT_WORKERS=1, IAMPORT_SECRET=None, IAMPORT_SECRET_FILE=secret)
    wait_for(lambda: "iamport" in reasons(one), 30, "readiness to name Iamport")
    wait_for(lambda: simulator.counters()["token_requests"], 30, "a request with the old secret")
    rotated = tmp_path / "secret.new"
    rotated.write_text(KEY_PAIR["IAMPORT_SECRET"] + "\n")
    rotated.replace(secret)
    one.wait_until_ready()
    flow.wait_until_done(one)
    flow.assert_ends(documents=imp_uids(10))


@pytest.mark.parametrize(
    "fault, reason",
    [
        ({"kind": "status", "status": 503}, "HTTP 503"),
        ({"kind": "malformed"}, "code 0"),
        ({"kind": "hang"}, "timed out"),
        ({"kind": "huge"}, ""),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_without_a_token_readiness_says_why_and_it_recovers(flow, simulator, worker, fault, reason):
    simulator.faults([{"path": "token", **fault}])
    flow.publish(imp_uids(10))
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_TIMEOUT="500ms")
    told = wait_for(lambda: reasons(one).get("iamport", "").split("getToken: ")[1:], 30, "readiness to say why")
    assert reason in told[0]
    assert simulator.counters()["certification_calls"] == 0
    simulator.faults([])
    flow.wait_until_done(one)
    flow.assert_ends(documents=imp_uids(10))


@pytest.mark.parametrize("skew", ["1h", "-1h"])
def test_a_token_lives_by_the_clock_of_the_service(flow, simulator_factory, worker, skew):
    simulator = simulator_factory(f"--clock-skew={skew}")
    flow.publish(imp_uids(100))
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    assert simulator.counters()["token_requests"] == 1
    flow.assert_ends(documents=imp_uids(100))


def test_events_that_are_always_refused_do_not_hold_up_the_others(flow, simulator, worker):
    simulator.faults([{"kind": "expired_token", "match": "cursed_"}])
    cursed, fine = imp_uids(3, "cursed"), imp_uids(3000)
    flow.publish([*fine[:100], cursed[0], *fine[100:1500], cursed[1], *fine[1500:], cursed[2]])
    one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=64)
    flow.wait_until_done(one, deadline=60)
    flow.assert_ends(documents=fine, letters=cursed)
