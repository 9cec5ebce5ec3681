"""What the demo shows: steps with their times, a progress bar on a terminal and plain lines elsewhere."""

import os
import sys
import time
from contextlib import contextmanager

WIDTH = 96
BAR = 30
PLAIN_INTERVAL = 2  # seconds between plain lines of progress

LIVE = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
COLOURS = LIVE and not os.environ.get("NO_COLOR")
sys.stdout.reconfigure(errors="replace", line_buffering=True)


def bold(text):
    return _coloured("1", text)


def dim(text):
    return _coloured("2", text)


def mark(right):
    return _coloured("32", "✓") if right else _coloured("31", "✗")


def _coloured(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def heading(text, detail=""):
    print(f"\n{bold(text)}" + (f"  {detail}" if detail else ""))


def fit(text, width=WIDTH):
    return text if len(text) <= width else text[: width - 1] + "…"


@contextmanager
def step(name):
    """Yields a list for the words that tell what was done; shows them with the time once it is."""
    if LIVE:
        print(f"  {name} …", end="\r", flush=True)
    started, words = time.monotonic(), []
    yield words
    seconds = f"{time.monotonic() - started:.1f} s"
    _replace(f"  {name:9}{fit(' '.join(words), 74):75}{dim(f'{seconds:>10}')}\n")


class Progress:
    def __init__(self, name):
        self._name, self._shown = name, time.monotonic()

    def show(self, done, total, words):
        part = min(1, done / total)
        if LIVE:
            bar = "━" * int(BAR * part) + dim("─" * (BAR - int(BAR * part)))
            _replace(f"  {self._name:9}{bar} {part:4.0%}  {words}")
        elif time.monotonic() - self._shown >= PLAIN_INTERVAL:
            self._shown = time.monotonic()
            print(f"  {self._name:9}{part:4.0%}  {words}")


def _replace(text):
    print(f"\r\033[K{text}" if LIVE else text, end="", flush=True)
