"""The system of a round: servers, simulator and workers, each of which a fault may take away and bring back."""

from collections import Counter

from stack import ports
from support.names import Names
from support.simulator import KEY_PAIR, Simulator
from support.worker import Worker

from . import oracle, settings

SIMULATOR = ("--latency", "10ms", "--jitter", "20ms")


class Iamport:
    """A simulator that comes back on the same port; its calls are counted over all its lives."""

    def __init__(self, directory, environment, programs, token_life):
        [self._port] = ports.claim(directory, 1)
        self._environment, self._programs, self._token_life = environment, programs, token_life
        self._calls = Counter()
        self.simulator = None

    def start(self):
        listen = ("--listen", f"127.0.0.1:{self._port}", "--token-life", self._token_life)
        self.simulator = Simulator(*SIMULATOR, *listen, environment=self._environment)
        self._programs.append(self.simulator)

    def kill(self):
        self._calls.update(self.simulator.calls())
        self.simulator.kill()

    def calls(self):
        """{imp_uid: calls}; those between the last look and a kill are not known."""
        return self._calls + Counter(self.simulator.calls())


class System:
    """Started with `start`; whatever it started is in `programs`."""

    def __init__(self, stack, environment, directory, plan, diary):
        self.stack, self.names, self.diary = stack, Names(stack), diary
        self.programs, self.workers = [], [None] * len(plan.threads)
        self.environment, self._threads = environment, plan.threads
        self._properties = directory / f"chaos-{plan.seed}.properties"
        self.iamport = Iamport(stack.directory, environment, self.programs, plan.token_life)

    @property
    def topics(self):
        """The main topic and the retry topics, in the order of an event's way."""
        return [self.names.topic, *settings.retry_topics(self.names.topic)]

    def start(self):
        self._properties.write_text("\n".join(settings.PROPERTIES) + "\n")
        for topic in (*self.topics, self.names.dlq):
            self.stack.kafka.create_topic(topic, settings.PARTITIONS)
        self.iamport.start()
        for number in range(len(self.workers)):
            self.start_worker(number)

    def start_worker(self, number):
        own = {
            "IMPCERT_WORKERS": self._threads[number],
            "IMPCERT_KAFKA_CONFIG": self._properties,
            "IMPCERT_HTTP_LISTEN": "127.0.0.1:0",
            "IMPCERT_LOG_FORMAT": "json",
            "IAMPORT_URL": self.iamport.simulator.url,
            "IMPCERT_ALLOW_HTTP": "true",
        }
        self.workers[number] = Worker(
            self.names.settings() | KEY_PAIR | own | settings.WORKERS | self.environment
        )
        self.programs.append(self.workers[number])
        self.diary.note(f"started worker {number}: {self.workers[number]}")

    def assert_workers_run(self):
        for worker in self.workers:
            assert worker.exit_code is None, f"{worker} ended by itself with {worker.exit_code}"

    def check_offsets(self):
        """Whatever has just been killed, no offset may be committed past an unfinished event."""
        oracle.assert_offsets_hold_back(self)
        self.diary.count("checks of offsets")
