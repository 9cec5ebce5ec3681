"""A key pair that Iamport refuses stops the worker from consuming, quietly, until a right one is there."""

import json

import pytest

from support import wait_for
from support.flow import imp_uids
from support.simulator import KEY_PAIR

WORKERS = 2


class SecretFile:
    """A file for IAMPORT_SECRET_FILE, replaced as a whole, as Kubernetes does."""

    def __init__(self, directory):
        self._path = directory / "secret"
        self.settings = {"IAMPORT_SECRET": None, "IAMPORT_SECRET_FILE": self._path}

    def write(self, text):
        fresh = self._path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._path)

    def remove(self):
        self._path.unlink()


@pytest.fixture
def secret_file(tmp_path):
    file = SecretFile(tmp_path)
    file.write(KEY_PAIR["IAMPORT_SECRET"] + "\n")
    return file


def reason(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"].get("iamport", "")


def wait_for_refusal(worker):
    wait_for(lambda: "key pair was refused" in reason(worker), 30, "readiness to name the key pair")


def test_a_refused_key_pair_is_a_line_a_minute(flow, names, simulator, worker):
    """However often it is tried, by however many workers."""
    simulator.settings(secret="another")
    flow.publish(imp_uids(100))
    one = worker(simulator, IMPCERT_WORKERS=WORKERS)
    wait_for(lambda: simulator.counters()["token_requests"] >= 8, 60, "8 token requests")
    wait_for_refusal(one)
    assert one.get("/readyz")[0] == 503
    assert one.alive()
    warnings = [line for line in one.log(level="warn") if line.get("part") == "iamport"]
    assert len(warnings) == 1
    assert "key pair was refused" in warnings[0]["reason"]
    assert "IAMPORT_KEY" in warnings[0]["reason"]
    assert one.metric("impcert_token_failures_total") >= 7
    assert one.metric("impcert_events_consumed_total") == 0
    assert names.lag() == 100


def test_a_pair_that_is_revoked_and_renewed_costs_no_event(
    flow, names, stack, simulator_factory, worker, secret_file
):
    """What is in flight waits, what is on Kafka stays there, and a new file is all that it takes."""
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(6000)
    settings = {"IMPCERT_WORKERS": WORKERS, "IMPCERT_IN_FLIGHT": 20, "IMPCERT_ATTEMPTS": 1, "IMPCERT_RETRY_DELAYS": "30s"}
    one = worker(simulator, **settings, **secret_file.settings)
    wait_for(lambda: names.shares(names.group) == [6 // WORKERS] * WORKERS, 30, "each worker to have its share")
    flow.publish(wanted)
    flow.wait_for_documents(500)
    simulator.settings(secret="renewed")
    simulator.expire_token()
    wait_for_refusal(one)
    wait_for(lambda: simulator.counters()["in_flight"] == 0, 30, "calls to stop")
    consumed, asked = one.metric("impcert_events_consumed_total"), simulator.counters()["token_requests"]
    wait_for(lambda: simulator.counters()["token_requests"] >= asked + 2, 60, "further token requests")
    assert one.metric("impcert_events_consumed_total") == consumed < len(wanted)
    assert one.metric("impcert_jobs_in_flight") <= WORKERS * 20
    secret_file.write("renewed\n")
    flow.wait_until_done(one, deadline=90)
    one.wait_until_ready()
    flow.assert_ends(documents=wanted)
    assert stack.kafka.records(names.retry_topic("30s")) == []


def test_a_file_that_is_away_for_a_moment_is_waited_for(flow, simulator, worker, secret_file):
    one = worker(simulator, IMPCERT_WORKERS=1, **secret_file.settings).wait_until_ready()
    secret_file.remove()
    simulator.expire_token()
    flow.publish(imp_uids(10))
    wait_for(lambda: str(secret_file.settings["IAMPORT_SECRET_FILE"]) in reason(one), 30, "readiness to name the file")
    assert one.alive()
    secret_file.write(KEY_PAIR["IAMPORT_SECRET"])
    flow.wait_until_done(one)
    one.wait_until_ready()
    flow.assert_ends(documents=imp_uids(10))
