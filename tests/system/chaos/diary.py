"""What happened in a round and when; every lane writes to it, and a failed test shows it."""

import threading
import time
from collections import Counter, namedtuple
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

Window = namedtuple("Window", "effect start end")
# A try that began within a fault may end so long after it, and times of letters are cut to milliseconds.
AFTERMATH, CUT = timedelta(seconds=5), timedelta(milliseconds=1)


class Diary:
    def __init__(self, seed):
        self.seed = seed
        self.counts = Counter()
        self._lines, self._windows = [], []
        self._lock = threading.Lock()
        self._started = time.monotonic()

    def __str__(self):
        return f"chaos, seed {self.seed}: what happened (seconds since the start)"

    def note(self, text):
        with self._lock:
            self._lines.append(f"{time.monotonic() - self._started:7.2f}  {text}")

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    @contextmanager
    def fault(self, what, detail, effect):
        """Notes the begin and the end of a fault; `effect` is what it may do to a try of an event, or None."""
        self.note(what + detail)
        self.count(what)
        start = datetime.now(timezone.utc)
        try:
            yield
        finally:
            with self._lock:
                self._windows.append(Window(effect, start, datetime.now(timezone.utc) + AFTERMATH))
            self.note(f"    over: {what}")

    def within(self, when, effects):
        """Whether a fault with one of these effects was on at the time `when`."""
        return any(w.effect in effects and w.start - CUT <= when <= w.end for w in self._windows)

    def log_tail(self):
        return "\n".join(self._lines)
