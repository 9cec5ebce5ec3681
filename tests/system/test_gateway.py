"""impcert-gateway: what it answers to what, and what is on the topic when it has said 202."""

import json
import re

import pytest

from support import run_program, wait_for
from support.gateway import FORM, JSON, PATH, event

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TOKEN = "a-token-of-the-shop-1"
OTHER_TOKEN = "another-token-of-it-2"
SHOP = "https://shop.example"
PREFLIGHT = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, 3)
    return names.topic


@pytest.fixture
def ready(topic, gateway):
    """ready(...) starts a gateway and waits until it is ready."""
    return lambda **settings: gateway(**settings).wait_until_ready()


def assert_queued(answer, imp_uid):
    assert answer.status == 202, answer
    assert answer.body == b'{"imp_uid": "%s", "status": "queued"}\n' % imp_uid.encode()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def assert_problem(answer, status, title, field):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert problem["detail"]
    assert problem.get("field") == field


def on_topic(names):
    return sorted((record.key.decode(), record.value.decode()) for record in names.records())


@pytest.mark.parametrize(
    "headers, body",
    [
        (JSON, '{"imp_uid": "imp_1"}'),
        ({"Content-Type": "application/json;charset=UTF-8"}, '{"imp_uid":"imp_1","merchant_uid":"order 7"}'),
        (JSON, '{"success": true, "imp_uid": "imp_1", "name": "홍길동", "phone": "01012345678"}'),
        # Iamport's webhook, and what its sample page sends: a form that says it is JSON.
        (FORM, "imp_uid=imp_1&merchant_uid=order+7&status=paid"),
        (JSON, "imp_uid=imp_1&phone=01012345678"),
    ],
)
def test_an_answered_event_is_on_the_topic_with_its_imp_uid_alone(ready, names, headers, body):
    answer = ready().ask("POST", PATH, body.encode(), headers)
    assert_queued(answer, "imp_1")
    [record] = names.records()
    assert (record.key, record.value, record.headers) == (b"imp_1", b'{"imp_uid": "imp_1"}', [])


@pytest.mark.parametrize(
    "sent, wanted",
    [
        ({"traceparent": TRACE}, {"traceparent": TRACE}),
        ({"Traceparent": TRACE, "tracestate": "shop=1"}, {"traceparent": TRACE, "tracestate": "shop=1"}),
        ({"traceparent": TRACE, "tracestate": "no state"}, {"traceparent": TRACE}),
        ({"traceparent": "not-" + TRACE, "tracestate": "shop=1"}, {}),
        ({"tracestate": "shop=1", "X-Request-Id": "7"}, {}),
    ],
)
def test_a_trace_goes_on_where_it_is_valid(ready, names, sent, wanted):
    assert_queued(ready().post("imp_1", sent), "imp_1")
    [record] = names.records()
    assert dict(record.headers) == {name: value.encode() for name, value in wanted.items()}


def test_what_is_no_event_is_refused_and_named(ready, names):
    one = ready()
    for headers, body, part in [
        (JSON, b"", "empty"),
        (JSON, b"{", "JSON"),
        (JSON, b'{"phone": "01012345678"}', "imp_uid is missing"),
        (JSON, b'{"imp_uid": 7}', "a number"),
        (JSON, b'{"imp_uid": "im p"}', "at byte 3"),
        (JSON, b'{"imp_uid": "%s"}' % (b"x" * 65), "65 bytes"),
        (FORM, b"merchant_uid=7", "imp_uid is missing"),
        (FORM, b"imp_uid=imp_1&imp_uid=imp_1", "twice"),
        (FORM, b"imp_uid=imp_1%00", "at byte 6"),
        (FORM, b"imp_uid=imp_1\0", "NUL"),
    ]:
        answer = one.ask("POST", PATH, body, headers)
        assert_problem(answer, 400, "Bad Request", "imp_uid")
        assert part in answer.json["detail"], body
        assert "01012345678" not in answer.json["detail"]
    assert on_topic(names) == []


def test_other_methods_paths_and_types_are_told_what_is_expected(ready):
    one = ready()
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = one.ask(method, PATH)
        assert_problem(answer, 405, "Method Not Allowed", "method")
        assert answer.headers["allow"] == "POST, OPTIONS"
    answer = one.ask("POST", "/metrics", b"x", JSON)
    assert_problem(answer, 405, "Method Not Allowed", "method")
    assert answer.headers["allow"] == "GET, HEAD"
    assert_problem(one.ask("GET", "/"), 404, "Not Found", "path")
    assert_problem(one.ask("POST", "/certification", event("imp_1"), JSON), 404, "Not Found", "path")
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data; boundary=x"}):
        answer = one.ask("POST", PATH, event("imp_1"), headers)
        assert_problem(answer, 415, "Unsupported Media Type", "Content-Type")


def test_pages_are_read_with_get_and_head(ready):
    one = ready()
    for path, content_type in [
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ]:
        got, head = one.ask("GET", path), one.ask("HEAD", path)
        assert (got.status, head.status) == (200, 200)
        assert got.headers["content-type"] == head.headers["content-type"] == content_type
        assert got.body and not head.body
    assert one.get("/healthz") == (200, "alive\n")
    assert json.loads(one.get("/readyz")[1]) == {"ready": True, "reasons": {}}


def test_metrics_count_what_was_answered(ready):
    one = ready()
    with one.connect() as connection:
        for number in range(20):
            connection.post(f"imp_{number}")
        for _ in range(3):
            connection.ask("POST", PATH, b"{}", JSON)
        page = connection.ask("GET", "/metrics").body.decode()
    for line in page.splitlines():
        assert re.match(r"^(# (HELP|TYPE) \w+ .+|\w+(\{\w+=\"[^\"]*\"\})? [0-9.]+)$", line), line
    metrics = one.metrics()
    assert metrics['impcert_gateway_responses_total{status="202"}'] == 20
    assert metrics['impcert_gateway_responses_total{status="400"}'] == 3
    assert metrics['impcert_gateway_responses_total{status="503"}'] == 0
    assert metrics["impcert_gateway_publish_seconds_count"] == 20
    assert metrics['impcert_gateway_publish_seconds_bucket{le="+Inf"}'] == 20
    assert metrics["impcert_gateway_in_flight"] == 0
    assert metrics["impcert_gateway_connections"] >= 1
    assert metrics["process_resident_memory_bytes"] > 1_000_000


# ---- who may ----


def test_pages_of_listed_origins_may_post(ready):
    one = ready(IMPCERT_CORS_ORIGINS=f"{SHOP},https://m.shop.example")
    preflight = one.ask("OPTIONS", PATH, headers=PREFLIGHT | {"Access-Control-Request-Headers": "content-type"})
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert preflight.headers["access-control-allow-methods"] == "POST"
    allowed = preflight.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "traceparent", "tracestate"} == set(allowed)
    assert preflight.headers["vary"] == "Origin"
    assert int(preflight.headers["access-control-max-age"]) > 0
    answer = one.post("imp_1", {"Origin": SHOP})
    assert_queued(answer, "imp_1")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    refused = one.ask("POST", PATH, b"{}", JSON | {"Origin": SHOP})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (400, SHOP)


def test_pages_of_other_origins_may_not(ready):
    for settings in ({}, {"IMPCERT_CORS_ORIGINS": "https://other.example"}):
        one = ready(**settings)
        preflight = one.ask("OPTIONS", PATH, headers=PREFLIGHT)
        assert_problem(preflight, 403, "Forbidden", "Origin")
        assert not [name for name in preflight.headers if name.startswith("access-control-")]
        answer = one.post("imp_1", {"Origin": SHOP})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers.get("vary") == ("Origin" if settings else None)


def test_any_page_may_post_where_a_star_says_so(ready):
    one = ready(IMPCERT_CORS_ORIGINS="*")
    for answer in (one.ask("OPTIONS", PATH, headers=PREFLIGHT), one.post("imp_1", {"Origin": "null"})):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "vary" not in answer.headers


def test_tokens_are_asked_for_and_follow_their_file(ready, names, tmp_path):
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    one = ready(IMPCERT_BEARER_TOKENS_FILE=file)

    def status(token):
        return one.post("imp_1", {"Authorization": f"Bearer {token}"}).status

    missing = one.post("imp_1")
    assert_problem(missing, 401, "Unauthorized", "Authorization")
    assert missing.headers["www-authenticate"] == "Bearer"
    assert_problem(one.post("imp_1", {"Authorization": f"Basic {TOKEN}"}), 401, "Unauthorized", "Authorization")
    assert status(OTHER_TOKEN) == 401
    assert on_topic(names) == []
    assert status(TOKEN) == 202
    assert one.get("/metrics")[0] == 200
    file.write_text(f"{TOKEN}\n{OTHER_TOKEN}\n")
    wait_for(lambda: status(OTHER_TOKEN) == 202, 15, "the new token to be taken")
    file.write_text("short\n")
    assert one.wait_for_log("the bearer tokens can't be read again, those before stay")
    assert (status(TOKEN), status(OTHER_TOKEN)) == (202, 202)
    file.write_text(f"{OTHER_TOKEN}\n")
    wait_for(lambda: status(TOKEN) == 401, 15, "the old token to be refused")


def test_nothing_of_a_request_is_logged_or_counted(ready, tmp_path):
    planted = ("planted-phone-01098765432", "planted-name", TOKEN, OTHER_TOKEN, "planted-path", "planted-origin")
    one = ready(IMPCERT_BEARER_TOKENS=TOKEN, IMPCERT_LOG_LEVEL="debug", IMPCERT_CORS_ORIGINS=SHOP)
    body = b'{"imp_uid": "imp_1", "phone": "planted-phone-01098765432", "name": "planted-name"}'
    for token in (TOKEN, OTHER_TOKEN):
        for sent in (body, body[:-1], b"imp_uid=planted-phone-01098765432+planted-name"):
            headers = JSON | {"Authorization": f"Bearer {token}", "Origin": "https://planted-origin.example"}
            one.ask("POST", PATH, sent, headers)
            one.ask("POST", "/planted-path?planted-name", sent, headers)
    with one.connect() as connection:
        connection.send(b"planted-name planted-phone-01098765432\r\n\r\n")
        connection.answer()
    pages = [one.get(path)[1] for path in ("/metrics", "/readyz", "/healthz")]
    assert one.stop() == 0
    said = "\n".join([*one.stderr, *one.stdout, *pages])
    assert len(said) > 1000
    assert [secret for secret in planted if secret in said] == []


# ---- HTTP ----


def test_a_connection_takes_one_request_after_another(ready, names):
    with ready().connect() as connection:
        for number in range(5):
            assert_queued(connection.post(f"imp_{number}"), f"imp_{number}")
        assert connection.ask("POST", PATH, b"{}", JSON).status == 400
        assert connection.ask("POST", PATH, event("imp_5"), {"Content-Type": "text/plain"}).status == 415
        assert connection.ask("PUT", PATH, event("imp_5"), JSON).status == 405
        assert connection.ask("POST", "/", event("imp_5"), JSON).status == 404
        assert_queued(connection.post("imp_5"), "imp_5")
    assert [key for key, _ in on_topic(names)] == [f"imp_{number}" for number in range(6)]


def test_requests_that_come_at_once_are_answered_in_order(ready):
    with ready().connect() as connection:
        for number in range(30):
            body = b"{}" if number % 5 == 4 else event(f"imp_{number}")
            connection.request("POST", PATH, body, JSON)
        for number in range(30):
            answer = connection.answer()
            if number % 5 == 4:
                assert answer.status == 400
            else:
                assert_queued(answer, f"imp_{number}")


def test_bodies_may_come_in_chunks_and_pieces(ready):
    with ready().connect() as connection:
        connection.request("POST", PATH, None, JSON | {"Transfer-Encoding": "chunked"})
        for chunk in (b'{"imp_', b'uid": ', b'"imp_1"}'):
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        assert_queued(connection.answer(), "imp_1")
        head = f"POST {PATH} HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
        for byte in head.encode() + event("imp_2"):
            connection.send(bytes([byte]))
        assert_queued(connection.answer(), "imp_2")


def test_a_body_that_waits_to_be_asked_for_is_asked_for_only_if_wanted(ready):
    one = ready()
    expect = JSON | {"Expect": "100-continue"}
    with one.connect() as connection:
        connection.request("POST", PATH, None, expect | {"Content-Length": "20"})
        assert connection.answer().status == 100
        connection.send(event("imp_1"))
        assert_queued(connection.answer(), "imp_1")
    for headers, status in (({"Content-Length": "20000"}, 413), ({"Content-Length": "20", "Content-Type": "a/b"}, 415)):
        with one.connect() as connection:
            connection.request("POST", PATH, None, expect | headers)
            assert connection.answer().status == status
            connection.wait_until_ended()


def test_a_body_that_is_too_large_is_answered_and_the_connection_goes_on(ready):
    large = b" " * 20_000 + event("imp_1")
    with ready().connect() as connection:
        assert_queued(connection.ask("POST", PATH, b" " * (16 * 1024 - 20) + event("imp_0"), JSON), "imp_0")
        assert_problem(connection.ask("POST", PATH, large, JSON), 413, "Content Too Large", "body")
        connection.request("POST", PATH, None, JSON | {"Transfer-Encoding": "chunked"})
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large))
        assert_problem(connection.answer(), 413, "Content Too Large", "body")
        assert_problem(connection.ask("POST", PATH, b"x" * 900_000, JSON), 413, "Content Too Large", "body")
        assert_queued(connection.post("imp_2"), "imp_2")


def test_a_body_that_is_far_too_large_is_not_read(ready):
    one = ready()
    with one.connect() as connection:
        connection.request("POST", PATH, None, JSON | {"Content-Length": "2000000000"})
        assert_problem(connection.answer(), 413, "Content Too Large", "body")
        connection.wait_until_ended()
    with one.connect() as connection:
        connection.request("POST", PATH, None, JSON | {"Transfer-Encoding": "chunked"})
        try:
            for _ in range(100):
                connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except ConnectionError:
            pass
        connection.wait_until_ended()
    assert one.alive()


def test_headers_that_are_too_large_are_refused(ready):
    one = ready()
    assert_queued(one.post("imp_1", {"X-Large": "x" * 4000}), "imp_1")
    for headers in ({"X-Large": "x" * 20_000}, {f"X-{number}": "x" * 100 for number in range(200)}):
        with one.connect() as connection:
            connection.request("POST", PATH, event("imp_1"), JSON | headers)
            answer = connection.answer()
            assert answer is None or answer.status == 431
            connection.wait_until_ended()
    with one.connect() as connection:
        assert connection.ask("POST", "/" + "x" * 20_000, event("imp_1"), JSON).status == 414
    assert_queued(one.post("imp_2"), "imp_2")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(128, 256)) + b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"POST /certifications HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /certifications HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /certifications HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_the_connection(ready, names, sent):
    one = ready()
    with one.connect() as connection:
        connection.send(sent)
        answer = connection.answer()
        assert answer is None or 400 <= answer.status < 600
        connection.wait_until_ended()
    assert_queued(one.post("imp_1"), "imp_1")


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 20\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 20",
        "Content-Length: 20\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
    ],
)
def test_a_body_whose_end_is_unclear_is_not_read(ready, names, lines):
    """A proxy in front may see another end, and hide a request in the rest."""
    with ready().connect() as connection:
        connection.send(f"POST {PATH} HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n{lines}\r\n\r\n".encode())
        answer = connection.answer()
        assert answer.status == 400
        if "content-type" in answer.headers:  # else libmicrohttpd, from version 1 on, has refused it by itself
            assert_problem(answer, 400, "Bad Request", "Content-Length")
        connection.wait_until_ended()
    assert on_topic(names) == []


def test_http_1_0_is_answered(ready):
    one = ready()
    with one.connect() as connection:
        assert_queued(connection.ask("POST", PATH, event("imp_1"), JSON, version="1.0"), "imp_1")
        connection.wait_until_ended()
    with one.connect() as connection:
        for number in range(2):
            keep = JSON | {"Connection": "Keep-Alive"}
            assert_queued(connection.ask("POST", PATH, event("imp_1"), keep, version="1.0"), "imp_1")


# ---- starting ----


def test_all_settings_faults_come_at_once():
    settings = {
        "IMPCERT_HTTP_LISTEN": "here",
        "IMPCERT_IN_FLIGHT": "0",
        "IMPCERT_CORS_ORIGINS": "shop.example",
        "IMPCERT_BEARER_TOKENS": "planted",
        "IMPCERT_REQUEST_TIMEOUT": "10",
        "IMPCERT_CORS_ORIGIN": SHOP,
    }
    done = run_program("impcert-gateway", settings=settings)
    assert done.returncode == 2
    named = re.findall(r"^  (IMPCERT_\w+): ", done.stderr, re.M)
    assert sorted(named) == sorted([*settings, "IMPCERT_KAFKA_BROKERS"])
    assert "planted" not in done.stderr


def test_off_is_no_address_for_a_gateway():
    settings = {"IMPCERT_KAFKA_BROKERS": "127.0.0.1:1", "IMPCERT_HTTP_LISTEN": "off"}
    done = run_program("impcert-gateway", "--check-config", settings=settings)
    assert done.returncode == 2
    assert "IMPCERT_HTTP_LISTEN: off, expected host:port" in done.stderr


def test_an_address_in_use_is_named(gateway):
    address = gateway(IMPCERT_KAFKA_BROKERS="127.0.0.1:1").address
    again = gateway(IMPCERT_KAFKA_BROKERS="127.0.0.1:1", IMPCERT_HTTP_LISTEN=address)
    assert again.wait() == 1
    [line] = again.log(message="cannot start")
    assert address in line["error"] and "in use" in line["error"]
