"""No personal datum, secret or token in a log, a metric, the readiness page or what impcert says on the DLQ."""

import json

import pytest

from support import wait_for
from support.flow import imp_uids
from support.http import fetch
from support.simulator import KEY_PAIR

PREFIXES = (
    "imp missing unfinished nokey nullkey absentkey refused error code other html unavailable empty malformed "
    "truncated reset flaky2 limited huge redirect hang slowbody bad"
).split()
PERSONAL = ("name", "phone", "birthday", "birth", "unique_key", "unique_in_site")
STORE_ALL = "name,phone,birth,birthday,gender,carrier,foreigner,foreigner_v2,merchant_uid,pg_provider,pg_tid,origin"
PLANTED = ("planted-name", "01098765432", "1999-09-19", "planted-password")
SETTINGS = {
    "IMPCERT_LOG_LEVEL": "debug",
    "IMPCERT_ATTEMPTS": 2,
    "IMPCERT_BACKOFF": "20ms",
    "IMPCERT_TIMEOUT": "1s",
    "IMPCERT_WORKERS": 1,
}


def personal_data(simulator, wanted):
    """Everything personal of these records, as it could be written. Two letters are too few to be searched for."""
    found = set()
    for record in simulator.certifications(wanted).values():
        values = [record[name] for name in PERSONAL if record and record.get(name) is not None]
        for value in values:
            text = str(value)
            found |= {text, json.dumps(text)[1:-1], text.replace("-", "")}
    return {text for text in found if len(text.encode()) >= 5}


def token_of(simulator):
    pair = {"imp_key": KEY_PAIR["IAMPORT_KEY"], "imp_secret": KEY_PAIR["IAMPORT_SECRET"]}
    return json.loads(fetch(f"{simulator.url}/users/getToken", "POST", pair)[1])["response"]["access_token"]


def assert_nothing_leaks(secrets, worker, pages, letters):
    said = {
        "log": "\n".join(worker.stdout + worker.stderr),
        "pages": "\n".join(pages),
        "dead letters": "\n".join(f"{letter.key} {letter.facts}" for letter in letters),
    }
    assert len(said["log"]) > 1000, "the log is empty: the test shows nothing"
    for where, text in said.items():
        leaked = [secret for secret in secrets if secret in text]
        lines = [line for line in text.splitlines() if leaked and leaked[0] in line]
        assert not leaked, f"{len(leaked)} secrets in the {where}, such as {leaked[0]!r} in: {lines[:1]}"


@pytest.fixture
def pages():
    """pages(worker) reads all its pages; pages.read are those so far."""

    def read(worker):
        read.read += [worker.get(path)[1] for path in ("/metrics", "/readyz", "/healthz")]

    read.read = []
    return read


def test_whatever_iamport_answers(flow, names, stack, simulator, worker, pages):
    """Refused by MongoDB, too, whose errors quote the document."""
    wanted = [imp_uid for prefix in PREFIXES for imp_uid in imp_uids(20 if prefix == "imp" else 3, prefix)]
    with stack.mongodb.client() as client:
        validator = {"_id": {"$not": {"$regex": "^bad_"}}}
        client[names.database].create_collection(names.collection, validator=validator)
        collection = client[names.database][names.collection]
        twice = simulator.certifications(wanted)[wanted[0]]["unique_key"]
        collection.insert_one({"_id": "of the backend", "unique_key": twice})
        collection.create_index("unique_key", unique=True)
    before = token_of(simulator)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_STORE_FIELDS=STORE_ALL, **SETTINGS)
    flow.wait_until_done(one)
    simulator.expire_token()
    flow.publish(imp_uids(20))
    flow.wait_until_done(one)
    letters = flow.letters()
    assert {letter.reason for letter in letters} >= {"store_rejected", "bad_response", "unavailable", "no_unique_key"}
    pages(one)
    secrets = personal_data(simulator, wanted + ["imp_000000000000"])
    assert len(secrets) > 500, "too few secrets: the test shows nothing"
    secrets |= {*KEY_PAIR.values(), before, token_of(simulator)}
    assert one.stop() == 0
    assert_nothing_leaks(secrets, one, pages.read, letters)


def test_whatever_stands_in_an_event(flow, simulator, worker, pages):
    """Backends may put more into events than they should; what is wrong with one is told without its text."""
    name, phone, birthday, password = PLANTED
    person = f'"name": "{name}", "phone": "{phone}", "birthday": "{birthday}", "password": "{password}"'
    values = [
        f"{{{person}}}",
        f'{{{person}, "imp_uid": null}}',
        f'{{{person}, "imp_uid": "{phone} {name}"}}',
        f'{{{person}, "imp_uid": "imp_1"',
        f'{{{person}, "phone": "{phone}", "imp_uid": "imp_1"}}',
        f'{{{person}, "x": {phone}}}',
        f'{{{person}, {name}',
        f"{name} {phone}",
        f'"{phone}"',
        f'{{"imp_uid": "refused_1", {person}}}',
        f'{{"imp_uid": "unavailable_1", {person}}}',
    ]
    headers = [("person", name.encode()), (phone, b"1")]
    flow.publish([(name.encode(), value.encode(), headers) for value in values])
    one = worker(simulator, **SETTINGS)
    flow.wait_until_done(one)
    pages(one)
    letters = flow.letters()
    assert len(letters) == len(values)
    assert one.stop() == 0
    assert_nothing_leaks(PLANTED, one, pages.read, letters)


def test_whatever_is_wrong_with_a_token(flow, simulator, worker, pages):
    token = token_of(simulator)
    flow.publish(["imp_1"])
    faults = ["malformed", "truncated", "html", "code", "refused", "error", "key_refused", "slow_body"]
    simulator.faults([{"kind": kind, "path": "token", "total": 1} for kind in faults])
    one = worker(simulator, **SETTINGS)
    wait_for(lambda: simulator.counters()["token_requests"] >= 5, 30, "5 token requests")
    pages(one)
    simulator.faults([])
    flow.wait_until_done(one)
    pages(one)
    assert one.stop() == 0
    assert_nothing_leaks({token, *KEY_PAIR.values()}, one, pages.read, [])


def test_passwords_of_the_servers(flow, names, stack, simulator, worker, pages, properties):
    """MongoDB and Kafka refuse them: what they and their drivers say of it is logged."""
    uri = stack.mongodb.uri.replace("mongodb://", "mongodb://impcert:planted-password@")
    sasl = properties(
        "security.protocol=sasl_plaintext",
        "sasl.mechanism=PLAIN",
        "sasl.username=impcert",
        "sasl.password=planted-password",
        "debug=all",
    )
    one = worker(simulator, **SETTINGS, MONGODB_URI=uri, IMPCERT_DRAIN_TIMEOUT="2s", **sasl)

    def refused():
        reasons = json.loads(one.get("/readyz")[1])["reasons"]
        return all(reasons.get(part, "not known yet") != "not known yet" for part in ("mongodb", "kafka"))

    wait_for(refused, 30, "readiness to name MongoDB and Kafka")
    pages(one)
    assert one.stop() == 0
    assert_nothing_leaks(["planted-password"], one, pages.read, [])
