"""impcert-gateway: every 202 is on the topic, whatever ends, and everything else was an honest error."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from support import wait_for
from support.gateway import JSON, PATH, Load, event


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, 3)
    return names.topic


@pytest.fixture
def paused(stack):
    """paused() freezes the broker until the test's end, or until stack.kafka.resume()."""
    yield stack.kafka.pause
    stack.kafka.resume()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def reasons(one):
    status, text = one.get("/readyz")
    page = json.loads(text)
    assert page["ready"] == (status == 200) == (not page["reasons"])
    return page["reasons"]


def assert_unavailable(answer):
    assert answer.status == 503, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.json["title"] == "Service Unavailable"


def keys(names):
    return {record.key.decode() for record in names.records()}


def assert_all_on_topic(names, load):
    found = keys(names)
    missing = sorted(load.queued - found)
    assert not missing, f"{len(missing)} of {len(load.queued)} answered with 202 are lost: {missing[:5]}"
    for answer in load.refused:
        assert_unavailable(answer)


def wait_for_in_flight(one, count):
    wait_for(lambda: one.metric("impcert_gateway_in_flight") == count, 10, f"{count} events in flight")


def end_timed(one, deadline=30):
    """Seconds until it has ended, which must be with 0."""
    started = time.monotonic()
    assert one.wait(deadline) == 0, one.log_tail()
    return time.monotonic() - started


# ---- without a broker ----


def test_a_broker_that_comes_later(topic, names, stack, gateway):
    stack.kafka.stop()
    try:
        one = gateway()
        assert_unavailable(one.post("imp_1"))
        one.wait_for_log("not ready", part="kafka")
        assert "no broker answers" in reasons(one)["kafka"]
        assert one.alive()
        started = time.monotonic()
        for number in range(20):
            assert_unavailable(one.post(f"imp_{number}"))
        assert time.monotonic() - started < 1, "who knows that nobody answers need not wait"
    finally:
        stack.kafka.start()
    one.wait_until_ready()
    assert one.post("imp_late").status == 202
    assert "imp_late" in keys(names)


def test_a_broker_killed_under_load(topic, names, stack, gateway, report):
    one = gateway().wait_until_ready()
    with Load(one) as load:
        load.wait_for_queued(1000)
        stack.kafka.kill()
        try:
            wait_for(lambda: load.refused, 30, "an honest error")
        finally:
            stack.kafka.start()
        one.wait_until_ready()
        load.wait_for_queued(len(load.queued) + 1000)
    assert load.unanswered == []
    assert load.connections == 8, "each thread kept its connection"
    assert_all_on_topic(names, load)
    report(f"{len(load.queued)} queued, {len(load.refused)} refused with 503")


def test_a_topic_that_comes_later(names, stack, gateway):
    one = gateway()
    wait_for(lambda: names.topic in reasons(one).get("kafka", ""), 20, "readiness to name the topic")
    assert_unavailable(one.post("imp_1"))
    stack.kafka.create_topic(names.topic, 1)
    one.wait_until_ready()
    assert one.post("imp_2").status == 202
    assert "imp_2" in keys(names)


def test_a_full_queue_is_told_at_once(topic, names, stack, gateway, paused, pool):
    one = gateway(IMPCERT_IN_FLIGHT=3, IMPCERT_PUBLISH_TIMEOUT="20s").wait_until_ready()
    one.post("imp_0")
    paused()
    waiting = [pool.submit(one.post, f"imp_{number}") for number in (1, 2, 3)]
    wait_for_in_flight(one, 3)
    started = time.monotonic()
    answer = one.post("imp_4")
    assert time.monotonic() - started < 1
    assert_unavailable(answer)
    stack.kafka.resume()
    assert [answer.result(30).status for answer in waiting] == [202] * 3
    one.wait_until_ready()
    assert one.post("imp_5").status == 202
    assert keys(names) == {"imp_0", "imp_1", "imp_2", "imp_3", "imp_5"}


def test_who_is_not_acknowledged_in_time_is_told(topic, gateway, paused):
    one = gateway(IMPCERT_PUBLISH_TIMEOUT="1s").wait_until_ready()
    one.post("imp_0")
    paused()
    started = time.monotonic()
    answer = one.post("imp_1")
    assert_unavailable(answer)
    assert "may not be queued" in answer.json["detail"]
    assert time.monotonic() - started < 5


# ---- stopping ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_answers_what_was_sent(topic, names, gateway, number):
    one = gateway().wait_until_ready()
    with Load(one) as load:
        load.wait_for_queued(1000)
        one.signal(number)
        assert end_timed(one) < 5
        load.wait()
    assert load.unanswered == []
    assert load.refused == []
    assert_all_on_topic(names, load)


def test_an_idle_gateway_ends_at_once(topic, gateway):
    one = gateway().wait_until_ready()
    with one.connect() as fresh, one.connect() as used:
        used.post("imp_1")
        one.signal(signal.SIGTERM)
        assert end_timed(one) < 3
        assert fresh.ended() and used.ended()


def test_connections_that_wait_to_be_accepted_are_answered(topic, names, gateway):
    """To their clients they are open."""
    one = gateway().wait_until_ready()
    one.signal(signal.SIGSTOP)
    with ExitStack() as opened:
        connections = [opened.enter_context(one.connect()) for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.request("POST", PATH, event(f"imp_{number}"), JSON)
        one.signal(signal.SIGTERM)
        one.signal(signal.SIGCONT)
        answers = [connection.answer() for connection in connections]
    assert [answer and answer.status for answer in answers] == [202] * 200
    assert keys(names) == {f"imp_{number}" for number in range(200)}
    assert end_timed(one) < 5


def test_a_kept_connection_may_bring_one_more_request(topic, gateway):
    one = gateway(IMPCERT_IDLE_TIMEOUT="1m").wait_until_ready()
    with one.connect() as connection, one.connect() as other:
        connection.post("imp_1")
        # Idle for longer than the time that it gets then.
        started = time.monotonic()
        wait_for(lambda: time.monotonic() - started > 1, 5, "a second of idleness")
        one.signal(signal.SIGTERM)
        one.wait_for_log("draining")
        answer = connection.post("imp_2")
        assert answer and answer.status == 202
        assert answer.headers["connection"].lower() == "close"
        status = other.ask("GET", "/readyz")
        assert (status.status, status.json["reasons"]) == (503, {"gateway": "draining"})
    assert end_timed(one) < 5


def test_the_drain_timeout_ends_what_is_not_acknowledged_and_says_so(topic, gateway, paused, pool):
    one = gateway(IMPCERT_PUBLISH_TIMEOUT="1m", IMPCERT_DRAIN_TIMEOUT="1s").wait_until_ready()
    one.post("imp_0")
    paused()
    waiting = [pool.submit(one.post, f"imp_{number}") for number in range(5)]
    wait_for_in_flight(one, 5)
    one.signal(signal.SIGTERM)
    for answer in waiting:
        assert_unavailable(answer.result(10))
    assert end_timed(one) < 5


def test_a_second_signal_leaves_at_once(topic, gateway, paused, pool):
    one = gateway(IMPCERT_PUBLISH_TIMEOUT="1m", IMPCERT_DRAIN_TIMEOUT="1m").wait_until_ready()
    one.post("imp_0")
    paused()
    waiting = pool.submit(one.post, "imp_1")
    wait_for_in_flight(one, 1)
    one.signal(signal.SIGTERM)
    one.wait_for_log("draining")
    started = time.monotonic()

    def ended():
        one.signal(signal.SIGTERM)
        return one.exit_code is not None

    wait_for(ended, 15, "the end", interval=0.3)
    assert one.wait() == 0
    assert time.monotonic() - started < 6
    assert_unavailable(waiting.result(10))


def test_a_slow_request_does_not_outlast_the_drain_timeout(topic, gateway):
    one = gateway(IMPCERT_DRAIN_TIMEOUT="1s").wait_until_ready()
    with one.connect() as connection:
        connection.request("POST", PATH, b"{", JSON | {"Content-Length": "20"})
        one.signal(signal.SIGTERM)
        assert end_timed(one) < 4
        connection.wait_until_ended()


def test_a_gateway_just_started_ends_at_once(gateway):
    one = gateway(IMPCERT_KAFKA_BROKERS="127.0.0.1:1")
    one.wait_for_log("started")
    one.signal(signal.SIGTERM)
    assert end_timed(one) < 5
