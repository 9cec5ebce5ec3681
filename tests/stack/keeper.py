"""The keeper: a small process that ends everything of an instance once its owner is gone.

It reads a pipe whose other end only the owner holds, so it sees the owner's end however it comes about. Then
it kills all that carries the instance's mark and removes the directory when it is a temporary one.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from . import marks, ports
from .errors import StackError

PROGRAM = "from stack.keeper import main; main()"


def discard(directory, remove):
    """Ends what runs in `directory`; with `remove` also frees its ports and deletes it."""
    marks.sweep(directory)
    if remove:
        shutil.rmtree(directory, ignore_errors=True)
        ports.release(directory)


class Keeper:
    """Watches over `directory` until `close` is called or this process ends; `remove`: deletes it then."""

    def __init__(self, directory, remove):
        self.directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(directory), "remove" if remove else "keep"],
            stdin=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )

    @staticmethod
    def _environment():
        # The keeper must outlive an instance around this one, which ends all that carries its mark.
        variables = {k: v for k, v in os.environ.items() if k not in (marks.INSTANCE, marks.SERVER)}
        return variables | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}

    def environment(self):
        """Give this to a process and it ends with the keeper's owner."""
        return marks.environment(self.directory)

    def close(self):
        self._process.stdin.close()
        if self._process.wait() != 0:
            raise StackError(f"something of {self.directory} is left over")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    directory, remove = sys.argv[1], sys.argv[2] == "remove"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    discard(directory, remove)
