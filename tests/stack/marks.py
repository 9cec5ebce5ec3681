"""Finds and ends the processes of an instance.

Each process started for an instance carries the instance's directory in its environment, and so do its
children. A look through /proc therefore finds all of them, with no pid file to be missing or name a stranger.
"""

import os
import signal
import time

from .errors import StackError
from .waiting import wait_for

INSTANCE = "STACK_INSTANCE"
SERVER = "STACK_SERVER"


def environment(directory, server=None):
    """The variables that mark a process as part of the instance in `directory`."""
    return {INSTANCE: str(directory)} | ({SERVER: server} if server else {})


def processes():
    """Yields (pid, environment) of every process that we may read; zombies have none left."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            content = _read_environment(entry)
        except OSError:
            continue
        for name in (INSTANCE.encode(), SERVER.encode()):
            content = content.replace(name + b"\0", name + b"=")  # bash cuts each in two for a moment, as it starts
        variables = content.split(b"\0")
        yield int(entry), dict(v.decode(errors="replace").split("=", 1) for v in variables if b"=" in v)


def _read_environment(pid, patience=10):
    """In the midst of an execve(2) it reads as cut off, or as empty: what counts is what fills its place, where that
    has not changed meanwhile. Each program gets another."""
    until = time.monotonic() + patience
    while True:
        before = _environment_place(pid)
        content = _read(pid, "environ")
        start, end = _environment_place(pid)
        if (0 < start < end == start + len(content) and (start, end) == before) or time.monotonic() > until:
            return content


def _environment_place(pid):
    os.readlink(f"/proc/{pid}/exe")  # raises OSError for zombies and threads of the kernel, which have no program
    return tuple(map(int, _read(pid, "stat").rpartition(b")")[2].split()[47:49]))  # proc(5): env_start, env_end


def _read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def find(directory, server=None):
    """Pids of the instance's processes, or of its one server."""
    return [
        pid
        for pid, variables in processes()
        if variables.get(INSTANCE) == str(directory)
        and (server is None or variables.get(SERVER) == server)
        and pid != os.getpid()
    ]


def instances():
    """Directories of all instances that have a running server."""
    return sorted({v[INSTANCE] for _, v in processes() if INSTANCE in v and SERVER in v})


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def sweep(directory, server=None, deadline=20):
    """kill -9 to all of them, again until none is left (one may be forking just now)."""

    def gone():
        left = find(directory, server)
        send(left, signal.SIGKILL)
        return not left

    wait_for(gone, deadline, f"end of the processes of {directory}", error=StackError)
