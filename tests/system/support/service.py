"""A program that runs until it is stopped, as tests see it: its JSON log, its pages, its end."""

import json
import os
import re
from pathlib import Path

from stack import wait_for
from support.http import fetch
from support.program import Program

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)")


class Service(Program):
    listening = None  # the message of the log line that tells the address
    tls = None  # an SSLContext where it speaks TLS

    def __init__(self, name, settings, wrapper=()):
        super().__init__(name, settings=settings, wrapper=wrapper)
        self._address = None

    def log(self, **fields):
        """The log lines so far that have all these fields."""
        return [line for line in _parsed(self.stderr) if fields.items() <= line.items()]

    def wait_for_log(self, message, deadline=30, **fields):
        """The first log line with this `message` and these fields."""

        def written():
            found = self.log(message=message, **fields)
            assert found or self.exit_code is None, f"{self} ended with {self.exit_code}:\n{self.log_tail()}"
            return found

        return wait_for(written, deadline, f"log line {message!r} of {self}")[0]

    @property
    def address(self):
        """host:port of /metrics, /healthz and /readyz."""
        if not self._address:
            self._address = self.wait_for_log(self.listening)["address"]
        return self._address

    def get(self, path):
        """(status, text) of a page."""
        scheme = "https" if self.tls else "http"
        return fetch(f"{scheme}://{self.address}{path}", context=self.tls)

    def ready(self):
        return self.get("/readyz")[0] == 200

    def alive(self):
        return self.get("/healthz")[0] == 200

    def wait_until_ready(self, deadline=60):
        wait_for(self.ready, deadline, f"{self} to be ready")
        return self

    def cpu_seconds(self):
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self):
        """{'name{label="value"}': number} of every sample."""
        found = (SAMPLE.match(line) for line in self.get("/metrics")[1].splitlines())
        return {match[1]: float(match[2]) for match in found if match}

    def metric(self, name):
        """The sum over all labels of one metric."""
        return sum(value for sample, value in self.metrics().items() if sample.split("{")[0] == name)

    def log_tail(self, lines=40):
        """With the metrics, where there are any left to ask for."""
        tail = super().log_tail(lines)
        if self.exit_code is not None or not self._address:
            return tail
        try:
            return f"{tail}\n{ {name: value for name, value in self.metrics().items() if value and '_bucket' not in name} }"
        except OSError as failure:
            return f"{tail}\nno metrics: {failure}"


def _parsed(lines):
    for line in list(lines):
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            yield parsed
