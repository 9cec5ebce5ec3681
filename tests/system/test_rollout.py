"""A rolling restart as Kubernetes makes one, under load: nothing is lost, hardly anything is asked twice, no lag stays."""

import threading
import time

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids

REPLICAS = 3
RATE = 600  # events a second
GRACE = 40  # terminationGracePeriodSeconds of deploy/kubernetes
REPEATED_MOST = 0.01
SETTINGS = {"IMPCERT_WORKERS": 1, "IMPCERT_IN_FLIGHT": 256}


class SteadyLoad:
    """Publishes RATE events a second until it is told to stop."""

    def __init__(self, flow):
        self._flow, self._stop = flow, threading.Event()
        self.published = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        started, batch = time.monotonic(), RATE // 10
        while not self._stop.is_set():
            number = len(self.published) // batch
            wanted = imp_uids(batch, f"load{number:06d}")
            self._flow.publish(wanted)
            self.published += wanted
            self._stop.wait(max(0, started + number / 10 - time.monotonic()))


def replace(worker, simulator, old):
    """maxSurge 1, maxUnavailable 0: the new one is ready and has its share before the old one is asked to go."""
    new = worker(simulator, **SETTINGS).wait_until_ready()
    wait_for(lambda: new.metric("impcert_partitions_assigned") > 0, 30, "the new worker's share")
    assert old.stop(deadline=GRACE) == 0
    assert old.wait_for_log("drained")["left_for_redelivery"] == 0
    return new


@pytest.mark.parametrize("flow", [12], indirect=True)
def test_a_rolling_restart_loses_nothing_and_leaves_no_lag(flow, names, simulator_factory, worker, report):
    simulator = simulator_factory("--latency", "50ms", "--jitter", "100ms")
    pods = [worker(simulator, **SETTINGS) for _ in range(REPLICAS)]
    for pod in pods:
        pod.wait_until_ready()
    wait_for(lambda: names.shares(names.group) == [4] * REPLICAS, 60, "4 partitions each")
    with SteadyLoad(flow) as load:
        wait_for(lambda: len(load.published) > 3 * RATE, 30, "three seconds of load")
        level = 2 * RATE  # the second between two commits, and what is under way
        wait_for(lambda: names.lag() <= level, 30, "the level of the lag")
        pods = [replace(worker, simulator, pod) for pod in pods]
        finished, during = time.monotonic(), len(load.published)
        wait_for(lambda: names.lag() <= level, 30, "the lag to be back at its level")
        back = time.monotonic() - finished
    flow.wait_until_done(*pods)
    assert_documents(simulator, names.documents(), load.published)
    assert not flow.letters()
    repeated = sum(calls - 1 for calls in simulator.calls().values())
    report(f"{repeated} of {during} events verified twice; lag back at its level {back:.1f} s after the last pod")
    assert repeated < REPEATED_MOST * during
