"""One run: events that wait on Kafka, a worker that starts, and what it cost until each of them was a document."""

import signal
import subprocess
import time
from dataclasses import asdict, dataclass

from stack import StackError, wait_for
from support.flow import assert_documents, imp_uids
from support.names import Names
from support.program import run_program

from . import processes

POLL = 0.05
# A worker's first events are its start, and cost more: figures are of what follows.
WARM_UP = 0.1
DEADLINE = 900


class Failure(StackError):
    """A run that counts for nothing; says why."""


@dataclass(frozen=True)
class Workload:
    events: int
    latency: str = "0ms"
    in_flight: int = 512
    partitions: int = 6
    tls: bool = False


@dataclass
class Result:
    contestant: str
    workload: dict
    rate: float  # events/s
    cpu_us: float  # user and system time of the worker, per event
    start_s: float  # from exec to the first document
    peak_mib: float
    switches: float  # context switches of the worker, per event
    calls: float  # HTTP calls per event over the whole run
    others_cpu_us: float  # the same of Kafka, MongoDB and simulator together, per event


@dataclass
class Sample:
    at: float
    stored: int
    cpu: float
    switches: int
    others: float


def publish(names, events):
    text = "\n".join(imp_uids(events))
    done = run_program("impcert-publish", settings=names.publish_settings(), stdin=text, deadline=DEADLINE)
    if done.returncode != 0:
        raise Failure(f"publishing: {done.stderr}")


class Run:
    def __init__(self, ground, contestant, workload, count):
        self._ground, self._contestant, self._workload = ground, contestant, workload
        self._count, self._started = count, []
        self._names = Names(ground.stack)
        self._log = ground.directory / f"{contestant.name}.log"

    def result(self):
        try:
            self._publish()
            return self._measure()
        finally:
            self._names.clean_up()

    def _publish(self):
        self._names.create_topics(self._workload.partitions)
        publish(self._names, self._workload.events)
        with self._ground.stack.mongodb.client() as client:
            # impcert makes it; MongoDB is to have the same work with each contestant.
            client[self._names.database][self._names.collection].create_index("unique_key")
        simulator = self._ground.simulator
        simulator.reset()
        simulator.settings(latency=self._workload.latency)

    def _measure(self):
        settings = self._names.settings() | self._ground.iamport(self._workload.tls)
        settings |= self._contestant.environment(self._workload.in_flight)
        self._begun = time.monotonic()
        try:
            for _ in range(self._count):
                self._started.append(self._ground.start(self._contestant.command(), settings, self._log))
            samples = self._watch()
            peak = sum(processes.peak_mib(one.pid) for one in self._started)
            self._stop()
        finally:
            for one in self._started:
                one.kill()
                one.wait()
        self._check()
        return self._conclude(samples, peak)

    def _watch(self):
        """A sample at the first document, one at the end of the warm-up and one at the end."""
        samples = []
        marks = [1, int(self._workload.events * WARM_UP), self._workload.events]
        with self._ground.stack.mongodb.client() as client:
            collection = client[self._names.database][self._names.collection]
            while len(samples) < len(marks):
                stored = collection.estimated_document_count()
                while len(samples) < len(marks) and stored >= marks[len(samples)]:
                    samples.append(self._sample(stored))
                if any(one.poll() is not None for one in self._started) or time.monotonic() - self._begun > DEADLINE:
                    raise Failure(f"{stored} of {marks[-1]} events stored; its log ends so:\n{self._log_tail()}")
                time.sleep(POLL)
        return samples

    def _sample(self, stored):
        stack, own = self._ground.stack, [one.pid for one in self._started]
        others = (stack.kafka.pid(), stack.mongodb.pid(), self._ground.simulator.pid)
        return Sample(
            at=time.monotonic(),
            stored=stored,
            cpu=sum(map(processes.cpu_seconds, own)),
            switches=sum(map(processes.switches, own)),
            others=sum(map(processes.cpu_seconds, others)),
        )

    def _stop(self):
        for one in self._started:
            one.send_signal(signal.SIGTERM)
        try:
            codes = {one.wait(60) for one in self._started}
        except subprocess.TimeoutExpired:
            raise Failure(f"it does not end; its log ends so:\n{self._log_tail()}") from None
        if codes != {0}:
            raise Failure(f"it ended with {codes}; its log ends so:\n{self._log_tail()}")

    def _check(self):
        """Everything is stored as it should be, committed, and nothing else became of any event."""
        wanted = imp_uids(self._workload.events)
        assert_documents(self._ground.simulator, self._names.documents(), wanted)
        wait_for(lambda: self._names.lag() == 0, 10, "a group lag of 0", error=Failure)
        if sum(self._ground.stack.kafka.end_offsets(self._names.dlq).values()):
            raise Failure("there are dead letters")

    def _conclude(self, samples, peak):
        first, warm, last = samples
        events = last.stored - warm.stored
        counters = self._ground.simulator.counters()
        return Result(
            contestant=self._contestant.name,
            workload=asdict(self._workload),
            rate=events / (last.at - warm.at),
            cpu_us=(last.cpu - warm.cpu) / events * 1e6,
            start_s=first.at - self._begun,
            peak_mib=peak,
            switches=(last.switches - warm.switches) / events,
            calls=counters["certification_calls"] / self._workload.events,
            others_cpu_us=(last.others - warm.others) / events * 1e6,
        )

    def _log_tail(self, lines=15):
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def one_run(ground, contestant, workload, count=1):
    return Run(ground, contestant, workload, count).result()
