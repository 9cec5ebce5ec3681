"""impcert-replay: from a dead letter to a stored document, and nothing lost or doubled on the way."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import time
from collections import Counter
from datetime import timedelta

import pytest
from confluent_kafka import KafkaError, TopicPartition

from support import SANITIZED, schemas, wait_for
from support.flow import event, imp_uids
from support.replay import TRACE, letter

# Ten transactions of 500, over a second.
SPREAD = ("--rate", "5000")
NOWHERE = "127.0.0.1:1"  # nothing listens on port 1
QUICK = {"IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "10ms"}
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "0",
}


@pytest.fixture
def dead(stack, names, flow):
    """dead(letter("imp_1"), ...) puts them on the DLQ."""
    return lambda *letters: stack.kafka.produce(names.dlq, letters)


def replayed(names):
    """How often each key is on the main topic, as committed."""
    return Counter(record.key.decode() for record in names.records())


def facts(record):
    return {name: value.decode() for name, value in record.headers if name.startswith("impcert.")}


# ---- the way back ----


def test_from_a_dead_letter_to_a_stored_document(flow, names, stack, simulator, worker, replay):
    """The merchant's account is at fault for some, and is mended: a few are tried, then the rest is replayed."""
    count = 5000
    gone, denied, good = imp_uids(count // 2, "gone"), imp_uids(count // 2, "denied"), imp_uids(count)
    simulator.faults([{"kind": "missing", "match": "gone"}, {"kind": "refused", "match": "denied"}])
    one = worker(simulator, **QUICK, IMPCERT_RETRY_DELAYS="1s")
    flow.publish([imp_uid for each in zip(good[::2], gone, good[1::2], denied) for imp_uid in each])
    flow.wait_for_documents(count)
    flow.wait_until_done(one)
    wait_for(lambda: len(names.dead_letters()) == count, 60, f"{count} dead letters")
    assert replay.unresolved() == {"not_found": count // 2, "refused": count // 2}
    assert re.search(r"^not_found +2500 +2500 +0 +0 +0  20", replay("list").stdout, re.M)

    simulator.faults([])
    dry = replay("run", "--reason", "not_found", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "2500 events would be replayed: 2500 not_found\n")
    few = replay("run", "--reason", "not_found", "--limit", "10")
    assert (few.returncode, few.stderr) == (0, "replayed 10 events: 10 not_found\n")
    flow.wait_for_documents(count + 10)
    assert replay.unresolved() == {"not_found": count // 2 - 10, "refused": count // 2}
    rest = replay("run")
    assert (rest.returncode, rest.stderr) == (0, "replayed 4990 events: 2490 not_found, 2500 refused\n")
    assert replay("list").stdout == f"nothing is unresolved on {names.dlq}\n"
    flow.wait_for_documents(2 * count)
    flow.wait_until_done(one)
    assert set(names.documents()) == set(good + gone + denied)

    before = stack.kafka.end_offsets(names.topic)
    again = replay("run")
    assert (again.returncode, again.stderr) == (0, "replayed 0 events (nothing to do)\n")
    assert stack.kafka.end_offsets(names.topic) == before


def test_an_event_goes_back_as_it_came(flow, names, dead, replay):
    key, value, headers = letter("imp_1")
    foreign = [("z", b"1"), ("a", b""), ("z", b"2"), ("binary", bytes(range(256))), ("none", None)]
    value = b'{ "note" : "\\u0041 \xea\xb0\x80", "imp_uid":"imp_1" }\n'
    dead((key, value, foreign + headers))
    assert replay("run").returncode == 0
    [record] = names.records()
    assert (record.key, record.value) == (b"imp_1", value)
    own = [header for header in record.headers if header[0].startswith("impcert.")]
    assert [header for header in record.headers if header not in own] == [*foreign, TRACE]
    assert {name for name, _ in own} == {"impcert.replayed_at", "impcert.replay_count", "impcert.replay_history"}
    [mark] = [record for record in names.dead_letters() if record.value is None]
    assert mark.key == b"imp_1"
    assert facts(mark) == {name: facts(record)[name] for name in ("impcert.replayed_at", "impcert.replay_count")}


def test_the_group_has_no_lag_behind_a_transaction(flow, names, simulator, worker, dead, replay):
    """A transaction's end takes an offset, which is no event."""
    dead(*[letter(imp_uid) for imp_uid in imp_uids(100)])
    one = worker(simulator)
    assert replay("run").returncode == 0
    flow.wait_for_documents(100)
    flow.wait_until_done(one)


# ---- what fails again ----


def test_one_that_fails_again_comes_back_with_its_history(flow, names, simulator, worker, replay):
    flow.publish([(*event("missing_1"), [TRACE]), (*event("refused_1"), [TRACE])])
    one = worker(simulator, **QUICK, IMPCERT_RETRY_DELAYS="1s")
    for replays in range(3):
        wait_for(lambda: sum(replay.unresolved().values()) == 2, 30, "both to be dead letters")
        for found in newest(names).values():
            assert int(facts(found).get("impcert.replay_count", 0)) == replays
            assert TRACE in found.headers
            history = json.loads(facts(found).get("impcert.replay_history", "[]"))
            assert [one["reason"] for one in history] == [facts(found)["impcert.reason"]] * replays
        done = replay("run", "--max-replays", "2")
        if replays < 2:
            assert (done.returncode, done.stderr) == (0, "replayed 2 events: 1 not_found, 1 refused\n")
    assert done.returncode == 0
    assert done.stderr == "replayed 0 events (nothing to do)\nleft alone 2: replayed often enough already (--max-replays)\n"
    story = replay.story("missing_1")
    assert [step["what"] for step in story] == ["failed", "replayed", "failed", "replayed", "failed"]
    failures = [step for step in story if step["what"] == "failed"]
    assert all(step["reason"] == "not_found" and step["origin"].startswith(names.topic) for step in failures)
    assert [step.get("replay_count") for step in failures] == [None, "1", "2"]
    assert len({step["origin"] for step in failures}) == 3
    for record in names.dead_letters():
        assert not schemas.faults("dead-letter", schemas.record_json(record))
    text = replay("show", "missing_1").stdout
    assert text.count("\nfailed  ") + text.startswith("failed  ") == 3
    assert text.endswith("missing_1: unresolved\n")
    flow.wait_until_done(one)


def newest(names):
    """{key: its newest record, where that is a letter}"""
    found = {record.key: record for record in names.dead_letters()}
    return {key: record for key, record in found.items() if record.value is not None}


def test_what_compaction_took_is_told_by_the_history(names, stack, simulator, worker, replay):
    stack.kafka.create_topic(names.topic, 1)
    stack.kafka.create_topic(names.dlq, 1, COMPACTED)
    stack.kafka.produce(names.topic, [event("missing_1")])
    worker(simulator, **QUICK)
    for _ in range(2):
        wait_for(lambda: replay.unresolved(), 30, "a dead letter")
        assert replay("run").returncode == 0
    wait_for(lambda: replay.unresolved(), 30, "a dead letter")

    def compacted():
        # The newest segment is never compacted: each look begins another.
        stack.kafka.produce(names.dlq, [letter("filler"), ("filler", None)])
        return [record.key for record in names.dead_letters()].count(b"missing_1") == 1

    wait_for(compacted, 90, "the DLQ to be compacted", interval=1)
    story = replay.story("missing_1")
    assert [(step["what"], step["reason"]) for step in story] == [("failed", "not_found")] * 3
    assert len({step["origin"] for step in story}) == 3
    assert [step["offset"] for step in map(json.loads, replay("list", "--json").stdout.splitlines())]
    assert replay.unresolved() == {"not_found": 1}
    assert replay("run").stderr == "replayed 1 events: 1 not_found\n"


def test_an_invalid_event_is_left_alone_unless_it_is_named(flow, names, simulator, worker, replay):
    flow.publish([(b"k", b"no JSON"), (None, b"{}"), "refused_1"])
    flow.wait_until_done(worker(simulator, **QUICK))
    done = replay("run", "--dry-run")
    assert done.stderr == "1 events would be replayed: 1 refused\nleft alone 2: no valid imp_uid, these would fail again\n"
    done = replay("run", "--reason", "invalid_event", "--dry-run")
    assert done.stderr == "2 events would be replayed: 2 invalid_event\n"
    [key] = [one["key"] for one in map(json.loads, replay("list", "--json").stdout.splitlines()) if one["key"] != "refused_1"][:1]
    assert key.startswith(f"{names.topic}/")
    assert replay("run", "--imp-uid", key).stderr == "replayed 1 events: 1 invalid_event\n"


# ---- choosing ----


def test_filters_choose_by_reason_key_and_time(dead, replay):
    day = timedelta(days=1)
    dead(
        letter("imp_1", "not_found", age=timedelta(minutes=1)),
        letter("imp_2", "not_found", age=day * 2),
        letter("imp_3", "refused", age=day * 10),
        letter("imp_4", "unavailable", age=timedelta(hours=3)),
    )

    def chosen(*arguments):
        lines = replay("list", "--json", *arguments).stdout.splitlines()
        return sorted(json.loads(line)["key"][-1] for line in lines)

    assert chosen() == ["1", "2", "3", "4"]
    assert chosen("--reason", "refused,unavailable") == ["3", "4"]
    assert chosen("--reason", "refused", "--reason", "not_found") == ["1", "2", "3"]
    assert chosen("--imp-uid", "imp_2", "--imp-uid", "imp_9") == ["2"]
    assert chosen("--since", "1d") == ["1", "4"]
    assert chosen("--until", "1d", "--since", "7d") == ["2"]
    assert chosen("--until", "2020-01-01") == []
    table = [line.split() for line in replay("list").stdout.splitlines()]
    assert table[0] == "reason events < 1 h < 1 day < 7 days older oldest".split()
    assert [row[:6] for row in table[1:]] == [
        ["not_found", "2", "1", "0", "1", "0"],
        ["refused", "1", "0", "0", "0", "1"],
        ["unavailable", "1", "0", "1", "0", "0"],
        ["all", "4", "1", "1", "1", "1"],
    ]


def test_a_limit_takes_the_oldest(dead, names, replay):
    dead(*[letter(f"imp_{days}", age=timedelta(days=days)) for days in (3, 9, 1, 7, 5)])
    assert replay("run", "--limit", "2").returncode == 0
    assert set(replayed(names)) == {"imp_9", "imp_7"}


def test_the_rate_is_kept_in_every_second(stack, names, dead, replay):
    rate, count = 40, 100
    dead(*[letter(imp_uid) for imp_uid in imp_uids(count)])
    assert replay("run", "--rate", str(rate)).returncode == 0
    times = sorted(timestamps(stack, names.topic))
    assert len(times) == count
    # Half a second's events go together, and a second can hold two such groups and the begin of a third.
    together = rate // 2
    for first, later in zip(times, times[rate + together :]):
        assert later - first >= 990, f"more than {rate} events a second"


def timestamps(stack, topic):
    """When each record was produced, in ms."""
    consumer = stack.kafka.consumer(**{"enable.partition.eof": True})
    try:
        ends = stack.kafka.end_offsets(topic)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        found, ended = [], 0
        while ended < len(ends):
            for message in consumer.consume(1000, timeout=0.1):
                if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
                else:
                    found.append(message.timestamp()[1])
        return found
    finally:
        consumer.close()


# ---- nothing lost, nothing doubled ----


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_kill_9_at_any_point_leaves_each_event_replayed_once(names, dead, replay, report, kills):
    seed = random.randrange(10**6)
    dice, rounds, whole, count, killed = random.Random(seed), 0, None, 5000, []
    while len(killed) < kills:
        if not sum(replay.unresolved().values()):
            dead(*[letter(imp_uid, "refused") for imp_uid in imp_uids(count, f"imp{rounds}")])
            rounds += 1
        whole = whole or duration_of_a_run(replay, names, dead)
        process = replay.start("run", *SPREAD)
        try:
            process.wait(dice.uniform(whole / 3, whole))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed.append(sum(replay.unresolved().values()))
    done = replay("run")
    assert done.returncode == 0, done.stderr
    assert not replay.unresolved()
    counts = replayed(names)
    wanted = {imp_uid for number in range(rounds) for imp_uid in imp_uids(count, f"imp{number}")}
    wanted |= set(imp_uids(count, "measured"))
    assert set(counts) == wanted, f"seed {seed}: {len(wanted - set(counts))} lost"
    assert set(counts.values()) == {1}, f"seed {seed}: doubled"
    report(f"{len(killed)} kills -9 in {rounds} x {count} events, left unresolved after each: {killed} (seed {seed})")


def duration_of_a_run(replay, names, dead, count=5000):
    """With the begun round's events on the queue, too."""
    dead(*[letter(imp_uid, "not_found") for imp_uid in imp_uids(count, "measured")])
    assert replay("run", "--reason", "not_found", "--limit", "1").returncode == 0  # the cluster's first transaction
    started = time.monotonic()
    assert replay("run", "--reason", "not_found", *SPREAD).returncode == 0
    return time.monotonic() - started


def test_of_two_operators_the_second_goes_on_alone(names, dead, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(1000)])
    first = replay.start("run", "--rate", "100")
    wait_for(lambda: len(names.records()) >= 50, 30, "the first's first transaction")
    second = replay("run")
    assert second.returncode == 0, second.stderr
    _, stderr = first.communicate(timeout=60)
    assert first.returncode == 1
    assert f"another impcert-replay works on {names.dlq} now" in stderr
    assert replayed(names) == dict.fromkeys(imp_uids(1000), 1)
    done = [int(re.search(r"replayed (\d+) events", text)[1]) for text in (stderr, second.stderr)]
    assert sum(done) == 1000 and all(done), done


def test_sigint_stops_between_transactions(names, dead, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(1000)])
    process = replay.start("run", "--rate", "200")
    wait_for(lambda: len(names.records()) >= 100, 30, "the first transaction")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted: stopped between two transactions, nothing is half done" in stderr
    done, left = (int(re.search(pattern, stderr)[1]) for pattern in (r"replayed (\d+) events", r"(\d+) are left"))
    assert done + left == 1000 and 100 <= done < 1000
    assert sum(replayed(names).values()) == done
    assert sum(replay.unresolved().values()) == left
    assert replay("run").stderr == f"replayed {left} events: {left} not_found\n"
    assert replayed(names) == dict.fromkeys(imp_uids(1000), 1)


def test_one_event_that_is_too_large_holds_no_other_up(stack, names, replay):
    """As where the limit of the main topic was lowered."""
    stack.kafka.create_topic(names.dlq, 1)
    stack.kafka.create_topic(names.topic, 1, {"max.message.bytes": "20000"})
    key, value, headers = letter("imp_large")
    noise = random.Random(1).randbytes(30_000).hex().encode()
    letters = [letter(imp_uid) for imp_uid in imp_uids(20)]
    stack.kafka.produce(names.dlq, [*letters[:10], (key, value[:-1] + b', "x": "' + noise + b'"}', headers), *letters[10:]])
    done = replay("run")
    assert done.returncode == 1
    assert "imp_large: committing a transaction: " in done.stderr
    assert "replayed 20 events: 20 not_found\n1 are left as they were\n" in done.stderr
    assert replayed(names) == dict.fromkeys(imp_uids(20), 1)
    assert replay.unresolved() == {"not_found": 1}


def test_a_broker_that_comes_back_in_the_middle_doubles_nothing(stack, names, dead, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(600)])
    process = replay.start("run", "--rate", "100")
    wait_for(lambda: len(names.records()) >= 50, 30, "the first transaction")
    stack.kafka.kill()
    stack.kafka.start()
    process.communicate(timeout=180)
    assert process.returncode in (0, 1)
    done = replay("run")
    assert done.returncode == 0, done.stderr
    assert replayed(names) == dict.fromkeys(imp_uids(600), 1)


# ---- giving up ----


def test_discard_needs_a_reason_and_a_word_of_consent(dead, names, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(3)])
    assert replay("discard").returncode == 2
    assert "--yes" in replay("discard", "--why", "tested").stderr
    assert discard_on_a_terminal(replay, b"no\n")[0] == 1
    assert replay.unresolved() == {"not_found": 3}
    status, stderr = discard_on_a_terminal(replay, b"yes\n", "--limit", "1")
    assert status == 0
    assert stderr == "1 events will be given up, for good. Type yes to go on: discarded 1 events: 1 not_found\n"
    assert replay.unresolved() == {"not_found": 2}
    assert replay("discard", "--yes", "--why", "closed account").returncode == 0
    assert not replay.unresolved()
    assert names.records() == []
    for record in names.dead_letters():
        assert not schemas.faults("dead-letter", schemas.record_json(record))
    assert [step["what"] for step in replay.story(imp_uids(3)[2])] == ["failed", "discarded"]
    assert replay.story(imp_uids(3)[2])[-1]["why"] == "closed account"


def discard_on_a_terminal(replay, answer, *arguments):
    """(exit code, what it says)"""
    terminal, stdin = pty.openpty()
    try:
        process = replay.start("discard", "--why", "tested", *arguments, stdin=stdin)
        os.close(stdin)
        os.write(terminal, answer)
        _, stderr = process.communicate(timeout=60)
        return process.returncode, stderr
    finally:
        os.close(terminal)


# ---- what it says ----


def test_progress_is_drawn_on_a_terminal(dead, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(200)])
    terminal, stderr = pty.openpty()
    process = replay.start("run", "--rate", "80", stderr=stderr)
    os.close(stderr)
    drawn = read_terminal(terminal)
    assert process.wait(30) == 0
    line = r"\r\x1b\[K\[=+ +\] +\d+ %  \d+ events, \d+/s, \d+ s left"
    assert re.search(line, drawn), drawn
    assert drawn.endswith("\r\x1b[Kreplayed 200 events: 200 not_found\r\n")


def read_terminal(terminal):
    """What is written to it until its other side is closed."""
    drawn = b""
    while True:
        try:
            drawn += os.read(terminal, 4096)
        except OSError:
            os.close(terminal)
            return drawn.decode()


def test_without_a_terminal_there_are_plain_lines(dead, replay):
    dead(*[letter(imp_uid) for imp_uid in imp_uids(200)])
    lines = replay("run", "--rate", "30").stderr.splitlines()
    assert len(lines) >= 2 and lines[-1] == "replayed 200 events: 200 not_found"
    assert all(re.fullmatch(r"impcert-replay: \d+ of 200 events, \d+/s(, \d+ s left)?", line) for line in lines[:-1]), lines


def test_json_names_each_event_that_is_moved(dead, replay):
    dead(letter("imp_1"), letter("imp_2", "refused"))
    lines = [json.loads(line) for line in replay("run", "--json").stdout.splitlines()]
    assert sorted(lines, key=lambda line: line["key"]) == [
        {"key": "imp_1", "reason": "not_found", "what": "replayed"},
        {"key": "imp_2", "reason": "refused", "what": "replayed"},
    ]


def test_records_of_somebody_else_do_no_harm(stack, names, dead, replay):
    long_key = b"k" * 70_000
    dead(
        (None, b"no key", []),
        (b"\xff\x1b[31m", b"v", []),
        (long_key, b"v", [("impcert.reason", b"\x1b[2J"), ("impcert.replay_history", b"[1,{\"error\":2}]")]),
        (b"imp_\x01", b"v", [("impcert.reason", b"not_found"), ("impcert.replay_count", b"-7"), ("impcert.failed_at", b"now")]),
    )
    keys = [json.loads(line)["key"] for line in replay("list", "--json").stdout.splitlines()]
    assert len(keys) == 3 and "\\xff\\u001b[31m" in keys
    text = replay("list").stdout
    assert re.search(r"^\(unknown\) +2 +2 ", text, re.M), text
    assert "\x1b" not in replay("show", long_key.decode()).stdout
    assert replay("run").returncode == 0
    assert not replay.unresolved()
    assert {record.key for record in names.records()} == {b"\xff\x1b[31m", long_key, b"imp_\x01"}


def test_nothing_personal_is_printed(dead, names, replay):
    secret = "Hong Gildong"
    key, _, headers = letter("imp_1")
    dead((key, json.dumps({"imp_uid": "imp_1", "name": secret}).encode(), [*headers, ("name", secret.encode())]))
    for arguments in (["list"], ["list", "--json"], ["show", "imp_1"], ["show", "imp_1", "--json"], ["run", "--json"]):
        done = replay(*arguments)
        assert done.returncode == 0
        assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, named",
    [
        ([], "list, show IMP_UID, run, discard"),
        (["play"], "list, show IMP_UID, run, discard"),
        (["list", "run"], "list, show IMP_UID, run, discard"),
        (["show"], "imp_uid"),
        (["run", "--reason", "sad"], "--reason"),
        (["run", "--since", "yesterday"], "--since"),
        (["run", "--until", "2026-13-01"], "--until"),
        (["run", "--limit", "0"], "--limit"),
        (["run", "--rate", "-1"], "--rate"),
        (["run", "--max-replays", "x"], "--max-replays"),
        (["run", "--imp-uid", ""], "--imp-uid"),
        (["run", "--bogus"], "--bogus"),
        (["run", "--why", "tested"], "--why"),
        (["run", "--yes"], "--yes"),
        (["list", "--limit", "3"], "--limit"),
        (["list", "--max-replays", "3"], "--max-replays"),
        (["discard", "--rate", "3"], "--rate"),
        (["discard", "--why", ""], "--why"),
        (["discard", "--yes"], "--why"),
        (["show", "imp_1", "--reason", "refused"], "--reason"),
        (["show", "imp_1", "--dry-run"], "--dry-run"),
    ],
)
def test_a_bad_command_line_exits_2_and_names_what_is_wrong(names, replay, arguments, named):
    done = replay(*arguments)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr


def test_a_setting_that_is_wrong_exits_2(replay):
    done = replay("list", IMPCERT_KAFKA_BROKERS=None)
    assert done.returncode == 2
    assert "IMPCERT_KAFKA_BROKERS" in done.stderr


@pytest.mark.parametrize("command", [["list"], ["show", "imp_1"], ["run"]])
def test_a_broker_that_is_away_is_told_and_nothing_is_done(replay, command):
    done = replay(*command, IMPCERT_KAFKA_BROKERS=NOWHERE, deadline=30)
    assert done.returncode == 1
    assert "no broker answers: " in done.stderr and "127.0.0.1:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_topic_that_is_not_there_is_named(stack, names, replay):
    done = replay("run")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"topic {names.dlq} does not exist" in done.stderr
    stack.kafka.create_topic(names.dlq, 1)
    done = replay("run")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"topic {names.topic} does not exist" in done.stderr
    assert names.topic not in stack.kafka.topics()
    assert replay("list").returncode == 0


def test_show_of_an_unknown_imp_uid_says_so(dead, names, replay):
    dead(letter("imp_1"))
    done = replay("show", "imp_2")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"imp_2 is not on {names.dlq}" in done.stderr


# ---- long queues ----


@pytest.mark.parametrize("count", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_memory_goes_with_what_is_unresolved(stack, names, flow, replay, report, count):
    """Of so many records all but 1,000 keys are dealt with."""
    kept = imp_uids(1000, "kept")
    fill(stack, names.dlq, [letter(imp_uid) for imp_uid in kept[:500]])
    for start in range(0, count - 1000, 20_000):
        some = imp_uids(min(10_000, (count - 1000 - start) // 2), f"done{start}")
        fill(stack, names.dlq, [letter(imp_uid) for imp_uid in some])
        fill(stack, names.dlq, [(imp_uid.encode(), None) for imp_uid in some])
    fill(stack, names.dlq, [letter(imp_uid) for imp_uid in kept[500:]])
    assert sum(stack.kafka.end_offsets(names.dlq).values()) == count
    done = replay.measure("list")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^all +1000 ", done.stdout, re.M), done.stdout
    more = 50_000
    # As many records again of the same keys, and then of new ones: what is fetched ahead costs the same.
    fill(stack, names.dlq, [letter(imp_uid) for imp_uid in kept * (more // 1000)])
    done = done._replace(peak_memory=replay.measure("list").peak_memory)
    fill(stack, names.dlq, [letter(imp_uid) for imp_uid in imp_uids(more, "more")])
    bigger = replay.measure("list")
    assert re.search(rf"^all +{1000 + more} ", bigger.stdout, re.M), bigger.stdout
    by_key = (bigger.peak_memory - done.peak_memory) / more
    report(
        f"{count} records, 1,000 unresolved: {done.seconds:.1f} s, at most {done.peak_memory / 2**20:.0f} MiB; "
        f"with {more} more unresolved {bigger.peak_memory / 2**20:.0f} MiB, {by_key:.0f} bytes a key"
    )
    if not SANITIZED:
        assert done.seconds < 10
        assert done.peak_memory < 100 * 2**20
        assert by_key < 400


def fill(stack, topic, records):
    """In large batches, which is quicker; uncompressed, as the worker writes."""
    stack.kafka.produce(topic, records, **{"linger.ms": 50, "batch.num.messages": 10000})
