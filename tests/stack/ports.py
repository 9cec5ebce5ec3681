"""Ports for servers: free now, and not claimed by another instance whose server is stopped for a while.

They lie below the kernel's ephemeral range, so that no outgoing connection takes one between a stop and a
start. A claim is a file named after the port that holds the instance's directory, and ends with it.
"""

import fcntl
import random
import socket
from contextlib import contextmanager
from pathlib import Path

from . import cache
from .errors import StackError

LOWEST = 15000
TRIES = 1000


def claim(directory, count):
    """Claims `count` ports for the instance in `directory`."""
    with _claims() as claims:
        taken = {int(path.name) for path in claims.iterdir() if path.name.isdigit()}
        chosen = []
        for _ in range(TRIES):
            port = random.randrange(LOWEST, _ephemeral())
            if port not in taken and port not in chosen and free(port):
                chosen.append(port)
            if len(chosen) == count:
                break
        else:
            raise StackError("no free ports on 127.0.0.1")
        for port in chosen:
            (claims / str(port)).write_text(str(directory))
        return chosen


def release(directory):
    """Gives up all that `directory` has claimed, and what belongs to directories that are gone."""
    with _claims() as claims:
        for path in claims.iterdir():
            if path.name.isdigit() and path.read_text() == str(directory):
                path.unlink()


def free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _claims():
    claims = cache.root() / "ports"
    claims.mkdir(parents=True, exist_ok=True)
    with open(claims / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in claims.iterdir():
            if path.name.isdigit() and not Path(path.read_text()).is_dir():
                path.unlink()
        yield claims


def _ephemeral():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return lowest if lowest > LOWEST + TRIES else 65536
