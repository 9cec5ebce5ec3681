"""What worker and gateway tell the service manager: that they are up, alive, how ready, and that they stop."""

import os
import signal
import uuid

import pytest

from stack import wait_for
from support.manager import Manager, StoppedThreads

WATCHDOG_US = 900_000
INTERVAL = WATCHDOG_US / 1e6 / 3  # seconds between two signs of life


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@impcert-{uuid.uuid4().hex}"
    with Manager(name, WATCHDOG_US) as manager:
        yield manager


@pytest.fixture(params=["worker", "gateway"])
def daemon(request, flow, manager):
    """One that the manager has started."""
    if request.param == "gateway":
        return request.getfixturevalue("gateway")(**manager.settings())
    simulator = request.getfixturevalue("simulator")
    return request.getfixturevalue("worker")(simulator, **manager.settings())


def test_the_manager_hears_of_start_life_readiness_and_stop(manager, daemon):
    manager.wait_for("READY=1")
    daemon.wait_for_log("started")
    manager.wait_for("STATUS=ready", deadline=60)
    beat = manager.wait_for("WATCHDOG=1")
    manager.wait_for("WATCHDOG=1", since=beat)
    assert "STOPPING=1" not in manager.lines()
    daemon.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert daemon.wait() == 0
    lines = manager.lines()
    assert lines.count("READY=1") == lines.count("STOPPING=1") == 1
    assert lines.index("READY=1") < lines.index("STOPPING=1")


def test_the_watchdog_is_not_fed_while_the_process_is_stopped(manager, daemon):
    manager.wait_for("STATUS=ready", deadline=60)
    daemon.signal(signal.SIGSTOP)
    manager.wait_for_silence(5 * INTERVAL)
    daemon.signal(signal.SIGCONT)
    manager.wait_for("WATCHDOG=1", since=manager.told[-1][0])


def test_the_status_says_what_is_away(manager, worker, simulator, flow):
    """A key pair that Iamport refuses, and then takes."""
    daemon = worker(simulator, **manager.settings(), IAMPORT_SECRET="wrong")
    manager.wait_for("READY=1")
    told = "STATUS=not ready: iamport: "

    def said():
        return [line for line in manager.lines() if line.startswith(told)]

    manager.wait_for("WATCHDOG=1")
    wait_for(said, 30, f"a status that begins with {told!r}")
    assert "wrong" not in "".join(manager.lines()), "a secret is told"
    assert daemon.alive()


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may hold still what keeps secrets")
@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_the_watchdog_is_not_fed_while_a_loop_is_stuck(manager, worker, simulator, flow):
    """The main thread goes on and answers, as it would where a worker's loop hangs."""
    daemon = worker(simulator, **manager.settings()).wait_until_ready()
    manager.wait_for("WATCHDOG=1")
    with StoppedThreads(daemon.pid):
        wait_for(lambda: not daemon.alive(), 60, "/healthz to say that a loop is stuck")
        manager.wait_for_silence(5 * INTERVAL)
        assert daemon.get("/healthz") == (503, "a worker's loop is stuck\n")
    manager.wait_for("WATCHDOG=1", since=manager.told[-1][0])
    assert daemon.alive()


def test_a_daemon_that_runs_itself_again_goes_on(manager, worker, simulator, flow, properties):
    """What its file of Kafka's properties says has changed."""
    daemon = worker(simulator, **manager.settings(), **properties("linger.ms=5"))
    first = manager.wait_for("READY=1")
    manager.wait_for("STATUS=ready", deadline=60)
    properties("linger.ms=6")
    manager.wait_for("READY=1", deadline=60, since=first)
    assert "STOPPING=1" not in manager.lines()
    daemon.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")
    assert daemon.wait() == 0
