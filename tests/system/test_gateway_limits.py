"""impcert-gateway: clients that are slow, idle or many hold neither it nor the others up."""

import resource
import threading
from contextlib import ExitStack

import pytest

from support import SANITIZED, wait_for
from support.gateway import JSON, PATH, event

HEAD = f"POST {PATH} HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
MEBIBYTE = 1024 * 1024


@pytest.fixture
def ready(names, stack, gateway):
    """ready(...) starts a gateway and waits until it is ready."""
    stack.kafka.create_topic(names.topic, 3)
    return lambda **settings: gateway(**settings).wait_until_ready()


def drip(connection):
    """Sends one more byte; true once the connection has ended."""
    try:
        connection.send(b"x")
    except ConnectionError:
        return True
    return connection.ended()


@pytest.mark.parametrize("start", [HEAD + "X-Slow: ", HEAD + "\r\n", HEAD + "Transfer-Encoding: x"])
def test_a_request_that_drips_in_is_cut(ready, start):
    one = ready(IMPCERT_REQUEST_TIMEOUT="500ms")
    with one.connect() as connection:
        connection.send(start.encode())
        wait_for(lambda: drip(connection), 3, "the slow connection to be cut", interval=0.1)
    assert one.metric("impcert_gateway_slow_connections_total") == 1
    assert one.metric('impcert_gateway_responses_total{status="202"}') == 0


def test_a_request_that_takes_its_time_within_the_limit_is_answered(ready):
    one = ready(IMPCERT_REQUEST_TIMEOUT="20s", IMPCERT_IDLE_TIMEOUT="1s")
    body, sent = event("imp_1"), 0
    with one.connect() as connection:
        connection.send(HEAD.replace("1000", str(len(body))).encode() + b"\r\n")

        def all_sent():
            nonlocal sent
            connection.send(body[sent : sent + 1])
            sent += 1
            return sent == len(body)

        wait_for(all_sent, 20, "the body to be sent", interval=0.1)
        assert connection.answer().status == 202


def test_idle_connections_are_closed(ready):
    one = ready(IMPCERT_IDLE_TIMEOUT="1s")
    with one.connect() as fresh, one.connect() as used, one.connect() as begun:
        assert used.post("imp_1").status == 202
        begun.send(b"POST /certif")
        for connection in (fresh, used, begun):
            connection.wait_until_ended(deadline=4)
    assert one.metric("impcert_gateway_slow_connections_total") == 0


def test_one_address_gets_only_its_share_of_connections(ready):
    one = ready(IMPCERT_CLIENT_CONNECTIONS=5)
    wait_for(lambda: one.metric("impcert_gateway_connections") == 1, 10, "only this connection")
    with ExitStack() as opened:
        connections = [opened.enter_context(one.connect()) for _ in range(5)]
        assert [connection.post("imp_1").status for connection in connections] == [202] * 5
        with one.connect() as beyond:
            beyond.wait_until_ended()
        connections[0].close()

        def served():
            with one.connect() as connection:
                answer = None if connection.ended() else connection.post("imp_1")
                return answer and answer.status == 202

        wait_for(served, 10, "the share to be free again")


def test_connections_beyond_the_limit_wait_until_others_end(ready):
    one = ready(IMPCERT_CONNECTIONS=3, IMPCERT_IDLE_TIMEOUT="2s")
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(one.connect()).post("imp_1")
        assert one.post("imp_2").status == 202  # once idle ones were closed


def test_clients_leave_descriptors_to_kafka(ready):
    one = ready(wrapper=["prlimit", "--nofile=200:200"])
    [line] = one.log(message="the limit of open files allows fewer connections than IMPCERT_CONNECTIONS")
    assert (line["level"], line["connections"]) == ("warn", 100)
    before = one.descriptors()
    with ExitStack() as opened:
        connections = [opened.enter_context(one.connect()) for _ in range(300)]
        assert [connection.post("imp_1").status for connection in connections[:95]] == [202] * 95
        assert one.descriptors() <= before + 100


def test_nothing_is_left_of_connections_that_ended(ready):
    one = ready(IMPCERT_REQUEST_TIMEOUT="1s", IMPCERT_IDLE_TIMEOUT="1s")
    assert one.post("imp_1").status == 202  # Kafka's connections are there
    before = one.descriptors()
    for number in range(1000):
        with one.connect() as connection:
            match number % 4:
                case 0:
                    assert connection.post("imp_1").status == 202
                case 1:
                    connection.send(b"POST ")
                case 2:
                    connection.request("POST", PATH, event("imp_1"), JSON)  # gone before the answer
                case 3:
                    connection.request("POST", PATH, event("imp_1")[:-1], JSON | {"Content-Length": "20"})
    wait_for(lambda: one.metric("impcert_gateway_connections") == 1, 20, "only this connection")
    wait_for(lambda: one.descriptors() <= before, 10, f"{before} descriptors", interval=0.1)


def hold(one, idle, slow, opened):
    """Opens connections that never ask, and others that send a byte now and then; until `opened` is left."""
    for _ in range(idle):
        opened.enter_context(one.connect())
    dripping = [opened.enter_context(one.connect()) for _ in range(slow)]
    for number, connection in enumerate(dripping):
        connection.send((HEAD + ("\r\n" if number % 2 else "X-Slow: ")).encode())
    stop = threading.Event()

    def feed():
        while not stop.wait(1):
            for connection in dripping:
                connection.send(b"x")

    feeder = threading.Thread(target=feed)
    feeder.start()
    opened.callback(feeder.join)
    opened.callback(stop.set)


def assert_others_are_served(ready, report, idle, slow):
    if SANITIZED:
        pytest.skip("sanitizers multiply a program's memory")
    need = idle + slow + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"at most {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    one = ready(IMPCERT_CLIENT_CONNECTIONS=0, IMPCERT_REQUEST_TIMEOUT="5m", IMPCERT_IDLE_TIMEOUT="5m")
    assert one.post("imp_1").status == 202  # the first waits for the producer's id
    before, bare = one.metrics(), one.memory()
    with ExitStack() as opened:
        hold(one, idle, slow, opened)
        held = one.metric("impcert_gateway_connections")
        assert held >= idle + slow
        with one.connect() as connection:
            assert [connection.post(f"imp_{number}").status for number in range(200)] == [202] * 200
        for number in range(50):
            assert one.post(f"imp_{number}").status == 202
        after = one.metrics()
        full = one.memory()
        assert one.metric("impcert_gateway_connections") >= idle + slow
    samples = ("impcert_gateway_publish_seconds_count", 'impcert_gateway_publish_seconds_bucket{le="1"}')
    assert [after[sample] - before[sample] for sample in samples] == [250, 250], "some waited for more than a second"
    report(
        f"{idle} idle and {slow} slow connections: {full / MEBIBYTE:.1f} MiB, without them {bare / MEBIBYTE:.1f}; "
        f"{(full - bare) / (idle + slow):.0f} bytes each"
    )
    assert full - bare < (idle + slow) * 20_000 + 8 * MEBIBYTE


def test_idle_and_slow_connections_hold_nobody_up(ready, report):
    assert_others_are_served(ready, report, idle=500, slow=50)


@pytest.mark.long
def test_thousands_of_idle_and_slow_connections_hold_nobody_up(ready, report):
    assert_others_are_served(ready, report, idle=10_000, slow=1_000)
