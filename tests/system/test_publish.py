"""impcert-publish: what is on the topic afterwards, what it says, and how it exits."""

import os
import pty
import re
import signal
import subprocess
import time

import pytest
from confluent_kafka import KafkaException

from support import binary, run_program, wait_for
from support.program import clean_environment

NOWHERE = "127.0.0.1:1"  # nothing listens on port 1


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, 3)
    return names.topic


@pytest.fixture
def properties(tmp_path):
    """properties("linger.ms=5") writes a file for IMPCERT_KAFKA_CONFIG and gives the setting."""

    def write(text):
        path = tmp_path / "kafka.properties"
        path.write_text(text)
        return {"IMPCERT_KAFKA_CONFIG": path}

    return write


@pytest.fixture
def open_publish(names):
    """open_publish(...) starts impcert-publish with its standard input left open."""
    started = []

    def start(stderr=subprocess.PIPE, **settings):
        wanted = ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")
        own = {name: value for name, value in names.settings().items() if name in wanted}
        process = subprocess.Popen(
            [binary("impcert-publish")],
            stdin=subprocess.PIPE,
            stderr=stderr,
            env=clean_environment(own | settings),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def events(names):
    """[(key, value)] of the topic, sorted."""
    return sorted((record.key, record.value) for record in names.records())


def wait_for_events(stack, topic, count):
    def written():
        try:
            return sum(stack.kafka.end_offsets(topic).values()) == count
        except KafkaException:
            return False  # a new topic's leader may not answer yet

    wait_for(written, 30, f"{count} events on {topic}")


def plain(imp_uid):
    return imp_uid.encode(), b'{"imp_uid": "%s"}' % imp_uid.encode()


def test_operands_become_events(publish, names, topic):
    done = publish("imp_1", "imp_2")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == f"published 2 events to {topic}"  # a broker that loads is told before
    assert events(names) == [plain("imp_1"), plain("imp_2")]


def test_lines_become_events(publish, names, topic):
    done = publish(stdin="imp_1\r\n\n  \nimp_2\nimp_3")
    assert done.returncode == 0, done.stderr
    assert events(names) == [plain(f"imp_{number}") for number in (1, 2, 3)]


def test_operands_and_lines_mix(publish, names, topic):
    done = publish("imp_1", "-", "--", "-imp", stdin="imp_2\n")
    assert done.returncode == 0, done.stderr
    assert events(names) == [plain("-imp"), plain("imp_1"), plain("imp_2")]


def test_json_lines_are_carried_byte_for_byte(publish, names, topic):
    lines = [
        '{"imp_uid":"imp_1",  "order": {"no": 12345678901234567890123, "name": "홍길동"}}',
        '{"note": "\\u0041", "imp_uid": "imp_2"}',
    ]
    done = publish(stdin="".join(f"{line}\r\n" for line in lines))
    assert done.returncode == 0, done.stderr
    assert events(names) == [(b"imp_1", lines[0].encode()), (b"imp_2", lines[1].encode())]


def test_refused_lines_are_reported_by_number_and_the_others_published(publish, names, topic):
    lines = [
        "imp_1",
        "imp 2",
        '{"imp_uid": 3, "phone": "01012345678"}',
        '{"phone": "01012345678"}',
        "x" * 65,
        '{"imp_uid": "imp_6"',
        "y" * 70000,
        "imp_8",
    ]
    done = publish(stdin="\n".join(lines))
    assert done.returncode == 1
    reported = dict(re.findall(r"^impcert-publish: line (\d+): (.*)$", done.stderr, re.M))
    assert list(reported) == ["2", "3", "4", "5", "6", "7"]
    assert "at byte 4" in reported["2"]
    assert "imp_uid is a number" in reported["3"]
    assert "imp_uid is missing" in reported["4"]
    assert "65 bytes" in reported["5"]
    assert "JSON" in reported["6"]
    assert "longer than 65536 bytes" in reported["7"]
    assert "01012345678" not in done.stderr
    assert done.stderr.endswith(f"published 2 events to {topic} (6 refused)\n")
    assert events(names) == [plain("imp_1"), plain("imp_8")]


def test_headers_go_with_every_record(publish, names, topic):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    done = publish(f"--header=traceparent={trace}", "--header", "shop=a=b", "imp_1", "imp_2")
    assert done.returncode == 0, done.stderr
    for record in names.records():
        assert dict(record.headers) == {"traceparent": trace.encode(), "shop": b"a=b"}


def test_headers_of_impcert_itself_are_refused(publish, topic):
    done = publish("--header", "impcert.reason=x", "imp_1")
    assert done.returncode == 2
    assert "--header: names that begin with impcert." in done.stderr


def test_hundred_thousand_lines_arrive_once_each(publish, names, topic):
    imp_uids = [f"imp_{number:012d}" for number in range(100_000)]
    started = time.monotonic()
    done = publish(stdin="\n".join(imp_uids))
    took = time.monotonic() - started
    assert (done.returncode, done.stderr) == (0, f"published 100000 events to {topic}\n")
    assert took < 30, "200,000 a minute"
    assert events(names) == [plain(imp_uid) for imp_uid in imp_uids]


def test_one_imp_uid_is_always_on_one_partition(publish, names, topic):
    done = publish(stdin="\n".join(f"imp_{number % 50}" for number in range(500)))
    assert done.returncode == 0, done.stderr
    found = {(record.key, record.partition) for record in names.records()}
    assert len(found) == 50
    assert len({partition for _, partition in found}) == 3


def test_unreachable_broker_is_named_and_nothing_is_claimed(publish, properties):
    settings = properties("message.timeout.ms=1500\n") | {"IMPCERT_KAFKA_BROKERS": NOWHERE, "IMPCERT_TOPIC": "any"}
    done = publish("imp_1", "imp_2", **settings)
    assert done.returncode == 1
    assert f"{NOWHERE}/bootstrap: Connect to ipv4#{NOWHERE} failed" in done.stderr
    assert f"no broker of {NOWHERE} can be reached; each event waits up to 1.5 s" in done.stderr
    assert "operand 1: imp_1 not acknowledged" in done.stderr
    assert "operand 2: imp_2 not acknowledged" in done.stderr
    assert done.stderr.endswith("published 0 events to any (2 not acknowledged)\n")


def test_without_a_broker_reading_stops(properties, open_publish):
    settings = properties("message.timeout.ms=1000\n") | {"IMPCERT_KAFKA_BROKERS": NOWHERE}
    process = open_publish(**settings)
    process.stdin.write(b"imp_1\n")
    process.stdin.flush()
    # Its input stays open: it ends because no event could be published.
    assert process.wait(30) == 1
    assert b"stopped: nothing read from line 2 on" in process.stderr.read()


def test_one_broker_of_the_list_is_enough(publish, names, stack, topic):
    done = publish("imp_1", IMPCERT_KAFKA_BROKERS=f"{NOWHERE},{stack.kafka.brokers}")
    assert done.returncode == 0, done.stderr
    assert events(names) == [plain("imp_1")]


def test_missing_topic_is_named(publish, names, properties):
    done = publish("imp_1", "imp_2", **properties("topic.metadata.propagation.max.ms=100\n"))
    assert done.returncode == 1
    assert f"topic {names.topic} does not exist: create it, or correct IMPCERT_TOPIC" in done.stderr
    assert done.stderr.count("does not exist") == 1
    assert done.stderr.endswith(f"published 0 events to {names.topic} (2 not acknowledged)\n")


def test_property_faults_name_file_and_line(publish, properties):
    settings = properties("linger.ms=5\nsasl.pasword=hidden\n")
    done = publish("imp_1", **settings)
    assert done.returncode == 2
    assert f'{settings["IMPCERT_KAFKA_CONFIG"]}:2: no such Kafka property: "sasl.pasword"' in done.stderr
    assert "hidden" not in done.stderr


def test_guarantees_cannot_be_configured_away(publish, properties):
    done = publish("imp_1", **properties("acks=0\n"))
    assert done.returncode == 2
    assert ":1: Kafka property acks is fixed" in done.stderr


def test_all_settings_faults_come_at_once():
    settings = {
        "IMPCERT_TOPIC": "a/b",
        "IMPCERT_KAFKA_CONFIG": "/nowhere",
        "IMPCERT_LOG_LEVEL": "loud",
        "IMPCERT_LOG_FORMAT": "json",
        "IMPCERT_LOG_FORMAT_FILE": "/nowhere",
        "IMPCERT_BROKERS": "kafka:9092",
        "IMPCERT_GATEWAY_SERVICE_HOST": "10.0.0.1",
    }
    done = run_program("impcert-publish", "imp_1", settings=settings)
    assert done.returncode == 2
    named = re.findall(r"^  (IMPCERT_\w+): ", done.stderr, re.M)
    assert sorted(named) == [
        "IMPCERT_BROKERS",
        "IMPCERT_KAFKA_BROKERS",
        "IMPCERT_KAFKA_CONFIG",
        "IMPCERT_LOG_FORMAT",
        "IMPCERT_LOG_LEVEL",
        "IMPCERT_TOPIC",
    ]
    assert "the nearest is IMPCERT_KAFKA_BROKERS" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_reading_and_keeps_what_was_read(number, open_publish, names, stack, topic):
    process = open_publish()
    process.stdin.write(b"".join(b"imp_%d\n" % line for line in range(1000)))
    process.stdin.flush()
    wait_for_events(stack, topic, 1000)
    process.send_signal(number)
    # Its input is still open: only the signal ends it.
    assert process.wait(30) == 1
    told = process.stderr.read().decode()
    assert "interrupted: nothing read from line 1001 on" in told
    assert told.endswith(f"published 1000 events to {topic}\n")


def test_what_waits_in_an_open_input_is_published(open_publish, stack, topic):
    process = open_publish()
    process.stdin.write(b"imp_1\nimp_2")
    process.stdin.flush()
    wait_for_events(stack, topic, 1)
    process.stdin.close()
    assert process.wait(30) == 0
    wait_for_events(stack, topic, 2)


def test_progress_is_drawn_on_a_terminal_only(open_publish, topic):
    terminal, stderr = pty.openpty()
    process = open_publish(stderr=stderr)
    os.close(stderr)
    process.stdin.write(b"imp_1\n")
    process.stdin.flush()
    drawn = b""

    def read_more():
        nonlocal drawn
        drawn += os.read(terminal, 4096)
        return b"1 events acknowledged" in drawn

    wait_for(read_more, 30, "progress line")
    process.stdin.close()
    assert process.wait(30) == 0
    drawn += os.read(terminal, 4096)
    os.close(terminal)
    assert drawn.endswith(b"\r\x1b[Kpublished 1 event to " + topic.encode() + b"\r\n")


def test_unreadable_input_is_a_failure(names, topic, tmp_path):
    settings = {name: names.settings()[name] for name in ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")}
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        done = subprocess.run(
            [binary("impcert-publish")], stdin=directory, capture_output=True, text=True, env=clean_environment(settings)
        )
    finally:
        os.close(directory)
    assert done.returncode == 1
    assert "standard input: Is a directory" in done.stderr


def test_closed_standard_error_loses_no_event(names, topic):
    settings = {name: names.settings()[name] for name in ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")}
    command = ["bash", "-c", '"$0" imp_1 "im p" imp_2 2>&-', binary("impcert-publish")]
    done = subprocess.run(command, env=clean_environment(settings), timeout=60)
    assert done.returncode == 1
    assert events(names) == [plain("imp_1"), plain("imp_2")]
