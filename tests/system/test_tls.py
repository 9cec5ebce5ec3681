"""Iamport over TLS: its certificate and its name are checked, against the authorities of IMPCERT_CA_FILE where set."""

import json
import re

import pytest

from support import wait_for
from support.flow import imp_uids
from support.proxy import Proxy
from support.tls import Authority, Relay, Switch


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def reason(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"].get("iamport", "")


def address(proxy):
    return proxy.url.removeprefix("https://")


def test_a_named_authority_is_trusted(flow, simulator, worker, authority):
    wanted = imp_uids(500)
    flow.publish(wanted)
    with Relay(authority.certificate("server"), simulator.url) as relay:
        one = worker(simulator, IAMPORT_URL=relay.url, IMPCERT_CA_FILE=authority.file)
        flow.wait_until_done(one)
        one.stop()
    flow.assert_ends(documents=wanted)


# What nginx does at that port, and what is said of it.
FAULTS = {
    "unknown authority": ({"certificate": "untrusted"}, "certificate"),
    "wrong name": ({"certificate": "misnamed"}, "certificate"),
    "expired": ({"certificate": "expired"}, "certificate"),
    "TLS to a plain port": ({"tls": False}, "wrong version number"),
    "no TLS to a TLS port": ({}, "HTTP 400"),
    "TLS 1.1": ({"versions": "TLSv1.1"}, "version"),
}


# Met under load below.
LONG = ("expired",)


@pytest.mark.parametrize("fault", [pytest.param(f, marks=pytest.mark.long if f in LONG else ()) for f in FAULTS])
def test_a_fault_is_named_costs_nothing_and_gets_no_secret(fault, flow, simulator, worker, certificates, keeper, tmp_path):
    bad, words = FAULTS[fault]
    good = {"certificate": certificates.server}
    bad = good | bad
    if isinstance(bad["certificate"], str):
        bad["certificate"] = getattr(certificates, bad["certificate"])
    flow.publish(imp_uids(20))
    with Proxy(tmp_path, simulator.url, keeper.environment(), **bad) as proxy:
        url = proxy.url.replace("https:", "http:") if fault == "no TLS to a TLS port" else proxy.url
        one = worker(IAMPORT_URL=url, IMPCERT_CA_FILE=certificates.ca)
        wait_for(lambda: words in reason(one), 30, f"readiness to say {words!r} of Iamport")
        assert address(proxy) in reason(one)
        assert one.alive() and not one.ready()
        assert simulator.counters()["token_requests"] == 0
        flow.assert_ends()
        proxy.serve(**good, tls=url == proxy.url)
        flow.wait_until_done(one)
        one.wait_until_ready()
        assert one.stop() == 0
    flow.assert_ends(documents=imp_uids(20))


def test_a_certificate_that_runs_out_under_load_costs_nothing(flow, simulator, worker, certificates, keeper, tmp_path):
    simulator.settings(latency="20ms")
    flow.publish(imp_uids(1000))

    def proxy(name):
        (tmp_path / name).mkdir()
        return Proxy(tmp_path / name, simulator.url, keeper.environment(), certificate=getattr(certificates, name))

    with proxy("server") as good, proxy("expired") as bad, Switch(address(good)) as switch:
        url = f"https://{switch.address}"
        one = worker(IAMPORT_URL=url, IMPCERT_CA_FILE=certificates.ca, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=32)
        flow.wait_for_documents(50)
        switch.turn(address(bad))
        wait_for(lambda: "certificate" in one.get("/readyz")[1], 60, "readiness to name the certificate")
        switch.turn(address(good))
        flow.wait_until_done(one)
        assert one.stop() == 0
    flow.assert_ends(documents=imp_uids(1000))


def test_plain_http_is_a_fault_of_the_settings_unless_it_is_allowed(simulator, worker, flow):
    one = worker(IAMPORT_URL=simulator.url, IMPCERT_ALLOW_HTTP=None)
    assert one.wait() == 2
    assert re.search(r"IAMPORT_URL: .*clear text.*IMPCERT_ALLOW_HTTP=true", one.log_tail())
    assert simulator.counters()["token_requests"] == 0
