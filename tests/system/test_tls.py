"""Iamport over TLS: its certificate and its name are checked, against the authorities of IMPCERT_CA_FILE where set."""

import pytest

from support import wait_for
from support.flow import imp_uids
from support.tls import Authority, Relay


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_a_named_authority_is_trusted(flow, simulator, worker, authority):
    wanted = imp_uids(500)
    flow.publish(wanted)
    with Relay(authority.certificate("server"), simulator.url) as relay:
        one = worker(simulator, IAMPORT_URL=relay.url, IMPCERT_CA_FILE=authority.file)
        flow.wait_until_done(one)
        one.stop()
    flow.assert_ends(documents=wanted)


@pytest.mark.parametrize(
    "holders, trusted", [("IP:127.0.0.1", False), ("DNS:api.example", True)], ids=["unknown authority", "wrong name"]
)
def test_a_wrong_certificate_gets_no_secret_and_no_event(flow, simulator, worker, authority, holders, trusted):
    flow.publish(imp_uids(10))
    with Relay(authority.certificate("server", holders), simulator.url) as relay:
        own = {"IMPCERT_CA_FILE": authority.file} if trusted else {}
        one = worker(simulator, IAMPORT_URL=relay.url, **own)
        wait_for(lambda: "certificate" in one.get("/readyz")[1].lower(), 30, "readiness to name the certificate")
        assert not one.ready()
        one.stop()
    assert simulator.counters()["token_requests"] == 0
    flow.assert_ends()
