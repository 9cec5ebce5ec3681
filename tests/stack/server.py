"""What Kafka and MongoDB have in common: one process with a log, ports and data that outlive it.

A server is known by the mark in its environment, so a Server object works on a process that another program
started, and `kill`, `stop` and `start` may be mixed freely.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import marks, ports
from .errors import StackError
from .waiting import wait_for

START_DEADLINE = 120
STOP_DEADLINE = 60
CLASH_TRIES = 5


class Server:
    name = None
    port_count = 1

    def __init__(self, directory, claimed=None):
        self.directory = directory
        self.ports = claimed
        self.log = directory / f"{self.name}.log"
        self._process = None
        self._log_start = 0

    # What a subclass gives.

    def prepare(self):
        """Writes configuration for `ports` and formats empty storage."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def ready(self):
        """Asks the server itself, and makes sure that it is this one."""
        raise NotImplementedError

    # What every server can do.

    @property
    def address(self):
        return f"127.0.0.1:{self.ports[0]}"

    def pid(self):
        """The pid of the running process, or None."""
        if self._process and self._process.poll() is None:
            return self._process.pid
        found = marks.find(self.directory, self.name)
        return found[0] if found else None

    def state(self):
        pid = self.pid()
        return f"pid {pid}" if pid else "stopped"

    def start(self, deadline=START_DEADLINE):
        """Starts the server and waits until it answers. The first start may change a snatched port."""
        if self.pid():
            return
        fresh = self.ports is None
        for left in reversed(range(CLASH_TRIES)):
            if fresh:
                self.ports = ports.claim(self.directory, self.port_count)
            self.prepare()
            self._spawn()
            try:
                self._wait_until_ready(deadline)
                return
            except StackError:
                if not (fresh and left and "Address already in use" in self._new_log()):
                    raise

    def stop(self, deadline=STOP_DEADLINE):
        """An orderly stop (SIGTERM); data and ports stay."""
        self._signal(signal.SIGCONT, signal.SIGTERM)
        self._wait_until_gone(deadline)

    def kill(self):
        """kill -9; data and ports stay."""
        self._signal(signal.SIGKILL)
        self._wait_until_gone(STOP_DEADLINE)

    def restart(self, deadline=START_DEADLINE):
        self.stop()
        self.start(deadline)

    def pause(self):
        """Freezes the process: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        wait_for(self._is_frozen, 10, f"every thread of {self.name} to stand still", interval=0.01)

    def resume(self):
        self._signal(signal.SIGCONT)

    def _is_frozen(self):
        tasks = Path(f"/proc/{self.pid()}/task").iterdir()
        return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def log_tail(self, lines=15):
        return "\n".join(self._new_log().splitlines()[-lines:])

    def _spawn(self):
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=os.environ | marks.environment(self.directory, self.name),
                start_new_session=True,
            )

    def _wait_until_ready(self, deadline):
        end = time.monotonic() + deadline
        while not self.ready():
            if self._process.poll() is not None:
                code = self._process.returncode
                raise StackError(f"{self.name} ended with {code}; its log:\n{self.log_tail()}")
            if time.monotonic() > end:
                self.kill()
                raise StackError(f"{self.name} is not ready after {deadline} s; its log:\n{self.log_tail()}")
            time.sleep(0.05)

    def _new_log(self):
        """The log since the last start."""
        with open(self.log, "rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def _signal(self, *numbers):
        pid = self.pid()
        if pid is None:
            raise StackError(f"{self.name} is not running")
        for number in numbers:
            marks.send([pid], number)

    def _wait_until_gone(self, deadline):
        wait_for(lambda: self.pid() is None, deadline, f"end of {self.name}", error=StackError)


class Foreign:
    """A server that was there before us: used, never started or stopped."""

    ports = None

    def pid(self):
        return None

    def state(self):
        return "given by the environment"

    def start(self, deadline=None):
        pass

    def _refuse(self, *_):
        raise StackError(f"{self.name} was given by the environment, the stack must not touch it")

    stop = kill = restart = pause = resume = _refuse
