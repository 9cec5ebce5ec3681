"""Fixtures for every folder of tests. What they start ends with the test run, kill -9 of pytest included."""

import tempfile
from pathlib import Path

import pytest

from stack import Keeper, Stack
from support.gateway import Gateway
from support.names import Names
from support.program import run_program
from support.replay import Replay
from support.simulator import KEY_PAIR, Simulator
from support.worker import Worker


@pytest.fixture(scope="session")
def keeper():
    """Whoever gets `keeper.environment()` ends with the test run."""
    directory = Path(tempfile.mkdtemp(prefix="impcert-tests."))
    with Keeper(directory, remove=True) as keeper:
        yield keeper


@pytest.fixture(scope="session")
def stack():
    """The real Kafka and MongoDB that all tests share. Whoever kills a server starts it again."""
    with Stack() as stack:
        yield stack


@pytest.fixture
def names(stack):
    """Unique names for topic, group and database; what they name is deleted after the test."""
    names = Names(stack)
    yield names
    names.clean_up()


@pytest.fixture
def programs(request):
    """Programs of this test: their log is shown if it fails, and none outlives it."""
    request.node.programs = started = []
    yield started
    for program in started:
        program.kill()


@pytest.fixture
def simulator_factory(keeper, programs):
    """simulator_factory(*arguments) starts a simulator."""

    def start(*arguments):
        programs.append(Simulator(*arguments, environment=keeper.environment()))
        return programs[-1]

    return start


@pytest.fixture
def simulator(simulator_factory):
    """A simulator with its defaults."""
    return simulator_factory()


@pytest.fixture
def worker(request, keeper, programs, names):
    """worker(simulator, IMPCERT_IN_FLIGHT=64, ...) starts a worker; None as a value takes a setting away.

    There are no retry tiers unless a test sets them, so that what fails is a dead letter at once. A worker that
    the test left running gets SIGTERM and must then end with 0.
    """
    started = []

    def start(simulator=None, wrapper=(), **settings):
        url = {"IAMPORT_URL": simulator.url} if simulator else {}
        if (url | settings).get("IAMPORT_URL", "").startswith("http:"):
            url["IMPCERT_ALLOW_HTTP"] = "true"
        own = {
            "IMPCERT_HTTP_LISTEN": "127.0.0.1:0",
            "IMPCERT_LOG_FORMAT": "json",
            "IMPCERT_RETRY_DELAYS": "",
        }
        all_settings = names.settings() | KEY_PAIR | url | own | keeper.environment() | settings
        started.append(Worker(all_settings, wrapper))
        programs.append(started[-1])
        return started[-1]

    yield start
    assert_ended(started)


def assert_ended(programs):
    """SIGTERM to those that run still; each must end with 0."""
    for one in programs:
        if one.exit_code is None:
            assert one.stop() == 0, f"{one} did not end in order:\n{one.log_tail()}"


@pytest.fixture
def gateway(keeper, programs, names):
    """gateway(IMPCERT_IN_FLIGHT=1, ...) starts a gateway on the test's topic; None as a value takes a setting away.

    One that the test left running gets SIGTERM and must then end with 0.
    """
    started = []

    def start(wrapper=(), **settings):
        own = {"IMPCERT_HTTP_LISTEN": "127.0.0.1:0", "IMPCERT_LOG_FORMAT": "json"}
        all_settings = names.publish_settings() | own | keeper.environment() | settings
        started.append(Gateway(all_settings, wrapper))
        programs.append(started[-1])
        return started[-1]

    yield start
    assert_ended(started)


@pytest.fixture
def publish(names):
    """publish("imp_1", ...) or publish(stdin=text) runs impcert-publish on the test's topic."""

    def run(*arguments, stdin="", deadline=120, **settings):
        own = names.publish_settings()
        return run_program(
            "impcert-publish", *arguments, settings=own | settings, stdin=stdin, deadline=deadline
        )

    return run


@pytest.fixture
def replay(names):
    """replay("list") runs impcert-replay on the test's topics; none that it starts outlives the test."""
    replay = Replay(names)
    yield replay
    replay.clean_up()
