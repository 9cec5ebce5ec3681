"""Erasure of one certification: its document and its dead letter, for good, without impcert-replay."""

import subprocess

import pytest

from support import run_program, schemas, wait_for
from support.encryption import master_key
from support.flow import imp_uids
from support.program import binary, clean_environment
from support.replay import letter

NEEDED = ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC", "IMPCERT_GROUP")
ONE = {"IMPCERT_WORKERS": 1}
NOBODY = "127.0.0.1:9"


@pytest.fixture
def settings(names):
    """Those that the task needs, and no others."""
    own = names.settings()
    return {name: value for name, value in own.items() if name in NEEDED or name.startswith("MONGODB_")}


@pytest.fixture
def erase(settings):
    """erase("imp_1", MONGODB_URI=...): the CompletedProcess."""

    def run(imp_uid, **other):
        own = {"IMPCERT_RETRY_DELAYS": "1h"} | settings | other
        return run_program("impcert-worker", "--erase", imp_uid, settings=own, deadline=90)

    return run


@pytest.fixture
def dead(names, stack):
    return lambda *letters: stack.kafka.produce(names.dlq, letters)


def test_what_is_erased_is_not_replayed(flow, names, erase, dead, replay, simulator, worker):
    wanted = imp_uids(20)
    flow.publish([*wanted, "refused_1"])
    one = worker(simulator, **ONE)
    flow.wait_until_done(one)
    dead(*(letter(imp_uid) for imp_uid in wanted[:3]))
    done = erase(wanted[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{wanted[0]}: 1 document erased",
        f"{wanted[0]}: its dead letter is marked: it will not be replayed, and goes with the compaction or retention of "
        + names.dlq,
    ]
    assert set(names.documents()) == set(wanted[1:])
    marks = [record for record in names.dead_letters() if record.value is None]
    assert [record.key.decode() for record in marks] == [wanted[0]]
    assert schemas.faults("dead-letter", schemas.record_json(marks[0])) == []
    headers = dict(marks[0].headers)
    assert headers["impcert.discard_reason"] == b"erased" and headers["impcert.discarded_at"]
    assert sum(replay.unresolved().values()) == 3
    assert replay("run", "--reason", "not_found").returncode == 0
    flow.wait_until_done(one)
    assert set(names.documents()) == set(wanted[1:])
    assert simulator.calls()[wanted[1]] == 2, "nothing was replayed: the test shows nothing"
    assert simulator.calls()[wanted[0]] == 1
    assert replay.story(wanted[0])[1]["why"] == "erased"


def test_nothing_to_erase_is_said_and_writes_nothing(flow, names, stack, erase, simulator, worker):
    flow.publish(["imp_1"])
    flow.wait_until_done(worker(simulator, **ONE))
    for imp_uid, lines in (("imp_1", 2), ("imp_1", 3), ("imp_2", 3)):
        done = erase(imp_uid)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == lines
        assert ("nothing to erase" in done.stdout) == (lines == 3)
    assert names.documents() == {}
    assert sum(stack.kafka.end_offsets(names.dlq).values()) == 0, "the imp_uid of somebody unknown is on the queue"


def test_topics_that_are_not_there_hold_nothing(names, stack, erase):
    with stack.mongodb.client() as client:
        client[names.database][names.collection].insert_one({"_id": "imp_1"})
    done = erase("imp_1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 document erased" in done.stdout and "no dead letter" in done.stdout
    assert names.dlq not in stack.kafka.topics()


def test_each_partition_of_a_queue_that_has_grown_is_marked(flow, names, stack, erase):
    producer = stack.kafka.producer()
    for partition in (0, 3):
        for key, value, headers in (letter("imp_1"), letter("imp_2")):
            producer.produce(names.dlq, key=key, value=value, headers=headers, partition=partition)
    assert producer.flush(30) == 0
    assert erase("imp_1").returncode == 0
    marks = [record for record in names.dead_letters() if record.value is None]
    assert sorted(record.partition for record in marks) == [0, 3]
    assert {record.key for record in marks} == {b"imp_1"}
    assert erase("imp_1").stdout.endswith("nothing to erase\n")


@pytest.mark.parametrize("encrypted", [False, True])
def test_other_certifications_of_the_person_are_named(flow, names, erase, simulator, worker, encrypted):
    """Without the master key, too; and nothing else of the person is said."""
    hers = [f"person_a_{number}" for number in range(3)]
    flow.publish([*hers, *imp_uids(20)])
    key = {"IMPCERT_ENCRYPTION_KEY": master_key()} if encrypted else {}
    flow.wait_until_done(worker(simulator, **ONE, **key))
    done = erase(hers[1])
    assert (done.returncode, done.stderr) == (0, "")
    named = [line for line in done.stdout.splitlines() if line.startswith("the same person has: ")]
    assert named == [f"the same person has: {imp_uid}" for imp_uid in (hers[0], hers[2])]
    assert simulator.certifications(hers)[hers[1]]["unique_key"] not in done.stdout
    assert hers[0] in names.documents()


def test_an_event_under_way_is_waited_for(flow, names, erase, simulator_factory, worker):
    """Else its document would come back a moment later."""
    simulator = simulator_factory("--latency", "3s")
    flow.publish(["imp_1"])
    one = worker(simulator, **ONE)
    wait_for(lambda: simulator.counters()["in_flight"] == 1, 30, "the call")
    done = erase("imp_1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 document erased" in done.stdout
    flow.wait_until_done(one)
    assert names.documents() == {}


def test_an_event_that_waits_is_said_not_to_be_erased(flow, names, stack, settings, simulator, worker):
    """On the topic of the events without a worker, and on a retry topic for an hour: both would be stored later."""
    flow.publish(["missing_1"])
    one = worker(simulator, **ONE, IMPCERT_RETRY_DELAYS="1h")
    retries = names.retry_topic("1h")
    wait_for(lambda: retries in stack.kafka.topics() and stack.kafka.records(retries), 60, "a record on the retry topic")
    flow.wait_until_done(one)
    assert one.stop() == 0
    flow.publish(["imp_1", "imp_2"])
    environment = clean_environment(settings | {"IMPCERT_RETRY_DELAYS": "1h"})
    running = {
        imp_uid: subprocess.Popen(
            [binary("impcert-worker"), "--erase", imp_uid],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for imp_uid in ("missing_1", "imp_1", "imp_3")
    }
    ended = {imp_uid: (*process.communicate(timeout=90), process.returncode) for imp_uid, process in running.items()}
    assert [ended[imp_uid][2] for imp_uid in ended] == [1, 1, 0], ended
    assert f"an event of missing_1 waits on {retries} until 20" in ended["missing_1"][1]
    assert f"an event of imp_1 waits on {names.topic}, " in ended["imp_1"][1]
    assert ended["imp_3"][1] == ""


def test_who_is_away_is_named_and_nothing_is_half_done(flow, names, erase, dead, simulator, worker):
    flow.publish(["imp_1"])
    flow.wait_until_done(worker(simulator, **ONE))
    dead(letter("imp_1"))
    done = erase("imp_1", IMPCERT_KAFKA_BROKERS=NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is erased: no broker answers" in done.stderr and NOBODY in done.stderr
    assert set(names.documents()) == {"imp_1"}
    done = erase("imp_1", MONGODB_URI=f"mongodb://impcert:hunter2secret@{NOBODY}/")
    assert (done.returncode, done.stdout) == (1, "")
    assert "could not be erased" in done.stderr and NOBODY in done.stderr and "hunter2" not in done.stderr
    assert len(names.dead_letters()) == 1
    assert erase("imp_1").returncode == 0


@pytest.mark.parametrize("imp_uid", ["imp 1", "", "x" * 65, "imp_1'"])
def test_an_imp_uid_that_is_none_is_named(erase, imp_uid):
    done = erase(imp_uid)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--erase" in done.stderr and f'"{imp_uid}"' in done.stderr


def test_settings_of_the_task_alone_are_read(settings):
    own = {"MONGODB_URI": None, "IAMPORT_URL": "nonsense"}
    done = run_program("impcert-worker", "--erase", "imp_1", settings=settings | own)
    assert done.returncode == 2
    assert "1 setting is wrong" in done.stderr and "MONGODB_URI" in done.stderr
    done = run_program("impcert-worker", "--erase", "imp_1", "--apply-validator", settings=settings)
    assert done.returncode == 2 and "one at a time" in done.stderr
    done = run_program("impcert-worker", "--erase", "imp_1", "--erase", "imp_2", settings=settings)
    assert done.returncode == 2 and "twice" in done.stderr
