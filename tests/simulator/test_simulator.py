"""What the simulator promises, asked of the built program over real sockets.

SIMULATOR_BIN names the program; without it, build/release/bin/impcert-simulator is taken.
"""

import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIMULATOR_BIN", str(ROOT / "build/release/bin/impcert-simulator"))
DEADLINE = 10.0
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAIR = {"imp_key": "imp_key", "imp_secret": "imp_secret"}


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Simulator:
    """One running simulator and a client for it."""

    def __init__(self, *options):
        command = [BINARY, "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:(\d+))\n", line)
        assert match, line
        self.port = int(match[2])

    def stop(self, signum=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(DEADLINE)
        self.process.stdout.close()
        return code

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def call(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def ask_token(self, pair=None, headers=None):
        return self.call("POST", "/users/getToken", json.dumps(pair or PAIR), headers or JSON)

    def token(self):
        return self.ask_token().json["response"]["access_token"]

    def get(self, imp_uid, token=None):
        headers = {"Authorization": "Bearer " + (token or self.token())}
        return self.call("GET", "/certifications/" + urllib.parse.quote(imp_uid, safe=""), headers=headers)

    def control(self, method, path, body=None):
        answer = self.call(method, "/_control/" + path, None if body is None else json.dumps(body))
        assert answer.status == 200, answer.body
        return answer.json

    def counters(self):
        return self.control("GET", "counters")

    def raw_request(self, imp_uid, token):
        return (
            f"GET /certifications/{imp_uid} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()


@pytest.fixture
def start():
    running = []

    def starter(*options):
        running.append(Simulator(*options))
        return running[-1]

    yield starter
    for simulator in running:
        simulator.stop()


@pytest.fixture
def simulator(start):
    return start()


def wait_until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.005)


def read_answer(stream):
    """Reads one answer from a socket file; returns status and body."""
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) != b"\r\n":
        assert line, "closed within the head"
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, stream.read(length)


# The program


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_0(start, signum):
    assert start().stop(signum) == 0


def test_help_names_every_option():
    done = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0
    for option in [
        "listen",
        "fault",
        "no-calls",
        "key",
        "secret",
        "latency",
        "jitter",
        "token-life",
        "token-window",
        "token-extend",
        "clock-skew",
    ]:
        assert f"--{option}" in done.stdout


@pytest.mark.parametrize(
    "arguments, named, expected",
    [
        (["--latency", "fast"], "--latency", "expected a whole number with ms, s, m or h"),
        (["--token-life=0"], "--token-life", "from 1ms"),
        (["--latency"], "--latency", "has no value"),
        (["--speed", "9"], "--speed", "is not an option"),
        (["extra"], "extra", "is not an option"),
        (["--no-calls=1"], "--no-calls", "is not an option"),
        (["--key", ""], "--key", "expected 1 to 127"),
        (["--listen", "nowhere"], "--listen", "expected HOST:PORT"),
        (["--fault", "{"], "--fault", "is not JSON"),
        (["--fault", '{"kind":"storm"}'], "--fault", '"storm" is not known'),
        (["--fault", '{"kind":"status","status":99}'], "--fault", "from 200 to 599"),
        (["--fault", '{"kind":"hang","percnt":1}'], "--fault", '"percnt" is not known'),
        (["--fault", '{"kind":"latency"}'], "--fault", '"latency" is missing'),
        (["--fault", '{"kind":"key_refused","path":"certification"}'], "--fault", "does not go with"),
    ],
)
def test_a_bad_option_is_named_with_what_was_expected(arguments, named, expected):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2
    assert named in done.stderr and expected in done.stderr
    assert done.stderr.count("\n") == 1


# Tokens


@pytest.mark.parametrize("body, headers", [(json.dumps(PAIR), JSON), (urllib.parse.urlencode(PAIR), FORM)])
def test_a_token_is_given_for_json_and_form(simulator, body, headers):
    answer = simulator.call("POST", "/users/getToken", body, headers)
    assert answer.status == 200 and answer.json["code"] == 0
    response = answer.json["response"]
    assert re.fullmatch("[0-9a-f]{40}", response["access_token"])
    assert response["expired_at"] - response["now"] == 1800
    assert abs(response["now"] - time.time()) < 5


def test_a_form_is_percent_decoded(start):
    simulator = start("--key", "a key&", "--secret", "비밀=+")
    body = urllib.parse.urlencode({"imp_key": "a key&", "imp_secret": "비밀=+"})
    assert simulator.call("POST", "/users/getToken", body, FORM).status == 200


@pytest.mark.parametrize(
    "pair", [dict(PAIR, imp_key="other"), dict(PAIR, imp_secret="other"), dict(PAIR, imp_secret="x" * 5000)]
)
def test_a_wrong_pair_is_401(simulator, pair):
    answer = simulator.ask_token(pair)
    assert answer.status == 401 and answer.json["code"] == -1 and answer.json["response"] is None


@pytest.mark.parametrize("missing", ["imp_key", "imp_secret"])
def test_a_missing_parameter_is_400_and_named(simulator, missing):
    pair = {name: value for name, value in PAIR.items() if name != missing}
    for body, headers in [(json.dumps(pair), JSON), (urllib.parse.urlencode(pair), FORM)]:
        answer = simulator.call("POST", "/users/getToken", body, headers)
        assert answer.status == 400 and answer.json["code"] != 0 and missing in answer.json["message"]


def test_an_unreadable_body_is_400(simulator):
    assert simulator.call("POST", "/users/getToken", "{", JSON).status == 400
    assert simulator.call("POST", "/users/getToken", "[]", JSON).status == 400


def test_a_living_token_stays_the_same_with_the_same_end(simulator):
    first = simulator.ask_token().json["response"]
    second = simulator.ask_token().json["response"]
    assert (first["access_token"], first["expired_at"]) == (second["access_token"], second["expired_at"])
    assert simulator.counters()["tokens_issued"] == 1


def test_asked_in_its_last_minute_the_same_token_ends_5_minutes_later(simulator):
    first = simulator.ask_token().json["response"]
    simulator.control("PUT", "settings", {"clock_skew": "1739s"})
    assert simulator.ask_token().json["response"]["expired_at"] == first["expired_at"]
    simulator.control("PUT", "settings", {"clock_skew": "1741s"})
    second = simulator.ask_token().json["response"]
    assert second["access_token"] == first["access_token"]
    assert second["expired_at"] == first["expired_at"] + 300
    assert simulator.ask_token().json["response"]["expired_at"] == second["expired_at"]
    assert simulator.counters()["tokens_extended"] == 1


def test_after_its_end_a_token_is_refused_and_a_new_one_given(start):
    simulator = start("--token-life", "300ms", "--token-window", "0")
    old = simulator.token()
    assert simulator.get("imp_1", old).status == 200
    wait_until(lambda: simulator.get("imp_1", old).status == 401)
    new = simulator.token()
    assert new != old
    assert simulator.get("imp_1", new).status == 200


def test_expire_token_ends_it_at_once(simulator):
    old = simulator.token()
    simulator.control("POST", "expire-token")
    assert simulator.get("imp_1", old).status == 401
    assert simulator.token() != old


def test_bearer_and_bare_token_are_accepted_and_others_refused(simulator):
    token = simulator.token()
    path = "/certifications/imp_1"
    for value in ["Bearer " + token, "bearer " + token, token]:
        assert simulator.call("GET", path, headers={"Authorization": value}).status == 200
    for value in ["Bearer " + "0" * 40, "Bearer", "Basic " + token, token[:-1], ""]:
        answer = simulator.call("GET", path, headers={"Authorization": value})
        assert answer.status == 401 and answer.json["code"] == -1 and answer.json["response"] is None
    assert simulator.call("GET", path).status == 401
    assert simulator.counters()["unauthorized"] == 6


# Paths


def test_unknown_paths_are_404_and_wrong_methods_405(simulator):
    for path in ["/", "/certifications", "/certifications/", "//certifications/imp_1", "/users/gettoken"]:
        assert simulator.call("GET", path).status == 404, path
    assert simulator.get("a/b").status == 200
    assert simulator.call("GET", "/certifications/a/b").status == 404
    for method, path, allow in [
        ("GET", "/users/getToken", "POST"),
        ("DELETE", "/certifications/imp_1", "GET"),
    ]:
        answer = simulator.call(method, path)
        assert answer.status == 405 and answer.headers["Allow"] == allow and answer.json["code"] == -1


@pytest.mark.parametrize("imp_uid", ["imp_한글", "a b/c?d#e%f", '주문 "1"', "x" * 256])
def test_an_imp_uid_is_percent_decoded(simulator, imp_uid):
    assert simulator.get(imp_uid).json["response"]["imp_uid"] == imp_uid


@pytest.mark.parametrize("segment", ["x" * 257, "%ff", "a%00b", "%4", "%zz", "%ed%a0%80"])
def test_what_cannot_be_an_imp_uid_is_404(simulator, segment):
    headers = {"Authorization": simulator.token()}
    assert simulator.call("GET", "/certifications/" + segment, headers=headers).status == 404


# Records


def fetch_many(simulator, imp_uids):
    """Raw bodies by imp_uid, over one connection."""
    token = simulator.token()
    bodies = {}
    with simulator.socket() as client, client.makefile("rb") as stream:
        for imp_uid in imp_uids:
            client.sendall(simulator.raw_request(imp_uid, token))
            status, bodies[imp_uid] = read_answer(stream)
            assert status == 200
    return bodies


def test_records_are_the_same_in_every_run(start):
    names = [f"imp_{number}" for number in range(200)]
    assert fetch_many(start(), names) == fetch_many(start("--latency", "1ms"), names)


def test_one_record_is_as_it_always_was(simulator):
    record = simulator.get("imp_100000000001").json["response"]
    assert record["birthday"] == "1983-03-23" and record["birth"] == 417193200
    assert record["certified_at"] == 1708116204 and record["name"] == "박민수"
    assert record["unique_key"].startswith("jECLriIl4a1RRzrar80CdRHBPNun5/OoYOURmdWMYaA+sBQU")


def test_records_cover_what_the_service_may_send(simulator):
    bodies = fetch_many(simulator, [f"imp_{number:012d}" for number in range(3000)])
    records = {name: json.loads(body)["response"] for name, body in bodies.items()}
    known = {
        "imp_uid",
        "birth",
        "birthday",
        "carrier",
        "certified",
        "certified_at",
        "foreigner",
        "foreigner_v2",
        "gender",
        "merchant_uid",
        "name",
        "origin",
        "pg_provider",
        "pg_tid",
        "phone",
        "unique_in_site",
        "unique_key",
    }
    for name, record in records.items():
        assert record["imp_uid"] == name and record["certified"] is True
        assert re.fullmatch(r"[A-Za-z0-9+/]{86}==", record["unique_key"])
        assert re.fullmatch(r"010\d{8}", record.get("phone", "01000000000"))
        assert len(record.get("unique_in_site") or "") <= 64
        midnight = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=record["birth"])
        ahead = datetime.fromisoformat(record["birthday"] + "T00:00:00+00:00") - midnight
        assert timedelta(hours=8, minutes=30) <= ahead <= timedelta(hours=10)

    values = list(records.values())

    def some(test):
        return 0 < sum(bool(test(record)) for record in values) < len(values)

    assert some(lambda r: "phone" in r) and some(lambda r: "carrier" in r)
    assert some(lambda r: r["gender"] is None) and some(lambda r: r["birth"] < 0)
    assert some(lambda r: r["merchant_uid"] is None) and some(lambda r: " " in r["name"])
    assert some(lambda r: not re.search("[가-힣]", r["name"])) and some(lambda r: "𠮷" in r["name"])
    assert some(lambda r: "unique_in_site" not in r) and some(lambda r: r.get("unique_in_site", "") is None)
    assert some(lambda r: r.get("origin") == "about:blank") and some(lambda r: r.get("origin", "") is None)
    assert some(lambda r: len(r.get("origin") or "") > 300) and some(lambda r: "foreigner_v2" not in r)
    assert some(lambda r: set(r) - known)
    assert {r["pg_provider"] for r in values} == {"danal", "inicis", "inicis_unified", "kcp_v2"}
    assert all("carrier" not in r for r in values if r["pg_provider"] == "inicis_unified")
    assert len({r["unique_key"] for r in values}) == len(values)
    raw = list(bodies.values())
    assert any(b"\\u" in body for body in raw) and any("김".encode() in body for body in raw)
    assert any(b"https:\\/\\/" in body for body in raw) and any(b"https://" in body for body in raw)


@pytest.mark.parametrize("imp_uid", ["imp_1", "unfinished_1", "nokey_1", "absentkey_1", "slowish_한"])
def test_the_control_endpoint_holds_the_same_record(simulator, imp_uid):
    answered = simulator.get(imp_uid).json["response"]
    assert simulator.control("GET", "certifications/" + urllib.parse.quote(imp_uid)) == answered
    assert simulator.control("POST", "certifications", [imp_uid]) == {imp_uid: answered}


# Outcomes by name


def test_missing_is_404(simulator):
    answer = simulator.get("missing_1")
    assert answer.status == 404 and answer.json["code"] != 0 and answer.json["response"] is None
    assert simulator.call("GET", "/_control/certifications/missing_1").status == 404


def test_unfinished_is_a_record_that_proves_nothing(simulator):
    record = simulator.get("unfinished_1").json["response"]
    assert record["certified"] is False and record["name"] is None and record["unique_key"] is None
    assert not record["certified_at"] and "phone" not in record


def test_keys_may_be_empty_null_or_absent(simulator):
    assert simulator.get("nokey_1").json["response"]["unique_key"] == ""
    assert simulator.get("nullkey_1").json["response"]["unique_key"] is None
    absent = simulator.get("absentkey_1").json["response"]
    assert absent["certified"] is True and "unique_key" not in absent


@pytest.mark.parametrize("prefix, status, code", [("refused", 400, -1), ("code", 200, 1), ("error", 500, -1)])
def test_errors_come_in_the_envelope(simulator, prefix, status, code):
    answer = simulator.get(prefix + "_1")
    assert answer.status == status and answer.json["code"] == code and answer.json["response"] is None
    assert answer.json["message"]


def test_other_answers_about_somebody_else(simulator):
    assert simulator.get("other_1").json["response"]["imp_uid"] != "other_1"
    assert simulator.control("GET", "certifications/other_1")["imp_uid"] == "other_1"


@pytest.mark.parametrize("prefix, status", [("html", 200), ("unavailable", 503)])
def test_pages_come_as_html(simulator, prefix, status):
    answer = simulator.get(prefix + "_1")
    assert answer.status == status and answer.headers["Content-Type"].startswith("text/html")
    assert b"<html>" in answer.body


def test_empty_and_malformed_bodies_are_200(simulator):
    empty = simulator.get("empty_1")
    assert (empty.status, empty.body) == (200, b"")
    malformed = simulator.get("malformed_1")
    assert malformed.status == 200 and malformed.body.startswith(b'{"code":0')
    with pytest.raises(ValueError):
        json.loads(malformed.body.decode(errors="replace"))


def test_truncated_ends_before_its_length(simulator):
    with pytest.raises(http.client.IncompleteRead) as failure:
        simulator.get("truncated_1")
    assert failure.value.expected > 0 and failure.value.partial


def test_hang_never_answers_and_is_in_flight_until_the_client_goes(simulator):
    token = simulator.token()
    with simulator.socket() as client:
        client.sendall(simulator.raw_request("hang_1", token))
        wait_until(lambda: simulator.counters()["in_flight"] == 1)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
    wait_until(lambda: simulator.counters()["in_flight"] == 0)
    assert simulator.counters()["unanswered"] == 1


def test_reset_resets_the_connection(simulator):
    with pytest.raises(ConnectionResetError):
        simulator.get("reset_1")


def test_flaky_fails_as_often_as_its_digit_says(simulator):
    token = simulator.token()
    for imp_uid, statuses in [
        ("flaky0_1", [200]),
        ("flaky2_1", [503, 503, 200, 200]),
        ("flaky2_2", [503, 503, 200]),
    ]:
        assert [simulator.get(imp_uid, token).status for _ in statuses] == statuses


def test_limited_is_429_once(simulator):
    first = simulator.get("limited_1")
    assert first.status == 429 and first.headers["Retry-After"] == "1"
    assert simulator.get("limited_1").status == 200


def test_huge_is_ten_megabytes_of_valid_json(simulator):
    answer = simulator.get("huge_1")
    assert len(answer.body) > 10_000_000 and answer.json["response"]["imp_uid"] == "huge_1"


def test_slowbody_sends_a_byte_each_100_ms(simulator):
    with simulator.socket() as client:
        client.sendall(simulator.raw_request("slowbody_1", simulator.token()))
        got = b""
        while b"\r\n\r\n" not in got:
            got += client.recv(4096)
        begin = time.monotonic()
        assert [len(client.recv(4096)) for _ in range(3)] == [1, 1, 1]
        assert time.monotonic() - begin >= 0.18


def test_redirect_leads_elsewhere(simulator):
    answer = simulator.get("redirect_1")
    assert answer.status == 302 and answer.headers["Location"] == "/elsewhere"
    assert simulator.call("GET", "/elsewhere").status == 404


# Fault rules


def test_faults_come_from_the_command_line_and_change_while_it_runs(start):
    simulator = start(
        "--fault", '{"kind":"status","status":503,"match":"imp_1"}', "--fault", '{"kind":"refused"}'
    )
    assert simulator.get("imp_1").status == 503
    assert simulator.get("imp_2").status == 400
    rules = simulator.control("GET", "faults")
    assert [(rule["kind"], rule["hits"]) for rule in rules] == [("status", 1), ("refused", 1)]
    assert simulator.control("PUT", "faults", []) == []
    assert simulator.get("imp_1").status == 200
    assert [rule["hits"] for rule in simulator.control("PUT", "faults", rules)] == [0, 0]


def test_a_bad_rule_changes_nothing(simulator):
    simulator.control("PUT", "faults", [{"kind": "error"}])
    for body in [
        '[{"kind":"hang"},{"kind":"storm"}]',
        "{}",
        "[1]",
        "[",
        '[{"kind":"hang","times":0}]',
        '[{"kind":"status"}]',
        '[{"kind":"hang","status":500}]',
        '[{"kind":"error","retry_after":"a\\r\\nb"}]',
        '[{"kind":"hang","path":"token","times":1}]',
        '[{"kind":"missing","path":"token"}]',
    ]:
        answer = simulator.call("PUT", "/_control/faults", body)
        assert answer.status == 400 and answer.json["error"]
    assert simulator.get("imp_1").status == 500


def test_a_status_rule_sets_retry_after_and_body(simulator):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    simulator.control(
        "PUT",
        "faults",
        [
            {"kind": "status", "status": 429, "retry_after": 7, "match": "a_"},
            {"kind": "status", "status": 503, "retry_after": date, "body": "점검 중", "match": "b_"},
            {"kind": "status", "status": 418, "body": '{"code":9}'},
        ],
    )
    first, second, third = simulator.get("a_1"), simulator.get("b_1"), simulator.get("imp_1")
    assert (first.status, first.headers["Retry-After"], first.json["code"]) == (429, "7", -1)
    assert (second.status, second.headers["Retry-After"], second.body.decode()) == (503, date, "점검 중")
    assert (third.status, third.json) == (418, {"code": 9})


def test_percent_takes_its_share_of_imp_uids_and_always_the_same(simulator):
    simulator.control("PUT", "faults", [{"kind": "error", "percent": 20}, {"kind": "missing", "percent": 20}])
    token = simulator.token()
    statuses = [simulator.get(f"imp_{number}", token).status for number in range(600)]
    assert 60 < statuses.count(500) < 180
    assert 40 < statuses.count(404) < 150
    assert [simulator.get(f"imp_{number}", token).status for number in range(100)] == statuses[:100]


def test_times_counts_by_imp_uid_and_total_in_all(simulator):
    token = simulator.token()
    simulator.control(
        "PUT",
        "faults",
        [{"kind": "error", "times": 2, "match": "a_"}, {"kind": "error", "total": 2, "match": "b_"}],
    )
    assert [simulator.get("a_1", token).status for _ in range(3)] == [500, 500, 200]
    assert [simulator.get("a_2", token).status for _ in range(3)] == [500, 500, 200]
    assert [simulator.get(f"b_{number}", token).status for number in range(4)] == [500, 500, 200, 200]


@pytest.mark.parametrize(
    "kind, status",
    [
        ("missing", 404),
        ("refused", 400),
        ("error", 500),
        ("unavailable", 503),
        ("redirect", 302),
        ("limited", 429),
        ("expired_token", 401),
        ("html", 200),
        ("empty", 200),
        ("malformed", 200),
        ("huge", 200),
        ("code", 200),
        ("unfinished", 200),
        ("no_key", 200),
        ("null_key", 200),
        ("absent_key", 200),
        ("wrong_imp_uid", 200),
    ],
)
def test_every_answering_kind_answers(simulator, kind, status):
    simulator.control("PUT", "faults", [{"kind": kind, "total": 1}])
    assert simulator.get("imp_1").status == status
    assert simulator.get("imp_1").status == 200


@pytest.mark.parametrize(
    "kind, failure",
    [
        ("truncated", http.client.IncompleteRead),
        ("reset", ConnectionResetError),
        ("no_answer", http.client.RemoteDisconnected),
    ],
)
@pytest.mark.parametrize("path", ["certification", "token"])
def test_every_breaking_kind_breaks_the_connection(simulator, kind, failure, path):
    token = simulator.token()
    simulator.control("PUT", "faults", [{"kind": kind, "path": path}])
    with pytest.raises(failure):
        simulator.get("imp_1", token) if path == "certification" else simulator.ask_token()


def test_expired_token_refuses_a_valid_one(simulator):
    token = simulator.token()
    simulator.control("PUT", "faults", [{"kind": "expired_token", "times": 1}])
    assert simulator.get("imp_1", token).status == 401
    assert simulator.get("imp_1", token).status == 200
    assert simulator.counters()["unauthorized"] == 1


def test_key_refused_is_a_fault_of_the_token_path(simulator):
    simulator.control("PUT", "faults", [{"kind": "key_refused", "total": 1}])
    assert [simulator.ask_token().status for _ in range(2)] == [401, 200]


def test_a_slow_body_rule_sets_its_interval(simulator):
    simulator.control("PUT", "faults", [{"kind": "slow_body", "interval": "1ms"}])
    assert simulator.get("imp_1").json["response"]["imp_uid"] == "imp_1"


def test_a_latency_rule_slows_only_its_share(simulator):
    simulator.control("PUT", "faults", [{"kind": "latency", "latency": "300ms", "match": "slow_"}])
    token = simulator.token()
    begin = time.monotonic()
    assert simulator.get("imp_1", token).status == 200
    middle = time.monotonic()
    assert simulator.get("slow_1", token).status == 200
    assert middle - begin < 0.2 and time.monotonic() - middle >= 0.3


# Control endpoint


def test_counters_count_calls_by_imp_uid_and_status(simulator):
    token = simulator.token()
    for imp_uid in ["imp_1", "imp_1", "imp_2", "missing_1", "한/글"]:
        simulator.get(imp_uid, token)
    counters = simulator.counters()
    assert (counters["certification_calls"], counters["imp_uids"]) == (5, 4)
    assert (counters["token_requests"], counters["tokens_issued"]) == (1, 1)
    assert counters["by_status"] == {"200": 5, "404": 1}
    assert (counters["in_flight"], counters["max_in_flight"], counters["connections"]) == (0, 1, 1)
    assert simulator.control("GET", "calls") == {"imp_1": 2, "imp_2": 1, "missing_1": 1, "한/글": 1}
    assert simulator.control("GET", "calls/imp_1") == 2
    assert simulator.control("GET", "calls/" + urllib.parse.quote("한/글", safe="")) == 1
    assert simulator.control("GET", "calls/imp_3") == 0


def test_reset_forgets_counts_but_not_the_token(simulator):
    token = simulator.token()
    assert simulator.get("flaky1_1", token).status == 503
    simulator.control("POST", "reset")
    counters = simulator.counters()
    assert counters["certification_calls"] == counters["token_requests"] == counters["max_in_flight"] == 0
    assert counters["by_status"] == {} and simulator.control("GET", "calls") == {}
    assert simulator.get("flaky1_1", token).status == 503


def test_no_calls_switches_the_map_off(start):
    simulator = start("--no-calls")
    simulator.get("imp_1")
    assert simulator.call("GET", "/_control/calls").status == 409
    assert simulator.counters()["certification_calls"] == 1


def test_settings_change_while_it_runs_all_or_none(start):
    simulator = start("--latency", "0", "--token-life", "60s")
    settings = simulator.control("GET", "settings")
    assert (settings["token_life"], settings["token_window"], settings["token_extend"]) == (
        "60000ms",
        "2000ms",
        "10000ms",
    )
    for bad in [{"latency": "1ms", "jitter": "x"}, {"latency": 5}, {"speed": "1ms"}, []]:
        assert simulator.call("PUT", "/_control/settings", json.dumps(bad)).status == 400
    assert simulator.control("GET", "settings") == settings
    assert simulator.control("PUT", "settings", {"secret": "new"})["secret"] == "new"
    assert simulator.ask_token().status == 401


def test_records_of_thousands_come_at_once(simulator):
    names = [f"imp_{number}" for number in range(10000)] + ["missing_1", "bad\n"]
    records = simulator.control("POST", "certifications", names)
    assert list(records) == names
    assert records["imp_9999"]["imp_uid"] == "imp_9999"
    assert records["missing_1"] is None and records["bad\n"] is None
    assert simulator.counters()["certification_calls"] == 0


def test_control_requests_are_neither_delayed_nor_hit(start):
    simulator = start(
        "--latency", "1h", "--fault", '{"kind":"hang"}', "--fault", '{"kind":"hang","path":"token"}'
    )
    begin = time.monotonic()
    simulator.control("GET", "settings")
    assert time.monotonic() - begin < 1
    assert simulator.counters()["by_status"] == {}
    assert simulator.call("GET", "/_control/nothing").status == 404
    assert simulator.call("GET", "/_control/reset").status == 405


# HTTP


def test_pipelined_requests_are_answered_in_order(start):
    simulator = start("--latency", "1ms", "--jitter", "3ms")
    token = simulator.token()
    names = [f"imp_{number}" for number in range(100)]
    with simulator.socket() as client, client.makefile("rb") as stream:
        client.sendall(b"".join(simulator.raw_request(name, token) for name in names))
        got = [json.loads(read_answer(stream)[1])["response"]["imp_uid"] for _ in names]
    assert got == names


def test_a_client_that_half_closes_gets_what_it_asked_for(simulator):
    token = simulator.token()
    with simulator.socket() as client, client.makefile("rb") as stream:
        client.sendall(simulator.raw_request("imp_1", token) * 3)
        client.shutdown(socket.SHUT_WR)
        assert [read_answer(stream)[0] for _ in range(3)] == [200, 200, 200]
        assert stream.read() == b""


def test_a_request_may_come_byte_by_byte(simulator):
    with simulator.socket() as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in simulator.raw_request("imp_1", simulator.token()):
            client.sendall(bytes([byte]))
        assert read_answer(stream)[0] == 200


def test_connection_close_and_http_1_0_end_the_connection(simulator):
    for request in [b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"]:
        with simulator.socket() as client, client.makefile("rb") as stream:
            client.sendall(request)
            assert read_answer(stream)[0] == 404
            assert stream.read() == b""


def test_a_client_may_ask_before_it_sends_its_body(simulator):
    body = json.dumps(PAIR).encode()
    head = f"POST /users/getToken HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    with simulator.socket() as client, client.makefile("rb") as stream:
        client.sendall(head.encode())
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n" and stream.readline() == b"\r\n"
        client.sendall(body)
        assert read_answer(stream)[0] == 200


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET http://else/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
    ],
)
def test_bad_and_oversized_requests_are_refused_and_the_connection_closed(simulator, request_bytes, status):
    with simulator.socket() as client, client.makefile("rb") as stream:
        client.sendall(request_bytes)
        assert read_answer(stream)[0] == status
        assert stream.read() == b""
    assert simulator.get("imp_1").status == 200


def test_head_is_refused_without_a_body(simulator):
    answer = simulator.call("HEAD", "/certifications/imp_1")
    assert answer.status == 405 and answer.body == b""


def test_calls_wait_for_the_latency_together(start):
    simulator = start("--latency", "200ms")
    token = simulator.token()
    clients = [simulator.socket() for _ in range(500)]
    begin = time.monotonic()
    for number, client in enumerate(clients):
        client.sendall(simulator.raw_request(f"imp_{number}", token))
    first = None
    for client in clients:
        with client, client.makefile("rb") as stream:
            assert read_answer(stream)[0] == 200
            first = first or time.monotonic()
    assert first - begin >= 0.2
    assert time.monotonic() - begin < 2
    assert simulator.counters()["max_in_flight"] == 500


def test_twelve_thousand_connections_are_held_at_once(simulator):
    wanted = 12000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted + 200:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 200), hard))
    token = simulator.token()
    clients = []
    try:
        for _ in range(wanted):
            clients.append(simulator.socket())
        wait_until(lambda: simulator.counters()["max_connections"] >= wanted)
        for client in clients[::1000]:
            client.sendall(simulator.raw_request("imp_1", token))
            with client.makefile("rb") as stream:
                assert read_answer(stream)[0] == 200
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: simulator.counters()["connections"] == 1)


def test_it_serves_on_when_out_of_descriptors(simulator):
    resource.prlimit(simulator.process.pid, resource.RLIMIT_NOFILE, (50, 50))
    clients = [simulator.socket() for _ in range(80)]
    wait_until(lambda: len(os.listdir(f"/proc/{simulator.process.pid}/fd")) == 50)
    waiting = threading.Thread(target=simulator.token)
    waiting.start()
    for client in clients:
        client.close()
    waiting.join(DEADLINE)
    assert not waiting.is_alive()
    assert simulator.get("imp_1").status == 200
