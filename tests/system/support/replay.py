"""impcert-replay as tests run it, and dead letters that no worker had to fail for."""

import json
import os
import re
import subprocess
import time
from collections import Counter, namedtuple
from datetime import datetime, timedelta, timezone
from pathlib import Path

from support.flow import event
from support.program import binary, clean_environment

PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.M)
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
Measured = namedtuple("Measured", "exit_code stdout stderr seconds peak_memory")


def rfc3339(moment):
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def letter(imp_uid, reason="not_found", age=timedelta(minutes=5), **facts):
    """(key, value, headers) of a dead letter as the worker writes it; a fact of None takes a header away."""
    failed = rfc3339(datetime.now(timezone.utc) - age)
    known = {
        "reason": reason,
        "error": "HTTP 404",
        "http_status": "404",
        "attempts": "1",
        "first_failed_at": failed,
        "failed_at": failed,
        "origin": "certifications/0/1",
        "topic": "certifications",
    }
    own = [(f"impcert.{name}", value.encode()) for name, value in (known | facts).items() if value is not None]
    return (*event(imp_uid), [TRACE, *own])


class Replay:
    """Runs the program on the topics of `names`."""

    def __init__(self, names):
        own = names.settings()
        wanted = ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")
        self._settings = {name: own[name] for name in wanted}
        self._started = []

    def __call__(self, *arguments, deadline=120, stdin=subprocess.DEVNULL, **settings):
        """Runs it to its end: the CompletedProcess."""
        return subprocess.run(
            [binary("impcert-replay"), *arguments],
            stdin=stdin,
            capture_output=True,
            text=True,
            env=clean_environment(self._settings | settings),
            timeout=deadline,
        )

    def start(self, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings):
        process = subprocess.Popen(
            [binary("impcert-replay"), *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=clean_environment(self._settings | settings),
        )
        self._started.append(process)
        return process

    def measure(self, *arguments, **settings):
        """Runs it to its end, and says how long it took and what memory (bytes) it had at most.

        The kernel's own account begins with what this process has, so the program is looked at while it runs.
        """
        started, peak = time.monotonic(), 0
        process = self.start(*arguments, **settings)
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            found = PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) * 1024 if found else 0)
            time.sleep(0.002)
        seconds = time.monotonic() - started
        stdout, stderr = process.communicate()
        return Measured(process.returncode, stdout, stderr, seconds, peak)

    def unresolved(self, *arguments):
        """{reason: count} by list --json."""
        done = self("list", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return Counter(json.loads(line)["reason"] for line in done.stdout.splitlines())

    def story(self, imp_uid):
        """show --json"""
        done = self("show", imp_uid, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def clean_up(self):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
