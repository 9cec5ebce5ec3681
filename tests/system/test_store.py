"""MongoDB: fields of others survive, one refused document is one dead letter, and an outage loses nothing."""

import json

import pytest

from support import wait_for
from support.flow import assert_documents, event, imp_uids

VALIDATOR = {"_id": {"$not": {"$regex": "^bad_"}}}


@pytest.fixture
def database(stack, names):
    with stack.mongodb.client() as client:
        yield client[names.database]


@pytest.fixture
def collection(database, names):
    return database[names.collection]


def test_there_is_an_index_on_unique_key(flow, collection, simulator, worker):
    flow.publish(imp_uids(10))
    flow.wait_until_done(worker(simulator))
    indexes = collection.index_information()
    assert [("unique_key", 1)] in [index["key"] for index in indexes.values()]
    assert not any(index.get("unique") for name, index in indexes.items() if name != "_id_")


def test_an_index_that_a_backend_made_is_left_alone(flow, names, collection, simulator, worker):
    collection.create_index("unique_key", name="by_ci", sparse=True)
    wanted = imp_uids(10)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator))
    assert_documents(simulator, names.documents(), wanted)
    assert collection.index_information()["by_ci"]["sparse"]


def test_fields_that_a_backend_added_survive_a_new_verification(flow, names, collection, simulator, worker):
    wanted = imp_uids(300)
    flow.publish(wanted)
    one = worker(simulator, IMPCERT_WORKERS=1)
    flow.wait_until_done(one)
    before = names.documents()
    added = {"user": 7, "unique_key": "changed by somebody"}
    collection.update_many({}, {"$set": added})
    flow.publish(wanted)
    flow.wait_until_done(one)
    after = names.documents()
    for imp_uid in wanted:
        assert after[imp_uid].pop("user") == 7
        assert after[imp_uid]["verified_at"] > before[imp_uid]["verified_at"]
    assert_documents(simulator, after, wanted)


def test_a_document_made_by_a_backend_is_completed(flow, names, collection, simulator, worker):
    wanted = imp_uids(100)
    collection.insert_many({"_id": imp_uid, "user": number} for number, imp_uid in enumerate(wanted[:50]))
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    documents = names.documents()
    assert [documents[imp_uid].pop("user") for imp_uid in wanted[:50]] == list(range(50))
    assert_documents(simulator, documents, wanted)


def test_only_the_refused_documents_of_a_batch_are_dead_letters(flow, names, database, simulator, worker):
    database.create_collection(names.collection, validator=VALIDATOR)
    good, bad = imp_uids(500), imp_uids(20, "bad")
    flow.publish([*good[:250], *bad, *good[250:]])
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    assert_documents(simulator, names.documents(), good)
    flow.assert_ends(documents=good, letters=bad)
    for letter in flow.letters():
        assert (letter.reason, letter.attempts) == ("store_rejected", 1), letter
        assert "MongoDB refused the document" in letter.facts["error"]
    assert simulator.calls() == dict.fromkeys([*good, *bad], 1)


def test_a_refused_update_leaves_the_others_updated(flow, names, database, collection, simulator, worker):
    good, bad = imp_uids(100), imp_uids(5, "bad")
    collection.insert_many({"_id": imp_uid, "old": True} for imp_uid in [*good, *bad])
    database.command("collMod", names.collection, validator=VALIDATOR, validationLevel="strict")
    flow.publish([*good, *bad])
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    documents = names.documents()
    assert {imp_uid for imp_uid, document in documents.items() if "certified" in document} == set(good)
    assert {letter.key.decode(): letter.reason for letter in flow.letters()} == dict.fromkeys(bad, "store_rejected")


def test_a_unique_index_of_a_backend_refuses_only_what_it_must(flow, names, collection, simulator, worker):
    wanted = imp_uids(100)
    record = simulator.certifications(wanted[:1])[wanted[0]]
    collection.insert_one({"_id": "of the backend", "unique_key": record["unique_key"]})
    collection.create_index("unique_key", unique=True)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=1))
    assert {letter.key.decode(): letter.reason for letter in flow.letters()} == {wanted[0]: "store_rejected"}
    documents = names.documents()
    del documents["of the backend"]
    assert_documents(simulator, documents, wanted[1:])


def settled(names, one):
    """Once each consumer has its share: a partition that is revoked while nothing can be stored is verified again."""
    wait_for(lambda: names.shares(names.group) == [3, 3], 60, "3 partitions each")
    return one


def test_mongodb_killed_under_load_loses_nothing(flow, names, stack, simulator_factory, worker):
    simulator = simulator_factory("--latency", "20ms")
    wanted, refused = imp_uids(6000), imp_uids(20, "refused")
    one = settled(names, worker(simulator, IMPCERT_WORKERS=2, IMPCERT_IN_FLIGHT=64))
    flow.publish([*wanted[:3000], *refused, *wanted[3000:]])
    flow.wait_for_documents(500)
    stack.mongodb.kill()
    try:
        wait_for(lambda: "mongodb" in json.loads(one.get("/readyz")[1])["reasons"], 30, "readiness to name MongoDB")
        assert one.alive()
        wait_for(lambda: simulator.counters()["in_flight"] == 0, 30, "calls to stop")
        assert simulator.counters()["imp_uids"] < 6000, "with nowhere to store, events are left on Kafka"
    finally:
        stack.mongodb.start()
    flow.wait_until_done(one)
    assert one.ready()
    assert_documents(simulator, names.documents(), wanted)
    flow.assert_ends(documents=wanted, letters=refused)
    assert set(simulator.calls().values()) == {1}, "a failed store is repeated without a new verification"


def test_a_frozen_mongodb_is_survived(flow, names, stack, simulator, worker):
    wanted = imp_uids(3000)
    uri = f"{stack.mongodb.uri}&socketTimeoutMS=1000"
    one = worker(simulator, MONGODB_URI=uri, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=64)
    one.wait_until_ready()
    stack.mongodb.pause()
    try:
        flow.publish(wanted)
        wait_for(lambda: not one.ready(), 30, "readiness to name MongoDB")
        assert one.alive()
    finally:
        stack.mongodb.resume()
    flow.wait_until_done(one)
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []


def test_a_mongodb_frozen_under_load_stores_each_once(flow, names, stack, simulator_factory, worker):
    """As behind a cut network: writes whose answers never came may be done or not when they are repeated."""
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(6000)
    uri = f"{stack.mongodb.uri}&socketTimeoutMS=1000"
    one = settled(names, worker(simulator, MONGODB_URI=uri, IMPCERT_WORKERS=2, IMPCERT_IN_FLIGHT=64))
    flow.publish(wanted)
    flow.wait_for_documents(500)
    stack.mongodb.pause()
    try:
        wait_for(lambda: one.metric("impcert_store_failures_total") >= 3, 60, "writes that came to nothing")
        assert one.alive() and not one.ready()
    finally:
        stack.mongodb.resume()
    flow.wait_until_done(one)
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []
    assert set(simulator.calls().values()) == {1}, "a failed store is repeated without a new verification"


def test_a_primary_that_steps_down_under_load_loses_nothing(flow, names, stack, simulator_factory, worker):
    simulator = simulator_factory("--latency", "20ms")
    wanted, refused = imp_uids(6000), imp_uids(20, "refused")
    one = settled(names, worker(simulator, IMPCERT_WORKERS=2, IMPCERT_IN_FLIGHT=64))
    flow.publish([*wanted[:3000], *refused, *wanted[3000:]])
    for stored in (500, 2000):
        flow.wait_for_documents(stored)
        step_down(stack)
    flow.wait_until_done(one)
    one.wait_until_ready()
    assert_documents(simulator, names.documents(), wanted)
    flow.assert_ends(documents=wanted, letters=refused)
    assert set(simulator.calls().values()) == {1}


def step_down(stack):
    """The only member of the set is no primary for two seconds."""
    with stack.mongodb.client(directConnection=True) as client:
        client.admin.command("replSetStepDown", 2, force=True)
        assert not client.admin.command("hello")["isWritablePrimary"]


def test_the_same_events_in_two_processes_are_one_document_each(flow, names, simulator_factory, worker):
    """Inserted by one while the other inserts it, too: without keys, copies are on all partitions."""
    simulator = simulator_factory("--latency", "20ms", "--jitter", "5ms")
    wanted = imp_uids(500)
    both = [worker(simulator, IMPCERT_WORKERS=2).wait_until_ready() for _ in range(2)]
    wait_for(lambda: all(one.metric("impcert_partitions_assigned") >= 2 for one in both), 30, "a share for each")
    flow.publish([(None, event(imp_uid)[1]) for imp_uid in wanted for _ in range(6)])
    flow.wait_until_done(*both)
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []
    assert sum(one.metric("impcert_store_updates_total") for one in both) > 0, "no copy met another"
    assert sum(one.metric("impcert_events_stored_total") for one in both) == 6 * len(wanted)


def test_fewer_acknowledgements_than_one_are_refused(simulator, worker, stack):
    one = worker(simulator, MONGODB_URI=f"{stack.mongodb.uri}&w=0")
    assert one.wait() == 2
    assert "w=0" in one.log_tail()


@pytest.mark.parametrize("option", ["maxPoolSize=1", "maxPoolSize=1&waitQueueTimeoutMS=500"])
def test_a_small_client_pool_holds_up_no_store_thread(flow, stack, simulator, worker, option):
    flow.publish(imp_uids(500))
    uri = f"{stack.mongodb.uri}&{option}"
    flow.wait_until_done(worker(simulator, MONGODB_URI=uri, IMPCERT_WORKERS=3))


def test_further_write_concern_options_keep_the_majority(flow, names, stack, simulator, worker):
    with stack.mongodb.client() as client:
        client[names.database].command("profile", 2)
        flow.publish(imp_uids(3))
        flow.wait_until_done(worker(simulator, MONGODB_URI=f"{stack.mongodb.uri}&journal=true", IMPCERT_WORKERS=1))
        inserts = list(client[names.database]["system.profile"].find({"op": "insert"}))
    assert inserts
    for insert in inserts:
        assert insert["command"]["writeConcern"] == {"w": "majority", "j": True}
