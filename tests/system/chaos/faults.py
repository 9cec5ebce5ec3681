"""What can go wrong, and how it is undone: each fault is a context manager, on while its body runs.

Faults of one lane never overlap, those of different lanes do. `effect` tells what a fault may do to a try:
OUTAGE (fails for now), GARBLED (answered with nonsense), or None.
"""

import signal
from collections import namedtuple
from contextlib import contextmanager

from support import wait_for

from . import settings

OUTAGE, GARBLED = "outage", "garbled"
# What hits only some leaves them a last try, since it opens no circuit: a good event must outlive it.
SOME = {"percent": 50, "times": settings.ATTEMPTS - 1}
STOP_DEADLINE = 60
SERVER_DEADLINE = 120

# On for `least` to `most` seconds. `strike(system)`, or `strike(system, number)` where it hits one of the workers.
Fault = namedtuple("Fault", "name strike least most effect of_one", defaults=(None, False))


# Workers.


@contextmanager
def worker_killed(system, number):
    system.workers[number].kill()
    system.check_offsets()
    yield
    system.start_worker(number)


@contextmanager
def all_workers_killed(system):
    for worker in system.workers:
        worker.kill()
    system.check_offsets()
    yield
    for number in range(len(system.workers)):
        system.start_worker(number)


@contextmanager
def worker_terminated(system, number):
    worker = system.workers[number]
    code = worker.stop(STOP_DEADLINE)
    assert code == 0, f"{worker} ended with {code} after SIGTERM"
    yield
    system.start_worker(number)


@contextmanager
def worker_frozen(system, number):
    worker = system.workers[number]
    worker.signal(signal.SIGSTOP)
    yield
    worker.signal(signal.SIGCONT)


# Servers.


def _server(name, begin, end):
    """A fault that calls the method `begin` of the server, and `end` to undo it."""

    @contextmanager
    def strike(system):
        server = system.stack.server(name)
        getattr(server, begin)()
        try:
            yield
        finally:
            getattr(server, end)()
        wait_for(server.ready, SERVER_DEADLINE, f"{name} to answer")

    return strike


@contextmanager
def primary_stepped_down(system):
    """The only member of the replica set takes no writes for a second, and is elected again."""
    command = {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
    with system.stack.mongodb.client() as client:
        client.admin.command(command)
    yield
    wait_for(system.stack.mongodb.ready, SERVER_DEADLINE, "mongodb to be primary again")


# Iamport.


@contextmanager
def simulator_killed(system):
    system.iamport.kill()
    try:
        yield
    finally:
        system.iamport.start()


@contextmanager
def token_expired(system):
    system.iamport.simulator.expire_token()
    yield


@contextmanager
def key_pair_refused(system):
    """Refused tokens are noticed only by those who need a new one."""
    with _ruled({"kind": "key_refused", "path": "token"})(system):
        system.iamport.simulator.expire_token()
        yield


def _ruled(*rules):
    """A fault by the simulator's rules."""

    @contextmanager
    def strike(system):
        system.iamport.simulator.faults(list(rules))
        try:
            yield
        finally:
            system.iamport.simulator.faults([])

    return strike


LANES = {
    "workers": (
        Fault("worker kill -9", worker_killed, 0, 2, of_one=True),
        Fault("all workers kill -9", all_workers_killed, 0, 2),
        Fault("worker SIGTERM", worker_terminated, 0, 2, of_one=True),
        # Calls that were on their way time out when it goes on.
        Fault("worker SIGSTOP", worker_frozen, 1, 4, OUTAGE, of_one=True),
    ),
    "kafka": (
        Fault("broker kill -9", _server("kafka", "kill", "start"), 0, 3),
        Fault("broker restart", _server("kafka", "stop", "start"), 0, 1),
        Fault("broker SIGSTOP", _server("kafka", "pause", "resume"), 1, 4),
    ),
    "mongodb": (
        Fault("mongod kill -9", _server("mongodb", "kill", "start"), 0, 3),
        Fault("mongod restart", _server("mongodb", "stop", "start"), 0, 1),
        Fault("mongod SIGSTOP", _server("mongodb", "pause", "resume"), 1, 4),
        Fault("mongod step down", primary_stepped_down, 0, 0),
    ),
    "iamport": (
        Fault("simulator kill -9", simulator_killed, 0, 3, OUTAGE),
        Fault("token expired", token_expired, 0, 0),
        Fault("key pair refused", key_pair_refused, 1, 4),
        Fault("503 for all", _ruled({"kind": "unavailable"}, {"kind": "unavailable", "path": "token"}), 1, 4, OUTAGE),
        Fault("resets for all", _ruled({"kind": "reset"}), 1, 3, OUTAGE),
        Fault("401 for all", _ruled({"kind": "expired_token"}), 1, 3, OUTAGE),
        Fault("hangs for all", _ruled({"kind": "hang"}), 1, 4, OUTAGE),
        Fault("slow bodies for all", _ruled({"kind": "slow_body", "interval": "100ms"}), 1, 4, OUTAGE),
        Fault("slow answers for all", _ruled({"kind": "latency", "latency": "1s"}), 1, 4),
        # Short: workers take a minute to come back to their pace.
        Fault("429 with Retry-After", _ruled({"kind": "status", "status": 429, "retry_after": 1}), 0.5, 1.5),
        Fault("429 without Retry-After", _ruled({"kind": "status", "status": 429}), 0.5, 1.5),
        Fault("503 for some", _ruled({"kind": "unavailable", **SOME}), 1, 4, OUTAGE),
        Fault("truncated answers for some", _ruled({"kind": "truncated", **SOME}), 1, 4, OUTAGE),
        Fault("no answers for some", _ruled({"kind": "no_answer", **SOME}), 1, 4, OUTAGE),
        Fault("malformed answers for some", _ruled({"kind": "malformed", **SOME}), 1, 4, GARBLED),
        Fault("HTML for some", _ruled({"kind": "html", **SOME}), 1, 4, GARBLED),
    ),
}
