"""Secrets are nowhere but in the process's own memory, go from there when they are replaced, and are taken up anew."""

import os
import signal
from pathlib import Path

import pytest

from support import SANITIZED, wait_for
from support.flow import imp_uids
from support.memory import dump_of, found_in_memory
from support.proxy import Proxy
from support.simulator import KEY_PAIR
from test_privacy import personal_data, token_of

OLD = {"key": "old-key-of-the-shop-1", "secret": "old-secret-of-the-shop-1"}
NEW = {"key": "new-key-of-the-shop-2", "secret": "new-secret-of-the-shop-2"}
SETTINGS = {"IMPCERT_WORKERS": 1, "IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "20ms"}

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")


@pytest.fixture
def secret_file(tmp_path):
    """secret_file("key", text) writes it as Kubernetes does, by a rename, and gives its path."""

    def write(name, text):
        path, fresh = tmp_path / name, tmp_path / f"{name}.new"
        fresh.write_text(text)
        fresh.rename(path)
        return path

    return write


@pytest.fixture
def proxy(tmp_path, simulator, keeper):
    with Proxy(tmp_path, simulator.url, keeper.environment()) as proxy:
        yield proxy


def rotate(simulator, secret_file, pair):
    simulator.settings(**pair)
    return {
        "IAMPORT_KEY_FILE": secret_file("key", pair["key"]),
        "IAMPORT_SECRET_FILE": secret_file("secret", pair["secret"]),
        "IAMPORT_KEY": None,
        "IAMPORT_SECRET": None,
    }


def token_with(simulator, pair):
    known = dict(KEY_PAIR)
    KEY_PAIR.update(IAMPORT_KEY=pair["key"], IAMPORT_SECRET=pair["secret"])
    try:
        return token_of(simulator)
    finally:
        KEY_PAIR.update(known)


def test_secrets_of_the_environment_are_taken_out_of_it(flow, simulator, worker):
    flow.publish(imp_uids(10))
    one = worker(simulator, **SETTINGS)
    flow.wait_until_done(one)
    environ = Path(f"/proc/{one.pid}/environ").read_bytes().decode(errors="replace")
    assert "IMPCERT_TOPIC=" in environ, "it can't be read: the test shows nothing"
    for secret in KEY_PAIR.values():
        assert secret not in environ
    assert not [secret for secret in KEY_PAIR.values() if secret in Path(f"/proc/{one.pid}/cmdline").read_text()]


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2 with TLS"])
def test_a_dropped_secret_is_nowhere_in_memory(flow, simulator, worker, secret_file, proxy, http2):
    settings = rotate(simulator, secret_file, OLD)
    if http2:
        settings |= {"IAMPORT_URL": proxy.url, "IMPCERT_CA_FILE": proxy.ca}
    flow.publish([*imp_uids(200), "missing_1", "error_1"])
    one = worker(simulator, **(SETTINGS | settings))
    flow.wait_until_done(one)
    old_token = token_with(simulator, OLD)
    present = found_in_memory(one.pid, [old_token])
    assert present, "the token in use is not found: the test shows nothing"
    rotate(simulator, secret_file, NEW)
    simulator.expire_token()
    flow.publish(imp_uids(300, "after"))
    flow.wait_until_done(one)
    new_token = token_with(simulator, NEW)
    assert new_token != old_token
    wait_for(
        lambda: not found_in_memory(one.pid, [*OLD.values(), old_token]),
        10,
        f"no dropped secret in memory, but {found_in_memory(one.pid, [*OLD.values(), old_token])}",
    )


def test_a_dump_of_a_running_worker_holds_no_secret(flow, simulator, worker, names, tmp_path):
    wanted = imp_uids(500)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_STORE_FIELDS="name,phone,birthday", **SETTINGS)
    flow.wait_until_done(one)
    secrets = {*KEY_PAIR.values(), token_of(simulator)} | personal_data(simulator, wanted)
    assert found_in_memory(one.pid, [token_of(simulator)]), "the token in use is not found: the test shows nothing"
    core = dump_of(one.pid, tmp_path)
    assert core[:4] == b"\x7fELF"
    leaked = [secret for secret in secrets if secret.encode() in core]
    assert not leaked, leaked[:3]


def test_the_kernel_dumps_nothing(flow, simulator, worker):
    """By its own word: not dumpable, and what a dump would hold is left out."""
    one = worker(simulator, **SETTINGS).wait_until_ready()
    assert int(Path(f"/proc/{one.pid}/coredump_filter").read_text(), 16) == 0x10
    assert os.stat(f"/proc/{one.pid}/mem").st_uid == 0


def test_a_changed_uri_is_taken_up(flow, names, stack, simulator, worker, secret_file):
    """What a driver reads at the start is taken up by starting again, in order, in the same process."""
    settings = {"MONGODB_URI": None, "MONGODB_URI_FILE": secret_file("uri", stack.mongodb.uri)}
    flow.publish(imp_uids(100))
    one = worker(simulator, **(SETTINGS | settings))
    flow.wait_until_done(one)
    secret_file("uri", "postgres://nonsense")
    warning = one.wait_for_log("settings have changed and are wrong: those before stay")
    assert "MONGODB_URI" in warning["error"] and "nonsense" not in warning["error"]
    separator = "&" if "?" in stack.mongodb.uri else "?"
    secret_file("uri", f"{stack.mongodb.uri}{separator}appName=rotated")
    one.wait_for_log("settings have changed: starting again")
    wait_for(lambda: len(one.log(message="started")) == 2, 60, "the second start")
    assert one.log(message="drained")[0]["left_for_redelivery"] == 0
    flow.publish(imp_uids(100, "after"))
    flow.wait_for_documents(200)
    flow.assert_ends(documents=imp_uids(100) + imp_uids(100, "after"))
    assert one.exit_code is None


def test_a_stop_while_starting_again_is_a_stop(flow, stack, simulator, worker, secret_file):
    flow.publish(["hang_1"])
    settings = {"MONGODB_URI": None, "MONGODB_URI_FILE": secret_file("uri", stack.mongodb.uri)}
    settings |= {"IMPCERT_TIMEOUT": "60s", "IMPCERT_DRAIN_TIMEOUT": "10s"}
    one = worker(simulator, **(SETTINGS | settings))
    wait_for(lambda: one.metric("impcert_jobs_in_flight") == 1, 30, "an event in flight")
    secret_file("uri", f"{stack.mongodb.uri}{'&' if '?' in stack.mongodb.uri else '?'}appName=rotated")
    one.wait_for_log("draining", by="changed settings", deadline=40)
    one.signal(signal.SIGTERM)
    one.wait_for_log("stopping for good", by="SIGTERM")
    assert one.wait(40) == 0
    assert len(one.log(message="started")) == 1


def test_a_gateway_takes_up_changed_properties(names, stack, gateway, secret_file):
    stack.kafka.create_topic(names.topic, 1)
    path = secret_file("kafka.properties", "linger.ms=1\n")
    front = gateway(IMPCERT_KAFKA_CONFIG=path).wait_until_ready()
    assert front.post("imp_1").status == 202
    port = front.address
    secret_file("kafka.properties", "linger.ms=2\n")
    wait_for(lambda: len(front.log(message="started")) == 2, 60, "the second start")
    assert port  # with port 0 it gets another one
    front._address = front.log(message="started")[1]["address"]
    front.wait_until_ready()
    assert front.post("imp_2").status == 202
    assert {record.key for record in names.records()} == {b"imp_1", b"imp_2"}


TOKENS = ("first-token-of-the-shop-1", "second-token-of-the-shop")


def test_a_gateway_drops_tokens_and_dumps_none(names, stack, gateway, secret_file, tmp_path):
    stack.kafka.create_topic(names.topic, 1)
    path = secret_file("tokens", TOKENS[0])
    front = gateway(IMPCERT_BEARER_TOKENS_FILE=path).wait_until_ready()
    for number in range(50):
        assert front.post(f"imp_{number}", {"Authorization": f"Bearer {TOKENS[0]}"}).status == 202
    secret_file("tokens", TOKENS[1])
    wait_for(
        lambda: front.post("imp_1", {"Authorization": f"Bearer {TOKENS[1]}"}).status == 202, 20, "the second token to be taken"
    )
    assert front.post("imp_1", {"Authorization": f"Bearer {TOKENS[0]}"}).status == 401
    core = dump_of(front.pid, tmp_path)
    assert not [token for token in TOKENS if token.encode() in core]
    said = "\n".join(front.stderr) + front.get("/metrics")[1] + front.get("/readyz")[1]
    assert not [token for token in TOKENS if token in said]


def test_a_password_that_kafka_refuses_is_never_shown(names, stack, gateway, publish, replay, secret_file):
    """Whatever librdkafka logs of it, with all that it can be asked to say."""
    properties = (
        "security.protocol=sasl_plaintext",
        "sasl.mechanism=PLAIN",
        "sasl.username=impcert",
        "debug=all",
        "message.timeout.ms=3000",
    )
    path = secret_file("kafka.properties", "\n".join([*properties, "sasl.password=planted-password", ""]))
    settings = {"IMPCERT_KAFKA_CONFIG": path}
    front = gateway(**settings, IMPCERT_LOG_LEVEL="debug", IMPCERT_DRAIN_TIMEOUT="1s")
    wait_for(lambda: "not known yet" not in front.get("/readyz")[1], 30, "readiness to name Kafka")
    assert front.post("imp_1").status == 503
    pages = [front.get(path)[1] for path in ("/readyz", "/metrics")]
    commands = [
        publish("imp_1", **settings, IMPCERT_LOG_LEVEL="debug"),
        publish("--print-config", **settings),
        replay("list", **settings, IMPCERT_LOG_LEVEL="debug"),
    ]
    said = "\n".join(front.stderr + pages + [done.stdout + done.stderr for done in commands])
    assert [done.returncode for done in commands] == [1, 0, 1], said
    assert len(said) > 2000, "nothing was said: the test shows nothing"
    assert "planted-password" not in said
