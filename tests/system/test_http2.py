"""Iamport behind TLS with HTTP/2: many calls on few connections, and connections that end as a service wills it."""

import signal
import socket
import socketserver
import threading
from contextlib import suppress

import pytest

from stack import wait_for
from support.flow import assert_documents, imp_uids
from support.proxy import Proxy

IN_FLIGHT = 200
ONE_WORKER = {"IMPCERT_WORKERS": 1, "IMPCERT_IN_FLIGHT": IN_FLIGHT}
# Calls that were on their way when a connection ended; none of them was answered.
FEW = 20


@pytest.fixture
def proxied(keeper, simulator, tmp_path):
    """with proxied(keepalive_requests=20) as proxy: ... has nginx before the simulator, with its log of requests."""
    return lambda **options: Proxy(tmp_path, simulator.url, keeper.environment(), log=True, **options)


def behind(proxy):
    return {"IAMPORT_URL": proxy.url, "IMPCERT_CA_FILE": proxy.ca}


def connections(proxy):
    return {request.connection for request in proxy.requests()}


def protocols(proxy):
    return {request.protocol for request in proxy.requests()}


def assert_called_about_once(simulator, wanted):
    calls = simulator.calls()
    assert set(calls) == set(wanted)
    assert sum(calls.values()) <= len(wanted) + FEW, f"{sum(calls.values()) - len(wanted)} calls more than events"


def test_many_calls_share_few_connections(flow, names, simulator, worker, proxied):
    wanted = imp_uids(3000)
    simulator.settings(latency="50ms")
    flow.publish(wanted)
    with proxied() as proxy:
        one = worker(**ONE_WORKER, **behind(proxy))
        flow.wait_until_done(one)
        assert one.stop() == 0
        assert protocols(proxy) == {"HTTP/2.0"}
        assert len(connections(proxy)) <= IN_FLIGHT / 100 + 1
    assert_documents(simulator, names.documents(), wanted)
    assert set(simulator.calls().values()) == {1}


def test_connections_that_the_service_ends_cost_nothing(flow, names, simulator, worker, proxied):
    """nginx says goodbye (GOAWAY) after so many requests, and does not read what else was sent to it meanwhile."""
    wanted = imp_uids(2000)
    simulator.settings(latency="50ms")
    flow.publish(wanted)
    with proxied(keepalive_requests=20) as proxy:
        one = worker(IMPCERT_ATTEMPTS=1, **ONE_WORKER, **behind(proxy))
        flow.wait_until_done(one)
        assert one.metric("impcert_failed_tries_total") == 0
        assert one.metric("impcert_circuit_openings_total") == 0
        assert one.stop() == 0
        assert len(connections(proxy)) >= len(wanted) / 20
    flow.assert_ends(documents=wanted)
    assert_called_about_once(simulator, wanted)


def test_a_service_without_http2_is_spoken_to_in_http1(flow, names, simulator, worker, proxied):
    wanted = imp_uids(1000)
    simulator.settings(latency="50ms")
    flow.publish(wanted)
    with proxied(http2=False) as proxy:
        one = worker(**ONE_WORKER, **behind(proxy))
        flow.wait_until_done(one)
        assert one.stop() == 0
        assert protocols(proxy) == {"HTTP/1.1"}
        assert len(connections(proxy)) <= IN_FLIGHT + 1
    assert_documents(simulator, names.documents(), wanted)
    assert set(simulator.calls().values()) == {1}


@pytest.mark.parametrize(
    "http2, goodbye",
    [(True, signal.SIGTERM), (True, signal.SIGQUIT), (False, signal.SIGTERM)],
    ids=["HTTP/2 at once", "HTTP/2 in order", "HTTP/1.1 at once"],
)
def test_a_service_that_restarts_loses_nothing(flow, names, simulator, worker, proxied, http2, goodbye):
    wanted = imp_uids(3000)
    simulator.settings(latency="100ms")
    flow.publish(wanted)
    with proxied(http2=http2) as proxy:
        one = worker(**ONE_WORKER, **behind(proxy))
        for share in (1, 2, 3):
            flow.wait_for_documents(share * len(wanted) / 5)
            proxy.stop(goodbye)
            proxy.start()
        flow.wait_until_done(one)
        assert one.stop() == 0
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []


@pytest.mark.parametrize("http2", [True, False], ids=["HTTP/2", "HTTP/1.1"])
def test_a_service_that_hangs_for_a_while_loses_nothing(flow, names, simulator, worker, proxied, http2):
    wanted = imp_uids(3000)
    simulator.settings(latency="100ms")
    flow.publish(wanted)
    with proxied(http2=http2) as proxy:
        one = worker(IMPCERT_TIMEOUT="1s", **ONE_WORKER, **behind(proxy))
        flow.wait_for_documents(100)
        simulator.faults([{"kind": "hang"}])
        wait_for(lambda: one.metric("impcert_circuit_open") == 1, 30, "the circuit to open")
        simulator.faults([])
        flow.wait_until_done(one)
        assert one.stop() == 0
    assert_documents(simulator, names.documents(), wanted)


# ---- proxies of the environment ----


class Tunnel(socketserver.StreamRequestHandler):
    """One CONNECT, and what goes through it."""

    def handle(self):
        method, target, _ = self.rfile.readline().decode().split(" ", 2)
        while self.rfile.readline().strip():
            pass
        self.server.targets.append((method, target))
        with socket.create_connection(target.rsplit(":", 1)) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pass_on, args=(service, self.connection))
            back.start()
            self._pass_on(self.connection, service)
            back.join()

    @staticmethod
    def _pass_on(source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Tunnels(socketserver.ThreadingTCPServer):
    """A proxy that knows CONNECT; `targets` are what it was asked for, as (method, host:port)."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.targets = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def tunnels():
    with Tunnels() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


NO_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"))


def test_a_proxy_for_https_is_gone_through(flow, names, simulator, worker, proxied, tunnels):
    wanted = imp_uids(1000)
    flow.publish(wanted)
    with proxied() as proxy:
        one = worker(**ONE_WORKER, **behind(proxy), **NO_PROXY | {"https_proxy": tunnels.url})
        flow.wait_until_done(one)
        assert one.stop() == 0
        assert set(tunnels.targets) == {("CONNECT", proxy.url.removeprefix("https://"))}
        assert len(tunnels.targets) >= len(connections(proxy))
        assert protocols(proxy) == {"HTTP/2.0"}
    assert_documents(simulator, names.documents(), wanted)


def test_a_proxy_for_http_is_gone_through(flow, names, simulator, worker, tunnels):
    wanted = imp_uids(1000)
    flow.publish(wanted)
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_IN_FLIGHT": 20}
    one = worker(simulator, **settings, **NO_PROXY | {"http_proxy": tunnels.url})
    flow.wait_until_done(one)
    assert one.stop() == 0
    assert set(tunnels.targets) == {("CONNECT", simulator.url.removeprefix("http://"))}
    assert len(tunnels.targets) <= 21
    assert_documents(simulator, names.documents(), wanted)


def test_no_proxy_is_respected(flow, names, simulator, worker, proxied, tunnels):
    wanted = imp_uids(200)
    flow.publish(wanted)
    with proxied() as proxy:
        settings = NO_PROXY | {"https_proxy": tunnels.url, "no_proxy": "example.com,127.0.0.1"}
        one = worker(**ONE_WORKER, **behind(proxy), **settings)
        flow.wait_until_done(one)
        assert one.stop() == 0
        assert tunnels.targets == []
    assert_documents(simulator, names.documents(), wanted)
