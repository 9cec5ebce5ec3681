"""impcert-gateway speaks TLS itself: 1.2 and newer, with a certificate that is renewed under way, and no handshake,
slow or broken, holds it or others up."""

import os
import random
import shutil
import socket
import ssl
import time

import pytest

from support import run_program, wait_for
from support.gateway import JSON, PATH, Load
from support.tls import Authority

# The beginning of a ClientHello of 512 bytes.
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
BROKEN = 1000


class Pair:
    """The two files that a gateway is given, and what is put there."""

    def __init__(self, directory):
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"

    def put(self, pair):
        for source, target in zip(pair, (self.certificate, self.key)):
            aside = target.with_suffix(".new")
            shutil.copy(source, aside)
            aside.rename(target)
        return self

    @property
    def settings(self):
        return {"IMPCERT_TLS_CERT_FILE": self.certificate, "IMPCERT_TLS_KEY_FILE": self.key}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def pair(authority, tmp_path):
    return Pair(tmp_path).put(authority.certificate("first"))


@pytest.fixture
def ready(names, stack, gateway, pair, authority):
    """ready(...) starts a gateway with TLS and waits until it is ready."""
    stack.kafka.create_topic(names.topic, 3)

    def start(**settings):
        one = gateway(**pair.settings, **settings)
        one.tls = trusting(authority)
        return one.wait_until_ready()

    return start


def trusting(authority, version=None, ciphers=None):
    context = ssl.create_default_context(cafile=authority.file)
    if ciphers:
        context.set_ciphers(ciphers)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def shown(gateway):
    """The name in the certificate that a new connection is shown."""
    with gateway.connect() as connection:
        return dict(entry[0] for entry in connection.tls.getpeercert()["subject"])["commonName"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_everything_is_served_over_tls(ready, authority, names, version):
    one = ready()
    with one.connect(tls=trusting(authority, version)) as connection:
        assert connection.tls.version() == version.name.replace("_", ".")
        for number in range(100):
            assert connection.post(f"imp_{number}").status == 202
        assert connection.ask("POST", PATH, b"x" * 200_000, JSON).status == 413
    assert len(names.records()) == 100
    assert one.get("/healthz") == (200, "alive\n")
    assert 'impcert_gateway_responses_total{status="202"} 100' in one.get("/metrics")[1]
    assert one.wait_for_log("started")["scheme"] == "https"


def test_http_1_1_is_agreed_on_with_clients_that_offer_more(ready, authority):
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with ready().connect(tls=context) as connection:
        assert connection.tls.selected_alpn_protocol() == "http/1.1"
        assert connection.post("imp_1").status == 202


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused(ready, authority):
    one = ready()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        one.connect(tls=trusting(authority, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"))
    assert one.post("imp_1").status == 202


def test_plain_http_is_not_served(ready, names):
    one = ready()
    with one.connect(tls=False) as connection:
        connection.send(b"POST %s HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n" % PATH.encode())
        assert not connection._socket.recv(1000).startswith(b"HTTP")
    assert one.post("imp_1").status == 202
    assert len(names.records()) == 1


def broken_handshake(gateway, kind, stranger):
    host, port = gateway.address.split(":")
    with socket.create_connection((host, int(port)), 10) as raw:
        try:
            if kind == "stranger":
                stranger.wrap_socket(raw, server_hostname=host)
            elif kind != "nothing":
                raw.sendall({"garbage": random.randbytes(300), "half": HALF_A_HELLO, "http": b"GET / HTTP/1.1\r\n\r\n"}[kind])
                raw.settimeout(0.05)  # of garbage the gateway may wait for more
                if kind != "half":
                    raw.recv(1000)
        except OSError:
            pass  # as is to be expected


def test_broken_handshakes_leave_nothing_behind(ready, certificates):
    one = ready(IMPCERT_REQUEST_TIMEOUT="2s")
    stranger = ssl.create_default_context(cafile=certificates.ca)
    kinds = ("nothing", "garbage", "half", "http", "stranger")
    with one.connect() as kept:
        assert kept.post("imp_1").status == 202
        before = one.descriptors()
        for number in range(BROKEN):
            broken_handshake(one, kinds[number % len(kinds)], stranger)
        assert kept.post("imp_2").status == 202
        wait_for(lambda: one.descriptors() == before, 10, "the descriptors of broken handshakes to be closed")


def test_a_handshake_that_stands_still_is_cut_and_costs_no_cpu(ready):
    one = ready(IMPCERT_REQUEST_TIMEOUT="2s")
    host, port = one.address.split(":")
    stalled = [socket.create_connection((host, int(port)), 10) for _ in range(100)]
    for connection in stalled[:50]:
        connection.sendall(HALF_A_HELLO)
    wait_for(lambda: one.metric("impcert_gateway_connections") > 100, 10, "all to be accepted")
    cpu, started = one.cpu_seconds(), time.monotonic()
    assert all(connection.recv(100) == b"" for connection in stalled)
    lasted = time.monotonic() - started
    assert lasted < 4
    # A loop that spins would take all it gets of a core.
    assert one.cpu_seconds() - cpu < 0.25
    assert one.metric("impcert_gateway_slow_connections_total") == 100
    assert one.post("imp_1").status == 202


def test_a_handshake_that_drips_in_is_cut(ready):
    one = ready(IMPCERT_REQUEST_TIMEOUT="500ms", IMPCERT_IDLE_TIMEOUT="20s")
    with one.connect(tls=False) as connection:
        connection.send(HALF_A_HELLO)

        def drip():
            try:
                connection.send(b"\0")
            except ConnectionError:
                return True
            return connection.ended()

        wait_for(drip, 3, "the slow handshake to be cut", interval=0.1)


def test_a_request_after_a_long_silence_is_served(ready):
    """The time to shake hands is over then, that to be idle is not."""
    one = ready(IMPCERT_REQUEST_TIMEOUT="300ms", IMPCERT_IDLE_TIMEOUT="20s")
    with one.connect() as connection:
        with one.connect(tls=False) as silent:
            silent.wait_until_ended(3)
        assert connection.post("imp_1").status == 202


def test_a_renewed_certificate_is_shown_without_a_restart(ready, pair, authority, names):
    one = ready()
    assert shown(one) == "first"
    with one.connect() as kept, Load(one, threads=4) as load:
        load.wait_for_queued(100)
        pair.put(authority.certificate("second"))
        wait_for(lambda: shown(one) == "second", 10, "the renewed certificate")
        load.wait_for_queued(len(load.queued) + 100)
        assert kept.post("imp_kept").status == 202
        load.stop()
    assert not load.refused and not load.unanswered
    assert load.connections == 4, "no connection was dropped"
    assert {record.key.decode() for record in names.records()} == load.queued | {"imp_kept"}


def test_a_pair_that_is_no_good_leaves_the_one_before(ready, pair, authority):
    one = ready()
    certificate, key = authority.certificate("second")
    pair.put((certificate, pair.key))
    assert "is not the key of the certificate" in one.wait_for_log("the TLS certificate can't be read again, the one before stays")["error"]
    assert shown(one) == "first"
    pair.certificate.unlink()
    wait_for(lambda: len(one.log(level="warn", message="the TLS certificate can't be read again, the one before stays")) == 2, 10, "the next reading")
    assert shown(one) == "first"
    pair.put((certificate, key))
    wait_for(lambda: shown(one) == "second", 10, "the renewed certificate")


def test_a_certificate_is_renewed_as_kubernetes_does(names, stack, gateway, authority, tmp_path):
    """Files of a mounted secret are links into a directory that another takes the place of."""
    stack.kafka.create_topic(names.topic, 3)

    def version(name):
        (tmp_path / name).mkdir()
        Pair(tmp_path / name).put(authority.certificate(name))
        (tmp_path / "..new").symlink_to(name)
        (tmp_path / "..new").rename(tmp_path / "..data")

    version("first")
    mounted = Pair(tmp_path)
    for file in (mounted.certificate, mounted.key):
        file.symlink_to(os.path.join("..data", file.name))
    one = gateway(**mounted.settings)
    one.tls = trusting(authority)
    assert shown(one) == "first"
    version("second")
    wait_for(lambda: shown(one) == "second", 10, "the renewed certificate")


def test_an_expired_certificate_is_told(gateway, certificates, names):
    certificate, key = certificates.expired
    one = gateway(IMPCERT_TLS_CERT_FILE=certificate, IMPCERT_TLS_KEY_FILE=key)
    assert one.wait_for_log("the TLS certificate has expired", level="warn")["not_after"] == "2020-01-02T00:00:00Z"


def test_a_drain_waits_for_no_handshake(ready):
    one = ready()
    host, port = one.address.split(":")
    with socket.create_connection((host, int(port)), 10) as half, socket.create_connection((host, int(port)), 10):
        half.sendall(HALF_A_HELLO)
        wait_for(lambda: one.metric("impcert_gateway_connections") >= 2, 10, "both to be accepted")
        started = time.monotonic()
        assert one.stop() == 0
        assert time.monotonic() - started < 5


def test_a_drain_answers_what_came_over_tls(ready, names):
    one = ready()
    with Load(one, threads=4) as load:
        load.wait_for_queued(200)
        assert one.stop() == 0
        load.wait()
    assert not load.unanswered
    assert {record.key.decode() for record in names.records()} == load.queued


@pytest.mark.parametrize(
    "given, named, words",
    [
        ({"cert": "good.pem"}, "IMPCERT_TLS_KEY_FILE", "IMPCERT_TLS_CERT_FILE is; expected both or none"),
        ({"key": "good.key"}, "IMPCERT_TLS_CERT_FILE", "IMPCERT_TLS_KEY_FILE is; expected both or none"),
        ({"cert": "good.pem", "key": "other.key"}, "IMPCERT_TLS_KEY_FILE", "other.key is not the key of the certificate in"),
        ({"cert": "good.key", "key": "good.key"}, "IMPCERT_TLS_CERT_FILE", "good.key holds no certificate in PEM form"),
        ({"cert": "good.pem", "key": "good.pem"}, "IMPCERT_TLS_KEY_FILE", "good.pem holds no private key in PEM form"),
        ({"cert": "good.pem", "key": "nowhere.key"}, "IMPCERT_TLS_KEY_FILE", "nowhere.key"),
    ],
)
def test_faults_of_the_settings_name_the_file(authority, given, named, words):
    directory = authority.file.parent
    if not (directory / "good.pem").exists():
        authority.certificate("good")
        authority.certificate("other")
    names = {"cert": "IMPCERT_TLS_CERT_FILE", "key": "IMPCERT_TLS_KEY_FILE"}
    settings = {"IMPCERT_KAFKA_BROKERS": "127.0.0.1:1"} | {names[kind]: directory / file for kind, file in given.items()}
    done = run_program("impcert-gateway", "--check-config", settings=settings)
    assert done.returncode == 2
    assert f"  {named}: " in done.stderr and words in done.stderr
