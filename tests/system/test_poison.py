"""Events and answers that mean harm or make none: each ends as it should, and nothing of it gets through."""

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import SANITIZED
from support.flow import event, imp_uids

MEBIBYTE = 1024 * 1024
ONE_TRY = {"IMPCERT_ATTEMPTS": 1, "IMPCERT_WORKERS": 1}
# Each would be another request, or another path, if it got into one.
BAD_IMP_UIDS = [
    "imp_1\r\nX-Injected: 1",
    "imp_1\nX-Injected: 1",
    "imp_1 HTTP/1.1\r\nHost: elsewhere\r\n\r\nGET /elsewhere",
    "imp_1\u0000",
    "imp_1\t",
    "imp%2f1",
    "imp%0d%0aX-Injected:%201",
    "..",
    ".",
    "imp.1",
    "../users/getToken",
    "imp_1/../imp_2",
    "imp/1",
    "imp\\1",
    "imp_1?a=1",
    "imp_1#a",
    "imp_1;a",
    "imp_1@elsewhere",
    "http://elsewhere/imp_1",
    "{imp_1,imp_2}",
    "imp_[1-3]",
    "imp_1\u202e",
    "ｉｍｐ_1",
]
DEEP = 100_000


class OddService:
    """An Iamport of few lines, whose certifications are whatever a test gives: (status, headers, body)."""

    def __init__(self, answer):
        self.requests = []  # (method, path, headers)
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                now = int(time.time())
                token = {"access_token": "odd", "now": now, "expired_at": now + 1800}
                self.reply(200, {}, json.dumps({"code": 0, "message": None, "response": token}).encode())

            def do_GET(self):
                self.reply(*answer(self.path))

            def reply(self, status, headers, body):
                service.requests.append((self.command, self.path, dict(self.headers)))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 1024  # all that a worker opens at once

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def paths(self):
        return [path for method, path, _ in self.requests if method == "GET"]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def odd_service():
    services = []

    def start(answer):
        services.append(OddService(answer))
        return services[-1]

    yield start
    for service in services:
        service.close()


def certification(path):
    """The body of a good answer to a call of this path."""
    record = {"imp_uid": path.rpartition("/")[2], "certified": True, "unique_key": "key", "certified_at": 1600000000}
    return json.dumps({"code": 0, "message": None, "response": record}).encode()


def padded(imp_uid, size=900_000):
    return imp_uid.encode(), b'{"imp_uid": "%s", "padding": "%s"}' % (imp_uid.encode(), b"x" * size)


def test_large_values_are_events_like_others(flow, simulator, worker):
    """Good ones, failing ones and garbage, of 900 kB each; all in one fetch's way."""
    good, refused = imp_uids(20), imp_uids(5, "refused")
    garbage = [(b"k", bytes([byte]) * 900_000) for byte in (0x00, 0x5B, 0x7B, 0x22, 0xFF)]
    flow.publish([*(padded(imp_uid) for imp_uid in [*good, *refused]), *garbage, *imp_uids(100, "small")])
    one = worker(simulator, **ONE_TRY)
    flow.wait_until_done(one)
    letters = flow.letters()
    assert {letter.reason for letter in letters} == {"refused", "invalid_event"}
    assert sorted(letter.value for letter in letters) == sorted(
        value for _, value in [*(padded(imp_uid) for imp_uid in refused), *garbage]
    )
    origins = [letter.key.decode() for letter in letters if letter.reason == "invalid_event"]
    flow.assert_ends(documents=[*good, *imp_uids(100, "small")], letters=[*refused, *origins])
    assert SANITIZED or one.peak_memory() < 128 * MEBIBYTE


@pytest.mark.parametrize(
    "value",
    [
        b'{"imp_uid": "imp_1", "deep": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"imp_uid": "imp_1", "deep": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP,
        b'{"imp_uid": "imp_1", "imp_uid": "imp_1"}',
        b'{"imp_uid": "imp_1", "other": {"a": 1, "a": 2}}',
        b'{"imp_uid": "imp_1", "number": ' + b"9" * 100_000 + b"e999999999}",
        b'{"imp_uid": "imp_1", "text": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"imp_uid": "imp_1"}',
        '{"imp_uid": "imp_1"}'.encode("utf-16"),
    ],
    ids="deep arrays,deep objects,closed,open,twice,twice inside,number,surrogate,byte order mark,UTF-16".split(","),
)
def test_odd_json_is_a_dead_letter_and_no_end_of_the_worker(flow, simulator, worker, value):
    """Or, where it says clearly which certification is meant, an event like any other."""
    flow.publish([(b"k", value), *imp_uids(20, "good")])
    one = worker(simulator, **ONE_TRY)
    flow.wait_until_done(one)
    assert one.alive()
    letters = flow.letters()
    assert [(letter.value, letter.reason) for letter in letters] in ([], [(value, "invalid_event")])
    flow.assert_ends(
        documents=imp_uids(20, "good") + ([] if letters else ["imp_1"]),
        letters=[letter.key.decode() for letter in letters],
    )


def test_nothing_gets_into_a_request(flow, simulator, worker):
    """Whatever is no imp_uid is refused as an event, before any call."""
    flow.publish([*((b"k", json.dumps({"imp_uid": text}).encode()) for text in BAD_IMP_UIDS), "imp_1"])
    flow.wait_until_done(worker(simulator, **ONE_TRY))
    letters = flow.letters()
    assert sorted(json.loads(letter.value)["imp_uid"] for letter in letters) == sorted(BAD_IMP_UIDS)
    assert {(letter.reason, letter.attempts) for letter in letters} == {("invalid_event", 0)}
    assert simulator.calls() == {"imp_1": 1}


def test_null_values_and_odd_keys_are_kept_apart(flow, names, simulator, worker):
    """A null value becomes an empty one on the DLQ, where a null would say that its key was replayed."""
    keys = [None, b"", b"\x00", b"\xff\xfe", b"imp_1", "임프".encode(), b"k" * 10_000]
    flow.publish([(key, value) for key in keys for value in (None, b"", event("refused_1")[1])])
    flow.wait_until_done(worker(simulator, **ONE_TRY))
    letters = flow.letters()
    assert len(letters) == 3 * len(keys)
    assert {letter.value for letter in letters} == {b"", event("refused_1")[1]}
    invalid = [letter for letter in letters if letter.reason == "invalid_event"]
    assert [letter.key.decode() for letter in invalid] == ["{}/{}/{}".format(*letter.origin) for letter in invalid]
    assert sorted(letter.facts["error"] for letter in invalid if "null" in letter.facts["error"]) == [
        "the value is null"
    ] * len(keys)
    assert {letter.key for letter in letters if letter.reason == "refused"} == {b"refused_1"}


def test_a_huge_answer_is_cut_off(flow, simulator, worker):
    """Ten megabytes of valid JSON, many at a time."""
    huge, good = imp_uids(15, "huge"), imp_uids(200)
    flow.publish([*good, *huge])
    one = worker(simulator, **ONE_TRY)
    flow.wait_until_done(one)
    flow.assert_ends(documents=good, letters=huge)
    assert {letter.reason for letter in flow.letters()} == {"bad_response"}
    assert all("too large" in letter.facts["error"] for letter in flow.letters())
    assert SANITIZED or one.peak_memory() < 64 * MEBIBYTE, f"{one.peak_memory() / MEBIBYTE:.0f} MiB"


def test_nothing_is_inflated_unasked(flow, odd_service, worker):
    """A compressed answer, which nobody asked for, may be a thousand times as large inside."""
    bomb = gzip.compress(b" " * 50 * MEBIBYTE)

    def answer(path):
        if path.endswith("good_1"):
            return 200, {}, certification(path)
        body = bomb if path.endswith("bomb_1") else gzip.compress(certification(path))
        return 200, {"Content-Encoding": "gzip", "Content-Type": "application/json"}, body

    service = odd_service(answer)
    flow.publish(["bomb_1", "packed_1", "good_1"])
    one = worker(service, **ONE_TRY)
    flow.wait_until_done(one)
    flow.assert_ends(documents=["good_1"], letters=["bomb_1", "packed_1"])
    assert {letter.reason for letter in flow.letters()} == {"bad_response"}
    assert not any("gzip" in headers.get("Accept-Encoding", "") for _, _, headers in service.requests)
    assert SANITIZED or one.peak_memory() < 64 * MEBIBYTE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(flow, odd_service, worker, status):
    """They would take the token to wherever they say."""
    seen = odd_service(lambda path: (200, {}, certification("moved_1")))

    def answer(path):
        if path.endswith("good_1"):
            return 200, {}, certification(path)
        return status, {"Location": f"{seen.url}/certifications/moved_1" if "other" in path else "/elsewhere"}, b""

    service = odd_service(answer)
    flow.publish(["moved_1", "other_1", "good_1"])
    flow.wait_until_done(worker(service, **ONE_TRY))
    flow.assert_ends(documents=["good_1"], letters=["moved_1", "other_1"])
    assert {(letter.reason, letter.status) for letter in flow.letters()} == {("bad_response", status)}
    assert sorted(service.paths()) == [f"/certifications/{imp_uid}" for imp_uid in ("good_1", "moved_1", "other_1")]
    assert seen.requests == []


def test_odd_heads_are_survived(flow, odd_service, worker):
    """Of an answer whose body is fine, and of one whose head never ends."""
    heads = {
        "folded_1": {"X-Folded": "a\r\n b"},
        "many_1": {f"X-{number}": "x" * 100 for number in range(500)},
        "long_1": {"X-Long": "x" * 90_000},
        "endless_1": {"X-Long": "x" * 2_000_000},
        "cookie_1": {"Set-Cookie": "a=b; Path=/"},
        "type_1": {"Content-Type": "text/plain; charset=utf-16"},
    }
    service = odd_service(lambda path: (200, heads.get(path.rpartition("/")[2], {}), certification(path)))
    flow.publish([*heads, *imp_uids(10)])
    one = worker(service, **ONE_TRY)
    flow.wait_until_done(one)
    letters = flow.letters_by_imp_uid()
    flow.assert_ends(documents=set(heads) - set(letters) | set(imp_uids(10)), letters=letters)
    assert {letter.reason for letter in letters.values()} <= {"unavailable", "bad_response"}
    assert "endless_1" in letters
    assert not any("Cookie" in headers for _, _, headers in service.requests)
