"""One instance: a Kafka and a MongoDB in a directory, where stack.json tells others about them."""

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import marks
from .errors import StackError
from .kafka import ForeignKafka, Kafka
from .keeper import Keeper, discard
from .mongodb import ForeignMongoDB, MongoDB

STATE = "stack.json"


class Stack:
    """Starts with `start` or `with`, ends with `stop`, the end of the block, or the end of this process.

    Without a directory it takes a temporary one and removes it at the end. In a directory of the caller's,
    data and ports stay for the next start.
    """

    def __init__(self, directory=None):
        self.temporary = directory is None
        self.directory = directory and Path(directory).resolve()
        self.kafka = self.mongodb = self._keeper = None

    @classmethod
    def find(cls, directory):
        """The instance that another process started in `directory`."""
        stack = cls(directory)
        known = stack._read_state()
        if known is None:
            raise StackError(f"there is no stack in {directory}")
        stack.temporary = known["temporary"]
        stack._describe(known)
        return stack

    def start(self, owned=True):
        """Starts both servers and waits until they answer; not `owned`: they go on after this process."""
        self._take_directory()
        if owned:
            self._keeper = Keeper(self.directory, remove=self.temporary)
        try:
            self._start_servers()
        except BaseException:
            self._discard()
            raise
        return self

    def stop(self):
        """Ends both servers. Data that is to stay gets an orderly stop first."""
        if not self.temporary:
            for server in (self.kafka, self.mongodb):
                if server.pid():
                    server.stop()
        self._discard()

    def environment(self):
        """What the programs read to find the servers."""
        return {
            "IMPCERT_KAFKA_BROKERS": self.kafka.brokers,
            "MONGODB_URI": self.mongodb.uri,
            "STACK_DIR": str(self.directory),
        }

    def child_environment(self):
        """The same, for a process that must end with the stack."""
        return self.environment() | marks.environment(self.directory)

    def server(self, name):
        return {"kafka": self.kafka, "mongodb": self.mongodb}[name]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _take_directory(self):
        if self.temporary:
            self.directory = Path(tempfile.mkdtemp(prefix="impcert-stack.")).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        if marks.find(self.directory):
            raise StackError(f"the stack in {self.directory} is running already")

    def _start_servers(self):
        self._describe(self._read_state() or {})
        with ThreadPoolExecutor(2) as pool:
            try:
                for start in [pool.submit(server.start) for server in (self.mongodb, self.kafka)]:
                    start.result()
            except BaseException:
                marks.sweep(self.directory)  # the other start then ends too
                raise
        self._write_state()

    def _describe(self, known):
        foreign = known.get("foreign", self._foreign())
        brokers, uri = foreign.get("STACK_KAFKA_BROKERS"), foreign.get("STACK_MONGODB_URI")
        self.kafka = ForeignKafka(brokers) if brokers else Kafka(self.directory, known.get("kafka"))
        self.mongodb = ForeignMongoDB(uri) if uri else MongoDB(self.directory, known.get("mongodb"))

    def _read_state(self):
        state = self.directory / STATE
        return json.loads(state.read_text()) if state.exists() else None

    def _write_state(self):
        known = {"temporary": self.temporary, "foreign": self._foreign()}
        known |= {"kafka": self.kafka.ports, "mongodb": self.mongodb.ports}
        (self.directory / STATE).write_text(json.dumps(known))

    @staticmethod
    def _foreign():
        names = ("STACK_KAFKA_BROKERS", "STACK_MONGODB_URI")
        return {name: os.environ[name] for name in names if os.environ.get(name)}

    def _discard(self):
        if self._keeper:
            self._keeper.close()
            self._keeper = None
        else:
            discard(self.directory, self.temporary)
