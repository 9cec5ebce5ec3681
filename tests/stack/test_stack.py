"""The stack's own promises, on real servers."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stack import Stack, StackError, cache, marks, ports, wait_for

SUMS = cache.PINS / "kafka.sha256"
OWNER = """
import time
from stack import Stack
with Stack() as stack:
    print(stack.directory, stack.kafka.pid(), stack.mongodb.pid(), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def own_servers(monkeypatch):
    """These tests start and kill servers of their own, whatever the environment offers."""
    monkeypatch.delenv("STACK_KAFKA_BROKERS", raising=False)
    monkeypatch.delenv("STACK_MONGODB_URI", raising=False)


def values(stack, topic):
    return [record.value for record in stack.kafka.records(topic)]


def test_two_instances_at_once_share_nothing(own_servers):
    with Stack() as one, Stack() as other:
        assert one.directory != other.directory
        assert not set(one.kafka.ports + one.mongodb.ports) & set(other.kafka.ports + other.mongodb.ports)
        one.kafka.create_topic("events", partitions=3)
        with one.mongodb.client() as client:
            client.test.things.insert_one({"_id": 1})
        assert "events" not in other.kafka.topics()
        with other.mongodb.client() as client:
            assert client.test.things.find_one() is None
    assert not marks.find(one.directory) and not marks.find(other.directory)
    assert not one.directory.exists() and not other.directory.exists()


def test_killed_and_restarted_servers_keep_ports_and_data(own_servers):
    with Stack() as stack:
        stack.kafka.create_topic("events", partitions=2)
        stack.kafka.produce("events", [(b"a", b"1", [("traceparent", b"00-1")])])
        with stack.mongodb.client() as client:
            client.test.things.insert_one({"_id": 1})
        before = stack.environment()
        for server in (stack.kafka, stack.mongodb):
            server.kill()
            assert server.pid() is None
            server.start()
            server.restart()
        stack.kafka.produce("events", [(b"a", b"2")])
        assert stack.environment() == before
        assert values(stack, "events") == [b"1", b"2"]
        assert stack.kafka.records("events")[0].headers == [("traceparent", b"00-1")]
        with stack.mongodb.client() as client:
            assert client.test.things.find_one() == {"_id": 1}


def test_a_paused_broker_answers_again_when_resumed(stack):
    stack.kafka.pause()
    try:
        assert not stack.kafka.ready()
    finally:
        stack.kafka.resume()
    wait_for(stack.kafka.ready, 30, "broker to answer again")


def test_lag_is_what_the_group_has_not_committed(stack, names):
    from confluent_kafka import TopicPartition

    stack.kafka.create_topic(names.topic, partitions=2)
    stack.kafka.produce(names.topic, [(str(i), b"x") for i in range(10)])
    ends = stack.kafka.end_offsets(names.topic)
    assert names.lag() == 10
    consumer = stack.kafka.consumer(**{"group.id": names.group})
    consumer.commit(offsets=[TopicPartition(names.topic, 0, ends[0])], asynchronous=False)
    consumer.close()
    assert names.lag() == 10 - ends[0]


def test_a_directory_of_the_callers_keeps_data_and_ports(tmp_path, own_servers):
    with Stack(tmp_path / "own") as first:
        first.kafka.create_topic("events")
        first.kafka.produce("events", [(b"a", b"1")])
        taken = first.kafka.ports
    with Stack(tmp_path / "own") as second:
        assert second.kafka.ports == taken
        assert values(second, "events") == [b"1"]
        with pytest.raises(StackError, match="running already"):
            Stack(tmp_path / "own").start()


def test_nothing_is_left_after_kill_9_of_the_owner(own_servers):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=environment
    )
    directory, *pids = owner.stdout.readline().split()
    assert sorted(map(int, pids)) == sorted(marks.find(directory))
    owner.kill()
    owner.wait()
    wait_for(lambda: not marks.find(directory) and not Path(directory).exists(), 30, "all to be gone")
    owner.stdout.close()


def test_a_process_is_found_in_the_midst_of_an_execve(tmp_path):
    again = 'exec bash -c "$0" "$0"'
    process = subprocess.Popen(["bash", "-c", again, again], env=os.environ | marks.environment(tmp_path))
    try:
        assert all(marks.find(tmp_path) == [process.pid] for _ in range(1000))
    finally:
        process.kill()
        process.wait()


def _heed_sigint():
    """A shell that starts the tests in the background has them ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_run_ends_the_command_and_what_it_left_behind(number, own_servers):
    script = 'sleep 600 & echo "$STACK_DIR"; exec sleep 600'
    command = [Path(__file__).with_name("stack"), "run", "--", "bash", "-c", script]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_heed_sigint
    )
    directory = run.stdout.readline().strip()
    assert len(marks.find(directory)) == 4  # two servers, two sleeps
    if number == signal.SIGINT:
        os.killpg(run.pid, number)  # as a terminal does
    else:
        run.send_signal(number)
    status = run.wait(60)
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    wait_for(lambda: not marks.find(directory) and not Path(directory).exists(), 30, "all to be gone")
    run.stdout.close()


def test_run_gives_the_exit_status_of_the_command(own_servers):
    command = [Path(__file__).with_name("stack"), "run", "--", "bash", "-c", "exit 7"]
    assert subprocess.run(command).returncode == 7


def test_a_snatched_port_is_given_up_for_another(own_servers, monkeypatch):
    import socket

    claim, claims = ports.claim, []
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()

        def clashing(directory, count):
            own = claim(directory, count)
            claims.append(own)  # two servers start at once
            return [squatter.getsockname()[1], *own[1:]] if len(claims) <= 2 else own

        monkeypatch.setattr(ports, "claim", clashing)
        with Stack() as stack:
            assert len(claims) == 4  # each server was refused once
            assert stack.kafka.ready() and stack.mongodb.ready()


def test_a_server_that_dies_at_start_shows_its_log(own_servers, monkeypatch):
    monkeypatch.setattr("stack.kafka.PROPERTIES", "process.roles=nonsense\n")
    stack = Stack()
    with pytest.raises(StackError, match="nonsense"):
        stack.start()
    assert not marks.find(stack.directory) and not stack.directory.exists()


def test_servers_of_the_environment_are_used_and_left_alone(stack, monkeypatch):
    monkeypatch.setenv("STACK_KAFKA_BROKERS", stack.kafka.brokers)
    monkeypatch.setenv("STACK_MONGODB_URI", stack.mongodb.uri)
    with Stack() as guest:
        assert guest.environment().items() >= {"IMPCERT_KAFKA_BROKERS": stack.kafka.brokers}.items()
        assert guest.kafka.topics() == stack.kafka.topics()
        with pytest.raises(StackError, match="must not touch"):
            guest.kafka.kill()
    assert stack.kafka.ready() and stack.mongodb.ready()


@pytest.fixture
def small_cache(tmp_path, monkeypatch):
    """An empty cache, and pins for one file that `fill` makes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sums = tmp_path / "sums"
    sums.write_text("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae  a.jar\n")
    return sums


def filler(content):
    calls = []

    def fill(directory):
        calls.append(directory)
        (directory / "a.jar").write_text(content)

    fill.calls = calls
    return fill


def test_a_tampered_download_is_refused(small_cache):
    with pytest.raises(StackError, match="a.jar has another checksum"):
        cache.entry("thing", small_cache, filler("fooo"))
    assert [path.name for path in cache.root().iterdir() if path.is_dir()] == []


def test_a_good_download_is_kept_and_a_broken_one_fetched_again(small_cache):
    fill = filler("foo")
    place = cache.entry("thing", small_cache, fill)
    assert cache.entry("thing", small_cache, fill) == place and len(fill.calls) == 1
    (place / "a.jar").write_text("tampered")
    cache.entry("thing", small_cache, fill)
    assert (place / "a.jar").read_text() == "foo" and len(fill.calls) == 2
    (place / "b.jar").write_text("a stranger")
    cache.entry("thing", small_cache, fill)
    assert not (place / "b.jar").exists() and len(fill.calls) == 3


def test_a_tampered_jar_is_noticed_among_the_real_ones(stack, tmp_path):
    wanted = cache._read_sums(SUMS)
    jars = tmp_path / "jars"
    shutil.copytree(next(cache.root().glob("kafka-*-*/")), jars)
    assert cache.faults(jars, wanted) == []
    with open(jars / "kafka_2.13-4.1.0.jar", "ab") as jar:
        jar.write(b"\0")
    assert cache.faults(jars, wanted) == ["kafka_2.13-4.1.0.jar has another checksum"]
