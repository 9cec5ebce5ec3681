"""Our programs as tests run them: from the build directory, in a clean environment, with output kept."""

import os
import signal
import subprocess
import threading
from pathlib import Path

from stack import wait_for

ROOT = Path(__file__).resolve().parents[3]
# For a build with ThreadSanitizer. A worker whose time to drain is over leaves its threads behind on purpose.
TSAN_OPTIONS = f"suppressions={ROOT}/tests/tsan/suppressions.txt report_thread_leaks=0"
# Sanitizers multiply a program's memory.
SANITIZED = os.environ.get("STACK_BUILD", "").endswith(("asan", "tsan"))
OWN_SETTINGS = ("IMPCERT_", "IAMPORT_", "MONGODB_", "SIMULATOR_")


def binary(name):
    """The built program; STACK_BUILD names another build directory, e.g. build/tsan."""
    path = ROOT / os.environ.get("STACK_BUILD", "build/release") / "bin" / name
    assert path.exists(), f"{path} is not built"
    return str(path)


def clean_environment(settings):
    """The caller's environment without settings of ours, then `settings`; None takes a variable away."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OWN_SETTINGS)}
    # Workers that are killed would leave files of libmongoc's in /dev/shm.
    own = {"TSAN_OPTIONS": TSAN_OPTIONS, "MONGOC_DISABLE_SHM": "1"}
    return {k: str(v) for k, v in (own | kept | settings).items() if v is not None}


def run_program(name, *arguments, settings=None, stdin="", deadline=60):
    """Runs a program to its end: the CompletedProcess, with text output (bytes if stdin is bytes)."""
    return subprocess.run(
        [binary(name), *arguments],
        input=stdin,
        text=isinstance(stdin, str),
        capture_output=True,
        env=clean_environment(settings or {}),
        timeout=deadline,
    )


class Program:
    """A program that runs until it is stopped. Its output lines are read by threads as they come."""

    def __init__(self, name, *arguments, settings=None, wrapper=(), command=None):
        """wrapper: a command that runs the program, such as valgrind; command: one that is no program of ours."""
        self.name = name
        self.stdout, self.stderr = [], []
        self._process = subprocess.Popen(
            [*wrapper, *(command or [binary(name)]), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=clean_environment(settings or {}),
        )
        self.pid = self._process.pid
        outputs = ((self._process.stdout, self.stdout), (self._process.stderr, self.stderr))
        self._readers = [threading.Thread(target=_collect, args=output, daemon=True) for output in outputs]
        for reader in self._readers:
            reader.start()

    def __str__(self):
        return f"{self.name} (pid {self.pid})"

    @property
    def exit_code(self):
        """None while it runs; -N after signal N."""
        return self._process.poll()

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, deadline=30):
        """Waits for its end and the end of its output; returns the exit code."""
        wait_for(lambda: self.exit_code is not None, deadline, f"end of {self}")
        for reader in self._readers:
            reader.join(deadline)
        return self.exit_code

    def stop(self, deadline=30):
        """SIGTERM, and the exit code. Already ended is fine."""
        if self.exit_code is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def kill(self):
        """kill -9."""
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
        return self.wait()

    def memory(self):
        """Resident memory in bytes."""
        return self._status("VmRSS")

    def peak_memory(self):
        return self._status("VmHWM")

    def log_tail(self, lines=40):
        return "\n".join(self.stdout[-lines:] + self.stderr[-lines:])

    def _status(self, field):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def _collect(stream, lines):
    for line in stream:
        lines.append(line.rstrip("\n"))
