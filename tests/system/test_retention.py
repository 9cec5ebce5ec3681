"""IMPCERT_RETENTION: MongoDB deletes what was verified so long ago, and nothing is deleted that nobody asked for."""

from datetime import datetime, timedelta, timezone

import pytest

from support import wait_for
from support.flow import imp_uids
from support.mongodb import guarded

INDEX = "impcert_retention"
ONE = {"IMPCERT_WORKERS": 1}
HOUR = 3600


@pytest.fixture(scope="module")
def mongodb(tmp_path_factory):
    """One that looks for what is to be deleted each second."""
    with guarded(tmp_path_factory.mktemp("own"), ["--setParameter", "ttlMonitorSleepSecs=1"]) as server:
        yield server


@pytest.fixture
def collection(mongodb, names):
    with mongodb.root() as client:
        yield client[names.database][names.collection]
        client.drop_database(names.database)


@pytest.fixture
def user(mongodb, names, collection):
    """user("readWrite") is the MONGODB_URI setting of a new user with these roles."""

    def make(*roles):
        return {"MONGODB_URI": mongodb.make_user(names.database, *({"role": role, "db": names.database} for role in roles))}

    yield make
    collection.database.client.admin.command("dropUser", names.database)


def seconds(collection):
    """{name: expireAfterSeconds} of the indexes that have it."""
    indexes = collection.index_information()
    return {name: index["expireAfterSeconds"] for name, index in indexes.items() if "expireAfterSeconds" in index}


def run(worker, simulator, collection, expected, **settings):
    """A worker that was there until the retention is as expected; what it logged."""
    one = worker(simulator, **ONE, **settings)
    wait_for(lambda: one.log(message="ready", part="mongodb"), 30, f"{one} and its MongoDB")
    wait_for(lambda: seconds(collection) == expected, 30, f"{expected}, not {seconds(collection)}")
    return one


def test_what_was_verified_long_ago_is_deleted(flow, collection, user, simulator, worker):
    """And what is verified again is not."""
    roles = user("readWrite", "dbAdmin")
    long_ago = datetime.now(timezone.utc) - timedelta(hours=3)
    old, again = imp_uids(20, "old"), imp_uids(20, "again")
    flow.publish([*old, *again])
    one = worker(simulator, **ONE, **roles)
    flow.wait_until_done(one)
    assert one.stop() == 0
    collection.update_many({}, {"$set": {"verified_at": long_ago}})
    flow.publish(again)
    one = worker(simulator, **ONE, **roles)
    flow.wait_until_done(one)
    assert one.stop() == 0
    assert collection.count_documents({}) == 40, "nothing is deleted that nobody asked for"
    new = imp_uids(20, "new")
    flow.publish(new)
    one = run(worker, simulator, collection, {INDEX: 2 * HOUR}, IMPCERT_RETENTION="2h", **roles)
    flow.wait_until_done(one)
    left = lambda: {document["_id"] for document in collection.find()}
    wait_for(lambda: left() == {*again, *new}, 60, "the old ones to be deleted")


def test_it_is_changed_and_left_alone(collection, user, simulator, flow, worker):
    """Several processes at once, too; a warning tells how to end it."""
    roles = user("readWrite", "dbAdmin")
    together = [worker(simulator, **ONE, IMPCERT_RETENTION="24h", **roles) for _ in range(3)]
    wait_for(lambda: seconds(collection) == {INDEX: 24 * HOUR}, 30, "the index")
    for one in together:
        one.wait_until_ready()
        assert one.stop() == 0
        assert not one.log(level="warn"), one.log_tail()
    one = run(worker, simulator, collection, {INDEX: 2}, IMPCERT_RETENTION="1500ms", **roles)
    one.wait_for_log("retention changed", seconds=2)
    assert one.stop() == 0
    one = run(worker, simulator, collection, {INDEX: 2}, **roles)
    said = one.wait_for_log("documents are still deleted by the index of an earlier IMPCERT_RETENTION, which is not set now")
    assert said["to_end_it"] == f"db.getCollection('{collection.name}').dropIndex('{INDEX}')"
    assert one.stop() == 0
    collection.drop_index(INDEX)
    one = run(worker, simulator, collection, {}, **roles)
    one.wait_until_ready()
    assert one.stop() == 0
    assert not one.log(level="warn")


def test_who_may_not_change_it_is_told_what_to_run(collection, user, simulator, flow, worker):
    """And stores, all the same."""
    roles = user("readWrite")
    one = run(worker, simulator, collection, {INDEX: HOUR}, IMPCERT_RETENTION="1h", **roles)
    assert one.stop() == 0
    flow.publish(["imp_1"])
    one = run(worker, simulator, collection, {INDEX: HOUR}, IMPCERT_RETENTION="2h", **roles)
    said = one.wait_for_log("IMPCERT_RETENTION could not be set: documents stay as long as before")
    assert "not authorized" in said["error"]
    flow.wait_until_done(one)
    assert collection.count_documents({}) == 1
    command = said["to_set_it"]
    assert command.startswith(f"db.runCommand({{collMod: '{collection.name}', ") and "expireAfterSeconds: 7200" in command
    collection.database.command(
        "collMod", collection.name, index={"keyPattern": {"verified_at": 1}, "expireAfterSeconds": 7200}
    )
    assert seconds(collection) == {INDEX: 7200}


def test_an_index_of_a_backend_is_not_made_one_that_deletes(collection, user, simulator, flow, worker):
    collection.create_index("verified_at", name="by_time")
    one = run(worker, simulator, collection, {}, IMPCERT_RETENTION="2h", **user("readWrite", "dbAdmin"))
    said = one.wait_for_log("IMPCERT_RETENTION could not be set: documents stay as long as before")
    assert said["error"]
    assert seconds(collection) == {}
