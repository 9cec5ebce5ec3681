"""Encryption by the worker: no plain text reaches MongoDB, backends with the key read and find, a wrong key harms nothing."""

import json
import struct
import subprocess
import sys

import pytest
from bson.raw_bson import RawBSONDocument

from support import run_program, schemas, wait_for
from support.encryption import NAME, Backend, files_of, is_encrypted, master_key
from support.flow import assert_documents, imp_uids
from support.mongodb import guarded
from support.program import ROOT, clean_environment
from support.simulator import KEY_PAIR

EXAMPLES = ROOT / "worker/examples"
FIELDS = ("name", "phone", "birth", "birthday", "gender", "carrier", "foreigner", "foreigner_v2", "merchant_uid")
FIELDS += ("pg_provider", "pg_tid", "origin")
LOOKED_UP = ("unique_key", "unique_in_site")
ONE = {"IMPCERT_WORKERS": 1}
ALL = ONE | {"IMPCERT_STORE_FIELDS": ",".join(FIELDS)}
COMPLETE = KEY_PAIR | {"IMPCERT_KAFKA_BROKERS": "127.0.0.1:9092", "MONGODB_URI": "mongodb://127.0.0.1/"}


@pytest.fixture
def client(stack):
    with stack.mongodb.client() as client:
        yield client


@pytest.fixture
def collection(client, names):
    return client[names.database][names.collection]


class KeyFile:
    """A file with a master key, and who can read with it."""

    def __init__(self, path, client, names):
        self.path, self._client, self._names = path, client, names
        self.text = master_key()
        self.write(self.text)
        self.settings = {"IMPCERT_ENCRYPTION_KEY_FILE": path}

    def write(self, text):
        self.path.write_text(text)

    def backend(self):
        return Backend(self._client, self._names, self.path.read_text())

    def documents(self):
        """{imp_uid: document}, decrypted."""
        backend = self.backend()
        return {imp_uid: backend.decrypt(document) for imp_uid, document in self._names.documents().items()}


@pytest.fixture
def key(tmp_path, client, names):
    return KeyFile(tmp_path / "master-key", client, names)


def personal(simulator, wanted):
    """What tells of these people, as bytes that are long enough to be searched for."""
    found = set()
    for record in simulator.certifications(wanted).values():
        for name in (*FIELDS, *LOOKED_UP):
            value = record.get(name)
            if isinstance(value, str) and len(value.encode()) >= 8:
                found.add(value.encode()[:200])
            elif name == "birth" and value is not None:
                found.add(struct.pack("<q", value))
    return found


def test_mongodb_never_sees_plain_text(flow, stack, names, collection, key, simulator, worker):
    """Neither in the documents nor on its disk, uncompressed here so that it could be seen."""
    collection.database.create_collection(names.collection, storageEngine={"wiredTiger": {"configString": "block_compressor=none"}})
    wanted = imp_uids(200)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, **ALL, **key.settings))
    collection.insert_one({"_id": "marker", "name": "planted plain text"})
    secrets = personal(simulator, wanted)
    assert len(secrets) > 1000, "too few secrets: the test shows nothing"
    raw = collection.with_options(collection.codec_options.with_options(document_class=RawBSONDocument))
    places = {"documents": b"".join(document.raw for document in raw.find())}
    if not hasattr(stack.mongodb, "directory"):
        pytest.skip("this MongoDB is not ours: its disk can't be looked at")
    data = stack.mongodb.directory / "mongodb"
    places |= {file.name: file.read_bytes() for file in files_of(collection, data)}
    assert len(places) >= 4
    assert sum(b"planted plain text" in content for content in places.values()) == 2, "the marker is not found"
    for place, content in places.items():
        leaked = [secret for secret in secrets if secret in content]
        assert not leaked, f"{len(leaked)} of {len(secrets)} in {place}, such as {leaked[0]!r}"
    for document in collection.find({"_id": {"$ne": "marker"}}):
        for name in (*FIELDS, *LOOKED_UP):
            assert document[name] is None or is_encrypted(document[name]), name


def test_a_backend_reads_what_was_verified(flow, names, key, simulator, worker):
    """Texts, numbers, bools and nulls as they would stand there otherwise; inserted and updated; and over plain text."""
    wanted = imp_uids(300)
    flow.publish(wanted[:100])
    before = worker(simulator, **ALL)
    flow.wait_until_done(before)
    assert before.stop() == 0
    with_plain = names.documents()
    assert_documents(simulator, with_plain, wanted[:100], FIELDS)
    flow.publish(wanted)
    one = worker(simulator, **ALL, **key.settings)
    flow.wait_until_done(one)
    assert_documents(simulator, key.documents(), wanted, FIELDS)
    first = names.documents()
    flow.publish(wanted)
    flow.wait_until_done(one)
    assert_documents(simulator, key.documents(), wanted, FIELDS)
    again = names.documents()
    for imp_uid in wanted:
        assert again[imp_uid]["verified_at"] > first[imp_uid]["verified_at"]
        for name in LOOKED_UP:
            assert again[imp_uid][name] == first[imp_uid][name], "a lookup would miss it"
        for name in FIELDS:
            encrypted = is_encrypted(again[imp_uid][name])
            assert not encrypted or again[imp_uid][name] != first[imp_uid][name], f"{name} tells who is alike"


def sample(file, *arguments, names, **settings):
    """Runs one of worker/examples."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / file, *arguments],
        env=clean_environment(names.settings() | settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_one_person_is_found_by_the_samples_of_a_backend(flow, names, collection, key, simulator, worker):
    hers = [f"person_a_{number}" for number in range(3)]
    others = [*imp_uids(50), "person_b_1"]
    flow.publish([*hers, *others])
    flow.wait_until_done(worker(simulator, **ALL, **key.settings))
    truth = simulator.certifications([*hers, *others])
    unique_key = truth[hers[0]]["unique_key"]
    stored = names.documents()
    assert len({stored[imp_uid]["unique_key"] for imp_uid in hers}) == 1
    assert len({document["unique_key"] for document in stored.values()}) == len(others) + 1
    plan = collection.find({"unique_key": stored[hers[0]]["unique_key"]}).explain()
    assert plan["queryPlanner"]["winningPlan"]["inputStage"]["stage"] == "IXSCAN"
    status, out, err = sample("decrypt.py", "--person", unique_key, names=names, **key.settings)
    assert (status, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert {document["_id"] for document in found} == set(hers)
    for document in found:
        assert document["unique_key"] == unique_key
        assert document["name"] == truth[document["_id"]]["name"]
    status, out, err = sample("decrypt.py", others[0], names=names, **key.settings)
    assert (status, err) == (0, "")
    assert json.loads(out)["name"] == truth[others[0]]["name"]


def test_processes_that_start_together_make_one_data_key(flow, names, key, simulator, worker):
    wanted = imp_uids(600)
    flow.publish(wanted)
    together = [worker(simulator, IMPCERT_WORKERS=2, **key.settings) for _ in range(3)]
    for one in together:
        one.wait_until_ready()
    flow.wait_until_done(*together)
    [data_key] = key.backend().vault.find()
    assert data_key["keyAltNames"] == [NAME]
    assert key.backend().vault.index_information()["keyAltNames_1"]["unique"]
    assert_documents(simulator, key.documents(), wanted)
    assert not [line for one in together for line in one.log(message="not ready", part="mongodb")]


def reason(one):
    return json.loads(one.get("/readyz")[1])["reasons"].get("mongodb", "")


def test_a_wrong_master_key_stores_nothing_until_it_is_mended(flow, names, key, simulator, worker):
    """In place: the file is read again."""
    first, wanted = imp_uids(10, "first"), imp_uids(200)
    flow.publish(first)
    right = worker(simulator, **ONE, **key.settings)
    flow.wait_until_done(right)
    assert right.stop() == 0
    key.write(master_key())
    flow.publish(wanted)
    one = worker(simulator, **ONE, **key.settings)
    wait_for(lambda: "IMPCERT_ENCRYPTION_KEY is not the master key" in reason(one), 30, "readiness to say why")
    wait_for(lambda: one.metric("impcert_store_failures_total") >= 3, 30, "some more tries")
    assert one.alive()
    assert set(names.documents()) == set(first)
    assert names.lag() == len(wanted), "an event is committed that is not stored"
    key.path.unlink()
    wait_for(lambda: "IMPCERT_ENCRYPTION_KEY_FILE" in reason(one), 30, "readiness to miss the file")
    key.write(key.text)
    flow.wait_until_done(one)
    one.wait_until_ready()
    assert_documents(simulator, key.documents(), [*first, *wanted])
    assert flow.letters() == []
    said = "\n".join(one.stderr)
    assert key.text.split()[0] not in said


def test_a_data_key_that_is_lost_is_not_made_anew(flow, names, key, simulator, worker):
    first, wanted = imp_uids(10, "first"), imp_uids(100)
    flow.publish(first)
    before = worker(simulator, **ONE, **key.settings)
    flow.wait_until_done(before)
    assert before.stop() == 0
    vault = key.backend().vault
    lost = vault.find_one_and_delete({})
    flow.publish(wanted)
    one = worker(simulator, **ONE, **key.settings)
    wait_for(lambda: f"no data key {NAME} in {vault.full_name}" in reason(one), 30, "readiness to say why")
    assert vault.count_documents({}) == 0
    assert set(names.documents()) == set(first)
    vault.insert_one(lost)
    flow.wait_until_done(one)
    assert_documents(simulator, key.documents(), [*first, *wanted])
    assert flow.letters() == []


def test_a_new_master_key_opens_what_was_there(flow, names, key, tmp_path, simulator, worker):
    """The data key is encrypted anew; workers and backends go on with the new master key alone."""
    first, wanted = imp_uids(50, "first"), imp_uids(50)
    flow.publish(first)
    before = worker(simulator, **ALL, **key.settings)
    flow.wait_until_done(before)
    assert before.stop() == 0
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text(key.text)
    new.write_text(master_key())
    status, out, err = sample("rewrap.py", old, new, names=names)
    assert (status, err) == (0, ""), err
    assert "new master key" in out
    flow.publish(wanted)
    one = worker(simulator, **ALL, **key.settings)
    wait_for(lambda: "is not the master key" in reason(one), 30, "the old master key to be of no use")
    key.write(new.read_text())
    flow.wait_until_done(one)
    assert_documents(simulator, key.documents(), [*first, *wanted], FIELDS)
    assert [document["_id"] for document in key.backend().vault.find()] != []
    status, _, err = sample("rewrap.py", old, new, names=names)
    assert status != 0 and "HMAC" in err, "the old key does not open it any more"


def test_the_validator_takes_encrypted_documents(flow, names, collection, key, simulator, worker):
    settings = {name: value for name, value in names.settings().items() if name.startswith("MONGODB_")}
    assert run_program("impcert-worker", "--apply-validator", settings=settings).returncode == 0
    wanted = imp_uids(100)
    flow.publish(wanted)
    one = worker(simulator, **ALL, **key.settings)
    flow.wait_until_done(one)
    flow.publish(wanted)
    flow.wait_until_done(one)
    assert flow.letters() == []
    assert_documents(simulator, key.documents(), wanted, FIELDS)
    for document in collection.find():
        assert schemas.faults("document", schemas.document_json(document)) == []


def test_rights_on_a_key_vault_of_its_own(flow, names, key, tmp_path, simulator, worker):
    """Reading is enough once the data key is there; who may not make it is told so."""
    vault, documents = f"{names.database}_keys", {"role": "readWrite", "db": names.database}
    flow.publish(["imp_1"])
    with guarded(tmp_path / "guarded") as server:
        reader = server.make_user("reader", documents, {"role": "read", "db": vault})
        maker = server.make_user("maker", documents, {"role": "readWrite", "db": vault})
        settings = ONE | key.settings | {"IMPCERT_ENCRYPTION_KEY_VAULT": f"{vault}.keys"}
        one = worker(simulator, **settings, MONGODB_URI=reader)
        wait_for(lambda: "not authorized" in reason(one), 30, "readiness to say why")
        assert f"key vault {vault}.keys" in reason(one)
        other = worker(simulator, **settings, MONGODB_URI=maker)
        wait_for(other.ready, 60, "the data key to be made")
        wait_for(one.ready, 60, "the other one to find it")
        assert other.stop() == 0
        flow.wait_until_done(one)
        with server.root() as client:
            assert client[vault]["keys"].count_documents({}) == 1
            assert is_encrypted(client[names.database][names.collection].find_one()["unique_key"])
        assert one.stop() == 0


# Settings.


@pytest.mark.parametrize(
    "value, said",
    [
        ("hunter2", "has 7 characters of base64, expected 128"),
        ("hunter2!", "is not base64"),
        ("QUJD" * 33, "has 132 characters"),
    ],
)
def test_a_master_key_that_is_none_is_named_and_not_shown(value, said):
    done = run_program("impcert-worker", "--check-config", settings=COMPLETE | {"IMPCERT_ENCRYPTION_KEY": value})
    assert done.returncode == 2
    assert "  IMPCERT_ENCRYPTION_KEY: " in done.stderr and said in done.stderr
    assert value.split()[0] not in done.stderr


@pytest.mark.parametrize("value", ["vault", ".keys", "db.", "a b.keys", "db.$keys"])
def test_a_key_vault_that_is_none_is_named(value):
    settings = COMPLETE | {"IMPCERT_ENCRYPTION_KEY_VAULT": value}
    done = run_program("impcert-worker", "--check-config", settings=settings)
    assert done.returncode == 2
    assert f'IMPCERT_ENCRYPTION_KEY_VAULT: "{value}", expected the name of a database' in done.stderr


def test_the_master_key_is_masked(tmp_path):
    path = tmp_path / "key"
    path.write_text(master_key())
    settings = COMPLETE | {"IMPCERT_ENCRYPTION_KEY_FILE": path, "MONGODB_DATABASE": "shop"}
    done = run_program("impcert-worker", "--print-config", settings=settings)
    assert done.returncode == 0
    assert path.read_text().split()[0] not in done.stdout
    assert any(line.startswith("IMPCERT_ENCRYPTION_KEY=***") for line in done.stdout.splitlines())
    assert any(line.startswith("IMPCERT_ENCRYPTION_KEY_VAULT=shop.__keyVault") for line in done.stdout.splitlines())
