"""What all contestants run on: one Kafka, one MongoDB, one simulator, with nginx before it for TLS."""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from stack import Keeper, Stack
from support.program import clean_environment
from support.proxy import Proxy
from support.simulator import KEY_PAIR, Simulator

# Servers as in production, not as in tests: the broker may compile its code in full.
JAVA_OPTIONS = "-Xms512m -Xmx512m -XX:+UseSerialGC"


class Ground:
    def __init__(self, tls=False):
        self._exits = contextlib.ExitStack()
        self._tls = tls

    def __enter__(self):
        os.environ["STACK_JAVA_OPTIONS"] = JAVA_OPTIONS
        self.directory = Path(tempfile.mkdtemp(prefix="impcert-bench."))
        with self._exits as exits:
            self.keeper = exits.enter_context(Keeper(self.directory, remove=True))
            self.stack = exits.enter_context(Stack())
            self.simulator = Simulator("--no-calls", environment=self.keeper.environment())
            exits.callback(self.simulator.kill)
            self.proxy = None
            if self._tls:
                self.proxy = exits.enter_context(Proxy(self.directory, self.simulator.url, self.keeper.environment()))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_):
        self._exits.close()

    def iamport(self, tls):
        """The settings that name the simulator."""
        url = {"IAMPORT_URL": self.proxy.url, "IMPCERT_CA_FILE": str(self.proxy.ca)} if tls else {
            "IAMPORT_URL": self.simulator.url,
            "IMPCERT_ALLOW_HTTP": "true",
        }
        return KEY_PAIR | url

    def start(self, command, settings, log):
        """A process of its own; its output goes to the file `log`."""
        with open(log, "wb") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment(self.keeper.environment() | settings),
                cwd=self.directory,
            )
