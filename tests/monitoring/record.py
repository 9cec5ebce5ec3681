"""record.py OUT.json: runs the story, and writes down what every panel of the dashboard then shows."""

import contextlib
import itertools
import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from stack import Keeper, Stack
from support import monitoring
from support.flow import event
from support.gateway import Gateway
from support.names import Names
from support.prometheus import Prometheus
from support.simulator import KEY_PAIR, Simulator
from support.worker import Worker

STEP = 4  # seconds between two points
RATE = "12s"  # what Grafana makes of $__rate_interval is the scrape interval fourfold, or more
EVENTS = 400  # a second, on the topic
POSTS = 40  # a second, to the gateway
# Among those: people who do not finish, imp_uids that are not there, and some that succeed at the second try.
KINDS = ["imp"] * 94 + ["unfinished"] * 2 + ["missing"] + ["flaky1"] * 3
# Tokens of three minutes, so that they are renewed within the recording.
SIMULATOR = "--latency 80ms --jitter 60ms --token-life 3m --token-window 1m --token-extend 1m".split()
OUTAGE = [{"kind": "unavailable", "percent": 100}, {"kind": "unavailable", "percent": 100, "path": "token"}]
REFUSALS = [{"kind": "refused", "percent": 10}]
IMPORT = 40000


class Story:
    def __init__(self, scene):
        self._scene = scene
        self._started = time.time()
        self.phases = []  # [(second, what began)]

    def run(self):
        self._phase("load", 60)
        self._scene.simulator.faults(OUTAGE)
        self._phase("Iamport is away", 50)
        self._scene.simulator.faults([])
        self._phase("it is back", 60)
        self._scene.simulator.faults(REFUSALS)
        self._phase("the account is refused now and then", 40)
        self._scene.simulator.faults([])
        self._phase("", 20)
        self._scene.restart_worker()
        self._phase("a worker is restarted", 40)
        self._scene.load.publish(IMPORT)
        self._phase("an import", 50)

    def _phase(self, what, seconds):
        """A scene of a recording lasts so long; nothing is waited for."""
        self.phases.append((time.time() - self._started, what))
        time.sleep(seconds)


class Load:
    """Events at a steady rate, until it is stopped."""

    def __init__(self, stack, names, gateway):
        self._kafka, self._topic, self._gateway = stack.kafka, names.topic, gateway
        self._stop, self._numbers = threading.Event(), itertools.count()
        ways = ((0.25, self._records), (1, self._posts))
        self._threads = [threading.Thread(target=self._every, args=way) for way in ways]
        for thread in self._threads:
            thread.start()

    def publish(self, count):
        self._kafka.produce(self._topic, [event(self._imp_uid()) for _ in range(count)])

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _every(self, seconds, act):
        due = time.monotonic()
        while not self._stop.is_set():
            act(seconds)
            due = max(due + seconds, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _records(self, seconds):
        self.publish(int(EVENTS * seconds))

    def _posts(self, seconds):
        with self._gateway.connect() as connection:
            for _ in range(int(POSTS * seconds)):
                assert connection.post(self._imp_uid()).status == 202

    def _imp_uid(self):
        number = next(self._numbers)
        return f"{KINDS[number * 37 % len(KINDS)]}_{number}"


class Scene:
    """All that runs; ends with the block."""

    def __enter__(self):
        with contextlib.ExitStack() as exits:
            self._directory = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="impcert-plot.")))
            self._keeper = exits.enter_context(Keeper(self._directory, remove=False))
            stack = exits.enter_context(Stack())
            self._names = Names(stack)
            self._names.topic, self._names.dlq = "certifications", "certifications.dlq"
            self._names.create_topics()
            self.simulator = Simulator(*SIMULATOR, environment=self._keeper.environment())
            exits.callback(self.simulator.kill)
            self._workers = [self._worker("127.0.0.1:0") for _ in range(2)]
            exits.callback(lambda: [worker.stop() for worker in self._workers])
            gateway = Gateway(self._settings("127.0.0.1:0", self._names.publish_settings())).wait_until_ready()
            exits.callback(gateway.stop)
            self.prometheus = self._prometheus(gateway)
            exits.callback(self.prometheus.stop)
            self.load = Load(stack, self._names, gateway)
            exits.callback(self.load.stop)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_):
        self._exits.close()

    def restart_worker(self):
        """As a deploy would, at the same address."""
        address = self._workers[0].address
        assert self._workers[0].stop() == 0
        self._workers[0] = self._worker(address)

    def _worker(self, address):
        own = {"IAMPORT_URL": self.simulator.url, "IMPCERT_ALLOW_HTTP": "true", "IMPCERT_RETRY_DELAYS": "20s,1m", "IMPCERT_WORKERS": "1"}
        return Worker(self._settings(address, self._names.settings() | KEY_PAIR | own)).wait_until_ready()

    def _settings(self, address, settings):
        own = {"IMPCERT_HTTP_LISTEN": address, "IMPCERT_LOG_FORMAT": "json"}
        return self._keeper.environment() | settings | own

    def _prometheus(self, gateway):
        workers = {f"worker-{number}": worker.address for number, worker in enumerate(self._workers)}
        targets = {"impcert-worker": workers, "impcert-gateway": {"gateway": gateway.address}}
        return Prometheus(self._directory, targets, monitoring.DIRECTORY / "rules.yaml", self._keeper.environment())


def main(target):
    with Scene() as scene:
        started = time.time()
        story = Story(scene)
        story.run()
        rows = record(scene.prometheus, started, time.time())
    Path(target).write_text(json.dumps({"phases": story.phases, "rows": rows}))


def record(prometheus, start, end):
    """[{"title": of a row, "panels": [a panel of the dashboard, with its series]}]"""
    rows = {}
    for panel in monitoring.panels():
        series = [one for target in panel["targets"] for one in ask(prometheus, target, start, end)]
        shown = {name: panel[name] for name in ("title", "type", "gridPos")}
        shown |= {"defaults": panel["fieldConfig"]["defaults"], "series": series}
        rows.setdefault(panel["row"], []).append(shown)
    return [{"title": title, "panels": panels} for title, panels in rows.items()]


def ask(prometheus, target, start, end):
    expression = monitoring.expression(target["expr"], __rate_interval=RATE)
    for found in prometheus.query_range(expression, start, end, STEP):
        label = re.sub(r"{{(\w+)}}", lambda word: found["metric"].get(word[1], ""), target["legendFormat"])
        yield {"label": label, "points": [(moment - start, float(value)) for moment, value in found["values"]]}


if __name__ == "__main__":
    main(*sys.argv[1:])
