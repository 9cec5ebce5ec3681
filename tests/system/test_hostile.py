"""Ten thousand hostile records, requests and answers: none gets through, none is an end of the program, each is told why."""

import random
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import SANITIZED, wait_for
from support.flow import imp_uids
from support.hostile import ANSWERS, RECORDS, REQUESTS, HostileService, hostile_records, hostile_requests
from test_poison import OddService

COUNT = 2_000 if SANITIZED else 10_000
ONE_TRY = {"IMPCERT_ATTEMPTS": 1, "IMPCERT_WORKERS": 1}
TOKEN = "a-token-of-the-shop-1"


@pytest.fixture
def seed(report):
    seed = random.SystemRandom().randrange(1 << 32)
    report(f"seed {seed}")
    return seed


def test_hostile_records_are_dead_letters_and_nothing_else(flow, names, simulator, worker, replay, seed, report):
    records = list(hostile_records(COUNT, seed))
    good = imp_uids(100)
    flow.publish([record for _, record in records[: COUNT // 2]] + good[:50])
    flow.publish([record for _, record in records[COUNT // 2 :]] + good[50:])
    one = worker(simulator, **ONE_TRY)
    flow.wait_until_done(one, deadline=120)
    assert set(names.documents()) == set(good)
    # The last header of a name counts; those of a replay are kept as they came.
    letters = [dict(record.headers) for record in names.dead_letters()]
    reasons = Counter(letter["impcert.reason"].decode() for letter in letters)
    assert reasons == {"invalid_event": COUNT}, reasons
    assert all(letter["impcert.error"] for letter in letters)
    assert not set(simulator.calls()) - set(good), "something was asked for"
    # Headers of ours on the main topic are nobody's word.
    assert {letter["impcert.attempts"] for letter in letters} == {b"0"}
    assert all(letter["impcert.origin"].startswith(names.topic.encode() + b"/") for letter in letters)
    # Nobody can be made to send them again by what they hold.
    done = replay("run", deadline=120)
    assert done.returncode == 0, done.stderr
    flow.wait_until_done(one)
    assert set(names.documents()) == set(good)
    assert one.alive()
    report(f"{COUNT} records of {len(RECORDS)} kinds: {dict(reasons)}")


def test_forged_retries_and_dead_letters_do_no_harm(flow, names, stack, simulator, worker, replay, seed):
    """Whoever may write to these topics can't hold a tier up, and can't get anything stored that Iamport does not say."""
    count = COUNT // 5
    records = [record for _, record in hostile_records(count, seed)]
    one = worker(simulator, **(ONE_TRY | {"IMPCERT_RETRY_DELAYS": "1s"})).wait_until_ready()
    stack.kafka.produce(names.retry_topic("1s"), records)
    stack.kafka.produce(names.dlq, [record for record in records if record[0]])
    flow.publish(imp_uids(50) + ["missing_1"])
    wait_for(
        lambda: one.metric("impcert_events_dead_lettered_total") >= count + 1, 60, "the forged retries as dead letters"
    )
    for arguments in (("list",), ("show", "imp_victim_1"), ("run", "--dry-run"), ("run",)):
        done = replay(*arguments, deadline=120)
        assert done.returncode in (0, 1), (arguments, done.returncode, done.stderr)
    flow.wait_until_done(one)
    assert set(names.documents()) == set(imp_uids(50))
    assert one.alive()


def ask(address, data):
    """The status of the first answer, or "closed" where the connection ends without one."""
    host, _, port = address.rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), 20) as connection:
        try:
            connection.sendall(data)
            while b"\r\n" not in answer and (piece := connection.recv(65536)):
                answer += piece
        except ConnectionError:
            pass
    return answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/") else "closed"


def test_hostile_requests_are_refused(names, stack, gateway, seed, report):
    stack.kafka.create_topic(names.topic, 3)
    front = gateway(IMPCERT_BEARER_TOKENS=TOKEN, IMPCERT_REQUEST_TIMEOUT="1s", IMPCERT_IDLE_TIMEOUT="2s").wait_until_ready()
    open_before, statuses = front.descriptors(), Counter()

    def try_one(request):
        kind, data = request
        if kind != "a token that is none":
            data = data.replace(b"Host: gateway", b"Host: gateway\r\nAuthorization: Bearer " + TOKEN.encode(), 1)
        return kind, ask(front.address, data)

    with ThreadPoolExecutor(16) as threads:
        statuses = Counter(threads.map(try_one, hostile_requests(COUNT, seed)))
    answered = Counter()
    for (_, status), count in statuses.items():
        answered[status] += count
    report(f"{COUNT} requests of {len(REQUESTS)} kinds, answered {dict(answered)}")
    assert not [status for status in answered if status.startswith(("2", "5"))], statuses
    assert not names.records()
    wait_for(lambda: front.descriptors() <= open_before, 20, "the connections to be gone")
    assert front.post("imp_good", {"Authorization": f"Bearer {TOKEN}"}).status == 202
    assert [record.key for record in names.records()] == [b"imp_good"]


def test_hostile_answers_are_never_stored(flow, names, worker, seed, report):
    service = OddService(HostileService(seed))
    wanted, good = imp_uids(COUNT, "evil"), imp_uids(100, "good")
    try:
        flow.publish(wanted[: COUNT // 2] + good + wanted[COUNT // 2 :])
        one = worker(IAMPORT_URL=service.url, IMPCERT_IN_FLIGHT=64, **ONE_TRY)
        flow.wait_until_done(one, deadline=180)
    finally:
        service.close()
    assert set(names.documents()) == set(good)
    letters = flow.letters_by_imp_uid()
    assert set(letters) == set(wanted)
    reasons = Counter(letter.reason for letter in letters.values())
    assert set(reasons) <= {"bad_response", "no_unique_key", "not_certified", "refused"}, reasons
    said = "\n".join(one.stderr) + "".join(letter.facts["error"] for letter in letters.values())
    for planted in ("planted-name", "01098765432", "1999-09-19", "the-unique-key"):
        assert planted not in said
    report(f"{COUNT} answers of {len(ANSWERS)} kinds: {dict(reasons)}")
