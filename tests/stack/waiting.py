"""Waiting for a condition with a deadline, the only way that tests wait."""

import time


def wait_for(condition, deadline, what, interval=0.05, error=AssertionError):
    """Calls `condition` until it returns something true, and returns that.

    After `deadline` seconds raises `error`, which names `what` and what the condition gave last.
    """
    started = time.monotonic()
    value = failure = None
    while True:
        try:
            value, failure = condition(), None
        except AssertionError as reason:
            value, failure = None, reason
        if value:
            return value
        if time.monotonic() - started > deadline:
            seen = f"raised {failure}" if failure else f"last seen: {value!r}"
            raise error(f"not within {deadline} s: {what} ({seen})")
        time.sleep(interval)
