"""What the demo stands on: the events it invents, and our programs as they run beside it."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from stack import StackError, marks, wait_for
from support.flow import event
from support.http import fetch
from support.program import clean_environment

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
EXAMPLES = ROOT / "producer/examples"

RETRY_DELAYS = "2s"  # nobody wants to wait for an hour here
EACH = 5  # bad events of a kind
# What the simulator answers to an imp_uid that starts so, and the reason that the dead letter then has.
BAD = {
    "missing": "not_found",
    "unfinished": "not_certified",
    "nokey": "no_unique_key",
    "refused": "refused",
    "other": "bad_response",
    "html": "bad_response",
    "unavailable": "unavailable",
}
INVALID = ("not JSON, number %d", '{"imp_uid": %d}', '{"imp_uid": "no such / imp_uid %d"}')


class Events:
    """`good` imp_uids, some of which succeed at the second try only, and bad events among them."""

    def __init__(self, count):
        bad = EACH * (len(BAD) + len(INVALID))
        self.good = [f"imp_{number:012d}" for number in range(count - bad - EACH)]
        self.good += [f"flaky1_{number}" for number in range(EACH)]
        failing = {f"{kind}_{number}": reason for kind, reason in BAD.items() for number in range(EACH)}
        self.invalid = [(text % number).encode() for text in INVALID for number in range(EACH)]
        self.reasons = {event(imp_uid)[1]: reason for imp_uid, reason in failing.items()}
        self.reasons |= {value: "invalid_event" for value in self.invalid}
        self.imp_uids = [*self.good, *failing]
        random.Random(0).shuffle(self.imp_uids)


class Failure(Exception):
    """The demo cannot go on; the message is for the person at the terminal."""


class Program:
    """A program that runs until it is stopped or the stack ends: one of ours, or `command`. Its output is in a file."""

    directory = BIN  # where ours are

    def __init__(self, stack, name, *arguments, command=None, settings=None, stdin=subprocess.DEVNULL):
        self.name, self.log = name, stack.directory / f"{name}.log"
        environment = stack.child_environment() | marks.environment(stack.directory, name)
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*(command or [self.directory / name]), *arguments],
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(environment | (settings or {})),
                start_new_session=True,
            )

    def finished(self):
        """Whether it has ended, and well."""
        if self._process.poll() not in (None, 0):
            self._fail()
        return self._process.poll() == 0

    def check(self):
        if self._process.poll() is not None:
            self._fail()

    def log_tail(self, lines=15):
        last = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n  ".join(["its log ends so:", *last])

    def find(self, what, search):
        """What `search` finds in a line of the log, as soon as there is such a line."""

        def found():
            lines = self.log.read_text(errors="replace").splitlines(keepends=True)
            results = [search(line) for line in lines if line.endswith("\n")]
            if not any(results):
                self.check()
            return next(filter(None, results), None)

        return wait_for(found, 30, f"{what} of {self.name}", error=Failure)

    def stop(self, deadline=30):
        self.check()
        self._process.terminate()
        try:
            code = self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end; {self.log_tail()}") from None
        if code != 0:
            self._fail()

    def _fail(self):
        raise Failure(f"{self.name} ended with {self._process.returncode}; {self.log_tail()}")


class Simulator(Program):
    directory = BIN  # it is installed nowhere
    KEY_PAIR = {"IAMPORT_KEY": "demo-key", "IAMPORT_SECRET": "demo-secret"}

    def __init__(self, stack, latency):
        pair = ("--key", self.KEY_PAIR["IAMPORT_KEY"], "--secret", self.KEY_PAIR["IAMPORT_SECRET"])
        super().__init__(stack, "impcert-simulator", "--listen", "127.0.0.1:0", *pair, "--latency", latency)
        self.url = self.find("address", lambda line: line.partition("listening on ")[2].strip())

    def settings(self):
        return self.KEY_PAIR | {"IAMPORT_URL": self.url, "IMPCERT_ALLOW_HTTP": "true"}

    def certifications(self, imp_uids):
        """{imp_uid: its true record}"""
        return json.loads(fetch(f"{self.url}/_control/certifications", "POST", imp_uids, deadline=60)[1])


class Service(Program):
    """One of ours that listens, on a port of its choice, and tells it in a line of its log."""

    def __init__(self, stack, name, settings, tells):
        own = {"IMPCERT_HTTP_LISTEN": "127.0.0.1:0", "IMPCERT_LOG_FORMAT": "json"}
        super().__init__(stack, name, settings=own | settings)
        self.url = "http://" + self.find("address", lambda line: _address(line, tells))

    def wait_until_ready(self, deadline=30):
        page = None

        def ready():
            nonlocal page
            self.check()
            status, page = fetch(f"{self.url}/readyz")
            return status == 200

        try:
            wait_for(ready, deadline, "readiness", error=Failure)
        except Failure:
            raise Failure(f"{self.name} is not ready after {deadline} s:\n  {page.strip()}") from None


class Worker(Service):
    def __init__(self, stack, settings):
        own = {"IMPCERT_RETRY_DELAYS": RETRY_DELAYS}
        super().__init__(stack, "impcert-worker", own | settings, tells="endpoint listening")

    def metric(self, *names):
        """The values of metrics, each added up over its labels."""
        self.check()
        lines = [line for line in fetch(f"{self.url}/metrics")[1].splitlines() if not line.startswith("#")]
        samples = [(line.rpartition(" ")[0].partition("{")[0], line.rpartition(" ")[2]) for line in lines]
        return [int(sum(float(value) for name, value in samples if name == wanted)) for wanted in names]

    def cpu_seconds(self):
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident memory in MiB, at most so far."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


class Shop(Program):
    """What stands for the shop: its page, on an origin of its own."""

    def __init__(self, stack):
        serve = ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", EXAMPLES, "0"]
        super().__init__(stack, "shop", *serve, command=[sys.executable])
        self.origin = self.find("address", lambda line: line.partition("(")[2].partition("/)")[0])

    def page(self, gateway):
        return f"{self.origin}/shop.html?gateway={gateway.url}"


class Gateway(Service):
    """The gateway, for pages of one origin."""

    def __init__(self, stack, origin):
        super().__init__(stack, "impcert-gateway", {"IMPCERT_CORS_ORIGINS": origin}, tells="started")


def _address(line, message):
    entry = json.loads(line) if line.startswith("{") else {}
    return entry.get("address") if entry.get("message") == message else None


def end(directory, name, deadline=30):
    """SIGTERM to a program of a demo that another process started."""
    marks.send(marks.find(directory, name), signal.SIGTERM)
    wait_for(lambda: not marks.find(directory, name), deadline, f"end of {name}", error=StackError)
