"""MongoDB over TLS, with users by password and by certificate, on a replica set with a key file. What is wrong is named,
costs no event, and needs no restart once it is mended."""

import json
import uuid
from collections import namedtuple

import pytest

from stack import wait_for
from stack.mongodb import REPLICA_SET
from support import run_program
from support.flow import Flow, imp_uids
from support.names import Names
from support.secure import PASSWORD, USER
from support.tls import Relay, Switch, joined

VERIFY = "MongoDB's certificate is of an authority that is not trusted"
# Sooner than the default of 3 s.
IMPATIENT = "serverSelectionTimeoutMS=1000&connectTimeoutMS=1000"

# Where a client comes to at first, and with what; and what it says then.
Fault = namedtuple("Fault", "server client words")
FAULTS = {
    "unknown authority": Fault("untrusted", "tls", VERIFY),
    "wrong name": Fault("misnamed", "tls", VERIFY),
    "expired": Fault("expired", "tls", VERIFY),
    "TLS to a plain port": Fault("plain", "tls", "speaks no TLS there"),
    "no TLS to a TLS port": Fault("secure", "plain", "may want TLS (tls=true) or another client certificate"),
    "no client certificate": Fault("secure", "tls", "may want TLS (tls=true) or another client certificate"),
    "client certificate of a stranger": Fault("secure", "stranger", "may want TLS (tls=true) or another client certificate"),
}


def by_password(address, options, user=USER, password=PASSWORD):
    return f"mongodb://{user}:{password}@{address}/?{options}&authSource=admin&{IMPATIENT}"


@pytest.fixture
def options(certificates):
    """Of a URI: nothing, the authority alone, or a certificate besides."""
    tls = f"tls=true&tlsCAFile={certificates.ca}"
    return {
        "plain": "tls=false",
        "tls": tls,
        "client": f"{tls}&tlsCertificateKeyFile={joined(certificates.client)}",
        "newcomer": f"{tls}&tlsCertificateKeyFile={joined(certificates.newcomer)}",
        "stranger": f"{tls}&tlsCertificateKeyFile={joined(certificates.stranger)}",
    }


@pytest.fixture
def on(stack_of):
    """on(mongodb) is a flow whose documents are looked for there."""
    opened = []

    def open_flow(mongodb):
        names = Names(stack_of(mongodb=mongodb))
        opened.append(names)
        return Flow(stack_of(mongodb=mongodb), names).create(), names

    yield open_flow
    for names in opened:
        names.clean_up()


def reason(worker):
    return json.loads(worker.get("/readyz")[1])["reasons"].get("mongodb", "")


def settings(names, uri):
    return names.settings() | {"MONGODB_URI": uri}


@pytest.mark.parametrize("kind", ["password", "password and certificate", "x.509"])
def test_users_are_let_in(kind, on, secure_mongodb, open_mongodb, options, simulator, worker):
    server = open_mongodb if kind == "password" else secure_mongodb
    flow, names = on(server)
    uri = {
        "password": by_password(server.address, options["tls"]),
        "password and certificate": by_password(server.address, options["client"]),
        "x.509": f"mongodb://{server.address}/?{options['client']}&authMechanism=MONGODB-X509",
    }[kind]
    own = settings(names, f"{uri}&replicaSet={REPLICA_SET}")
    flow.publish(imp_uids(200))
    one = worker(simulator, **own)
    flow.wait_until_done(one)
    one.wait_until_ready()
    flow.assert_ends(documents=imp_uids(200))


# Another name, and an expired one (met under load below), fail the same check as an unknown authority.
LONG = ("wrong name", "expired")


@pytest.mark.parametrize("fault", [pytest.param(f, marks=pytest.mark.long if f in LONG else ()) for f in FAULTS])
def test_a_fault_is_named_and_costs_nothing(
    fault, on, stack, secure_mongodb, open_mongodb, certificates, options, simulator, worker
):
    server, client, words = FAULTS[fault]
    good = stack.mongodb if client == "plain" else open_mongodb
    flow, names = on(good)
    flow.publish(imp_uids(20))
    bad = Relay(getattr(certificates, server, certificates.server), stack.mongodb.address)
    with bad, Switch({"plain": stack.mongodb.address, "secure": secure_mongodb.address}.get(server, bad.address)) as switch:
        uri = f"mongodb://{switch.address}/?{IMPATIENT}" if client == "plain" else by_password(switch.address, options[client])
        one = worker(simulator, **settings(names, uri))
        wait_for(lambda: words in reason(one), 30, f"{one} to say {words!r} of MongoDB", interval=0.2)
        assert one.alive()
        flow.assert_ends()
        switch.turn(good.address)
        flow.wait_until_done(one)
        one.wait_until_ready()
        assert one.stop() == 0
    flow.assert_ends(documents=imp_uids(20))


@pytest.mark.parametrize("kind", ["wrong password", "unknown certificate"])
def test_a_user_who_is_not_let_in_is_named_and_costs_nothing(
    kind, on, secure_mongodb, options, simulator, worker
):
    flow, names = on(secure_mongodb)
    flow.publish(imp_uids(20))
    if kind == "wrong password":
        user, password = f"user-{uuid.uuid4().hex[:8]}", "not-yet-the-password"
        secure_mongodb.make_user(user, "another-password")
        uri = by_password(secure_mongodb.address, options["client"], user, password)
        mend = lambda: secure_mongodb.set_password(user, password)  # noqa: E731
    else:
        password = None
        uri = f"mongodb://{secure_mongodb.address}/?{options['newcomer']}&authMechanism=MONGODB-X509&{IMPATIENT}"
        mend = lambda: secure_mongodb.make_user("CN=newcomer,OU=clients")  # noqa: E731
    one = worker(simulator, **settings(names, uri))
    wait_for(lambda: "uthentication failed" in reason(one) or "Could not find user" in reason(one), 30, "the reason")
    assert one.alive()
    flow.assert_ends()
    mend()
    flow.wait_until_done(one)
    one.wait_until_ready()
    flow.assert_ends(documents=imp_uids(20))
    assert not password or password not in "\n".join(one.stderr)


def test_a_certificate_that_runs_out_under_load_costs_nothing(on, open_mongodb, certificates, options, simulator, worker, stack):
    flow, names = on(open_mongodb)
    simulator.settings(latency="20ms")
    flow.publish(imp_uids(2000))
    with Relay(certificates.expired, stack.mongodb.address) as bad, Switch(open_mongodb.address) as switch:
        uri = by_password(switch.address, options["tls"])
        one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=64, **settings(names, uri))
        flow.wait_for_documents(100)
        switch.turn(bad.address)
        wait_for(lambda: VERIFY in reason(one), 30, "readiness to name the certificate")
        switch.turn(open_mongodb.address)
        flow.wait_until_done(one)
        assert one.stop() == 0
    flow.assert_ends(documents=imp_uids(2000))


def test_the_validator_is_set_over_tls_and_a_fault_is_told(on, open_mongodb, options):
    flow, names = on(open_mongodb)
    own = {name: value for name, value in names.settings().items() if name.startswith("MONGODB_")}
    root = open_mongodb.uri
    assert run_program("impcert-worker", "--apply-validator", settings=own | {"MONGODB_URI": root}).returncode == 0
    wrong = by_password(open_mongodb.address, options["tls"], password="wrong-password")
    done = run_program("impcert-worker", "--apply-validator", settings=own | {"MONGODB_URI": wrong})
    assert done.returncode == 1 and "uthentication failed" in done.stderr and "wrong-password" not in done.stderr
