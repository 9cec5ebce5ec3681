"""What the programs write is what schemas/ says, and MongoDB can be told to take nothing else."""

import json
import re

import pytest
from jsonschema import Draft202012Validator
from pymongo.errors import WriteError

from support import run_program, schemas, wait_for
from support.flow import assert_documents, event, imp_uids
from support.mongodb import guarded

QUICK = {"IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "10ms", "IMPCERT_BACKOFF_MAX": "20ms", "IMPCERT_WORKERS": 1}
ALWAYS = {"_id", "unique_key", "unique_in_site", "certified", "certified_at", "verified_at"}
OPT_IN = sorted(set(schemas.schema("document")["properties"]) - ALWAYS)
# Refused by a validator that the test puts behind ours.
REFUSED = "bad"
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
SAMPLES = [(name, side) for name in schemas.names() for side in ("good", "bad")]
SETTINGS_OF_MONGODB = ("MONGODB_URI", "MONGODB_DATABASE", "MONGODB_COLLECTION")


@pytest.fixture
def collection(stack, names):
    with stack.mongodb.client() as client:
        yield client[names.database][names.collection]


@pytest.fixture
def apply(names):
    """apply(MONGODB_URI=...) runs impcert-worker --apply-validator with the settings of MongoDB and no others."""

    def run(**settings):
        own = {name: names.settings()[name] for name in SETTINGS_OF_MONGODB}
        return run_program("impcert-worker", "--apply-validator", settings=own | settings, deadline=30)

    return run


def assert_matches(name, value):
    assert schemas.faults(name, value) == [], f"{name}: {value}"


# The files themselves.


@pytest.mark.parametrize("name", schemas.names())
def test_a_schema_is_one(name):
    Draft202012Validator.check_schema(schemas.schema(name))
    assert schemas.schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name, side", SAMPLES)
def test_samples_match_or_do_not(name, side):
    samples = schemas.samples(name, side)
    assert samples
    for sample, value in samples.items():
        found = schemas.faults(name, value)
        assert bool(found) == (side == "bad"), f"{sample}: {found}"


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_of_the_asyncapi_description_resolves():
    found = set(references(schemas.asyncapi()))
    assert {"./event.schema.json", "./dead-letter-headers.schema.json", "./retry-headers.schema.json"} <= found
    for reference in found:
        assert schemas.resolve(reference), reference


def test_the_asyncapi_description_has_our_topics_and_messages():
    described = schemas.asyncapi()
    assert described["asyncapi"] == "3.0.0"
    channels = {channel["address"]: channel for channel in described["channels"].values()}
    assert set(channels) == {"certifications", "certifications.retry.{delay}", "certifications.dlq"}
    assert set(channels["certifications.dlq"]["messages"]) == {"deadLetter", "replayed"}
    delays = channels["certifications.retry.{delay}"]["parameters"]["delay"]["examples"]
    help_text = run_program("impcert-worker", "--help").stdout
    assert f"[{','.join(delays)}]" in help_text
    for operation in described["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = schemas.resolve(operation["channel"]["$ref"])
        for message in operation["messages"]:
            assert schemas.resolve(message["$ref"]) in channel["messages"].values()
    for message in described["components"]["messages"].values():
        assert message["bindings"]["kafka"]["key"]


def test_the_asyncapi_description_is_of_this_version():
    version = run_program("impcert-worker", "--version").stdout.split()[1]
    assert schemas.asyncapi()["info"]["version"] == version


# What the programs write.


def test_published_events_match(flow, names, publish):
    lines = "imp_2\n" + json.dumps({"imp_uid": "imp_3", "order": {"id": 17}}) + "\n"
    assert publish("imp_1").returncode == 0
    assert publish(stdin=lines).returncode == 0
    records = names.records()
    assert sorted(record.key for record in records) == [b"imp_1", b"imp_2", b"imp_3"]
    for record in records:
        value = json.loads(record.value)
        assert_matches("event", value)
        assert value["imp_uid"] == record.key.decode()


@pytest.mark.parametrize("fields", [[], OPT_IN], ids=["default", "opt_in"])
def test_documents_match(flow, names, collection, apply, simulator, worker, fields):
    """Inserted and updated, with nulls and absent members among what the API answers; and MongoDB agrees."""
    assert apply().returncode == 0
    wanted = imp_uids(300)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_STORE_FIELDS=",".join(fields), IMPCERT_WORKERS=1)
    flow.wait_until_done(one)
    collection.update_many({}, {"$set": {"user": {"id": 7}}})
    flow.publish(wanted)
    flow.wait_until_done(one)
    assert one.metric("impcert_store_updates_total") == len(wanted)
    flow.assert_ends(documents=wanted)
    found = [schemas.document_json(document) for document in names.documents().values()]
    for document in found:
        assert set(document) == ALWAYS | set(fields) | {"user"}
        assert_matches("document", document)
    for field in ("unique_in_site", *fields):
        assert any(document[field] is not None for document in found), f"{field} is null in all documents"
    assert any(document["unique_in_site"] is None for document in found)


def test_the_schema_has_every_field_that_may_be_stored():
    done = run_program("impcert-worker", "--check-config", settings={"IMPCERT_STORE_FIELDS": "shoe_size"})
    [offered] = re.findall(r"expected a list of (.*?), separated by commas", done.stderr)
    assert sorted(re.findall(r"\w+", offered.replace(" and ", " ").replace(" or ", " "))) == OPT_IN


def test_dead_letters_of_every_reason_and_retries_match(flow, names, stack, collection, apply, simulator, worker):
    assert apply().returncode == 0
    tighten(collection)
    headers = [TRACE, ("shop", b"1"), ("none", None), ("bytes", b"\xff\x00"), ("impcert.reason", b"forged")]
    failing = [f"{kind}_1" for kind in ("missing", "unfinished", "nokey", "refused", "unavailable", "html", REFUSED)]
    flow.publish((*event(imp_uid), headers) for imp_uid in failing)
    flow.publish([(b"any key", value, headers) for value in (None, b"", b"\xff", b"{}", b'{"imp_uid": "a b"}')])
    one = worker(simulator, **QUICK, IMPCERT_RETRY_DELAYS="1s")
    wait_for(lambda: len(names.dead_letters()) >= 12, 60, "12 dead letters")
    flow.wait_until_done(one)
    letters = [schemas.record_json(record) for record in names.dead_letters()]
    for letter in letters:
        assert_matches("dead-letter", letter)
        assert_matches("dead-letter-headers", letter["headers"])
        assert letter["headers"]["none"] is None
    reasons = {letter["headers"]["impcert.reason"] for letter in letters}
    assert reasons == set(schemas.schema("dead-letter-headers")["$defs"]["reason"]["enum"])
    deferred = [schemas.record_json(record) for record in stack.kafka.records(names.retry_topic("1s"))]
    for record in deferred:
        assert_matches("event", json.loads(record["value"]))
        assert_matches("retry-headers", record["headers"])
        assert record["key"] == json.loads(record["value"])["imp_uid"]
    reasons = {record["headers"]["impcert.reason"] for record in deferred}
    assert reasons == set(schemas.schema("retry-headers")["properties"]["impcert.reason"]["enum"])


def tighten(collection):
    """As an operator may: our validator, and a rule of the shop's own."""
    ours = collection.options()["validator"]
    own = {"_id": {"$not": {"$regex": f"^{REFUSED}_"}}}
    collection.database.command("collMod", collection.name, validator={"$and": [ours, own]})


def test_a_document_that_the_validator_refuses_is_a_dead_letter(flow, names, collection, apply, simulator, worker):
    """The rest of its batch is stored."""
    assert apply().returncode == 0
    tighten(collection)
    good, bad = imp_uids(100), imp_uids(5, REFUSED)
    flow.publish([*good, *bad])
    flow.wait_until_done(worker(simulator, **QUICK))
    flow.assert_ends(documents=good, letters=bad)
    for letter in flow.letters():
        assert letter.reason == "store_rejected", letter
        assert "(code 121)" in letter.facts["error"]


def test_documents_from_before_that_do_not_match_are_no_dead_letters(
    flow, names, collection, apply, simulator, worker
):
    """A backend made them ahead of the worker, or has another idea of a field."""
    wanted = imp_uids(100)
    collection.insert_many({"_id": imp_uid, "origin": {"page": 7}} for imp_uid in wanted[:50])
    assert apply().returncode == 0
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, **QUICK))
    flow.assert_ends(documents=wanted)
    documents = names.documents()
    assert all(documents[imp_uid].pop("origin") == {"page": 7} for imp_uid in wanted[:50])
    assert_documents(simulator, documents, wanted)


# The validator.


def test_the_validator_is_printed_as_it_stands_without_any_setting():
    done = run_program("impcert-worker", "--print-validator")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == schemas.validator_text()


def test_the_validator_is_set_on_a_new_collection_and_again(names, collection, apply):
    for _ in range(2):
        done = apply()
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"the validator is set on {names.database}.{names.collection}\n"
        options = collection.options()
        assert options["validator"] == json.loads(schemas.validator_text())
        assert (options["validationLevel"], options["validationAction"]) == ("moderate", "error")


def test_the_validator_is_set_on_a_collection_in_use(names, collection, apply):
    """Another validator gives way; documents and indexes stay; what does not match may still be made to."""
    collection.insert_one({"_id": "imp_1", "user": 7})
    collection.create_index("user")
    collection.database.command("collMod", names.collection, validator={"user": 7}, validationAction="warn")
    assert apply().returncode == 0
    assert collection.options()["validator"] == json.loads(schemas.validator_text())
    assert collection.options()["validationAction"] == "error"
    assert collection.find_one() == {"_id": "imp_1", "user": 7}
    assert "user_1" in collection.index_information()
    collection.update_one({"_id": "imp_1"}, {"$set": {"user": 8}})
    collection.update_one({"_id": "imp_1"}, {"$set": schemas.document_bson({"unique_in_site": None})})


def test_mongodb_takes_the_good_samples_and_refuses_the_bad(collection, apply):
    assert apply().returncode == 0
    for sample in schemas.samples("document", "good").values():
        collection.insert_one(schemas.document_bson(sample))
        collection.delete_many({})
    for name, sample in (schemas.samples("document", "bad") | {"newline": newline_at_the_end()}).items():
        with pytest.raises(WriteError) as refusal:
            collection.insert_one(schemas.document_bson(sample))
            pytest.fail(f"{name} is taken")
        assert refusal.value.code == 121


def newline_at_the_end():
    return schemas.samples("document", "good")["plain"] | {"_id": "imp_1\n"}


def test_a_document_that_matches_cannot_be_spoilt(collection, apply):
    assert apply().returncode == 0
    collection.insert_one(schemas.document_bson(schemas.samples("document", "good")["plain"]))
    collection.update_one({}, {"$set": {"user": 7}})
    for change in ({"$set": {"certified": False}}, {"$unset": {"unique_key": 1}}, {"$set": {"verified_at": "today"}}):
        with pytest.raises(WriteError) as refusal:
            collection.update_one({}, change)
        assert refusal.value.code == 121


def test_a_mongodb_that_is_away_is_said_within_seconds(names, apply):
    done = apply(MONGODB_URI="mongodb://impcert:hunter2secret@127.0.0.1:9/")
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert f"impcert-worker: the validator could not be set on {names.database}.{names.collection}: " in last
    assert "127.0.0.1:9" in last
    assert "hunter2" not in done.stderr


def test_a_view_cannot_have_it(names, collection, apply):
    collection.database.command("create", names.collection, viewOn="elsewhere", pipeline=[])
    done = apply()
    assert done.returncode == 1
    assert "view" in done.stderr


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"MONGODB_URI": None}, "MONGODB_URI"),
        ({"MONGODB_URI": "mysql://127.0.0.1"}, "MONGODB_URI"),
        ({"MONGODB_COLLECTION": "$x"}, "MONGODB_COLLECTION"),
        ({"MONGODB_URI": "mongodb://127.0.0.1/?w=0"}, "MONGODB_URI"),
    ],
)
def test_settings_that_are_wrong_are_named(apply, settings, named):
    done = apply(**settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.findall(r"^  (\w+): ", done.stderr, re.M) == [named]


def test_settings_of_the_task_alone_are_shown():
    done = run_program(
        "impcert-worker", "--apply-validator", "--print-config", settings={"MONGODB_URI": "mongodb://u:hunter2@x/"}
    )
    assert done.returncode == 0
    names = {line.split("=")[0] for line in done.stdout.splitlines()}
    assert names == {*SETTINGS_OF_MONGODB, "IMPCERT_LOG_LEVEL", "IMPCERT_LOG_FORMAT"}
    assert "hunter2" not in done.stdout


@pytest.fixture
def server(tmp_path):
    with guarded(tmp_path / "guarded") as server:
        yield server


def test_a_user_who_may_not_is_told_what_is_needed(server):
    """Who may write may make a collection, but not change one."""
    uri = server.make_user("backend", {"role": "readWrite", "db": "impcert"})
    settings = {"MONGODB_URI": uri}
    assert run_program("impcert-worker", "--apply-validator", settings=settings).returncode == 0
    done = run_program("impcert-worker", "--apply-validator", settings=settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "impcert.certifications" in done.stderr and "collMod" in done.stderr and "dbAdmin" in done.stderr
    assert "hunter" not in done.stderr
    settings = {"MONGODB_URI": uri.replace("hunter2", "hunter3")}
    done = run_program("impcert-worker", "--apply-validator", settings=settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "uthentication failed" in done.stderr
    assert "hunter" not in done.stderr
