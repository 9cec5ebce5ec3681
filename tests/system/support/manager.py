"""The service manager that a daemon tells of itself by sd_notify's protocol: a real socket that a test reads."""

import ctypes
import os
import socket
import time
from pathlib import Path

from stack import wait_for

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # waits for threads, too


class Manager:
    def __init__(self, name, watchdog_us):
        """name: a path, or "@..." in the abstract namespace."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        self._watchdog_us, self._name = watchdog_us, name
        self.told = []  # (monotonic time, line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def settings(self):
        return {"NOTIFY_SOCKET": self._name, "WATCHDOG_USEC": self._watchdog_us, "WATCHDOG_PID": None}

    def lines(self):
        """All lines told so far."""
        return [line for _, line in self._read()]

    def wait_for(self, line, deadline=30, since=0.0):
        """The time at which `line` came, after `since`."""
        return wait_for(
            lambda: next((at for at, told in self._read() if told == line and at > since), None),
            deadline,
            f"{line!r} among what the manager is told: {self.told}",
        )

    def wait_for_silence(self, seconds, deadline=30):
        """Until nothing has come for so long."""
        given_up = time.monotonic() + deadline
        self._read()
        self._socket.settimeout(seconds)
        while time.monotonic() < given_up:
            try:
                self._take(self._socket.recv(4096))
            except TimeoutError:
                return
        raise AssertionError(f"the manager is told on and on: {self.told[-5:]}")

    def _take(self, data):
        self.told += [(time.monotonic(), line) for line in data.decode().splitlines()]

    def _read(self):
        self._socket.setblocking(False)
        while True:
            try:
                self._take(self._socket.recv(4096))
            except BlockingIOError:
                return self.told


class StoppedThreads:
    """All threads of a process but its main one, held still by ptrace, as its parent may do."""

    def __init__(self, pid):
        self._libc = ctypes.CDLL(None, use_errno=True)
        tasks = (int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())
        self._threads = [tid for tid in tasks if tid != pid]

    def __enter__(self):
        for tid in self._threads:
            self._ptrace(PTRACE_SEIZE, tid)
            self._ptrace(PTRACE_INTERRUPT, tid)
            os.waitpid(tid, WALL)
        return self

    def __exit__(self, *_):
        for tid in self._threads:
            self._ptrace(PTRACE_DETACH, tid)

    def _ptrace(self, request, tid):
        done = self._libc.ptrace(request, tid, None, None)
        assert done == 0, f"ptrace({request:#x}, {tid}): {os.strerror(ctypes.get_errno())}"
