"""Calls of malloc, calloc and realloc for an event, by the module that calls (allocations/count.c). What a start costs
cancels out: two runs are compared, one with more events."""

from collections import Counter
from pathlib import Path

from support.program import ROOT

from .contestants import IMPCERT
from .measure import Workload, one_run

COUNTER = ROOT / "build/release/tests/libcount_allocations.so"
FEW, MANY = 50_000, 250_000


class Counted:
    """impcert with the counter in it."""

    name = "impcert-counted"

    def __init__(self, output):
        self._output = output

    def command(self):
        return IMPCERT.command()

    def environment(self, in_flight):
        return IMPCERT.environment(in_flight) | {"LD_PRELOAD": str(COUNTER), "COUNT_ALLOCATIONS": str(self._output)}


def allocations(ground, report):
    counts = [_counted(ground, events) for events in (FEW, MANY)]
    found = {name: (count - counts[0][name]) / (MANY - FEW) for name, count in counts[1].items()}
    found = {name: per for name, per in sorted(found.items(), key=lambda item: -item[1]) if per >= 0.001}
    for name, per in found.items():
        report(f"{name:30} {per:8.3f} for an event")
    report(f"{'all':30} {sum(found.values()):8.3f}")
    return found


def _counted(ground, events):
    output = ground.directory / "allocations"
    one_run(ground, Counted(output), Workload(events))
    counts = Counter()
    for line in output.read_text().splitlines():
        path, count = line.rsplit(" ", 1)
        counts[Path(path).name] += int(count)
    return counts
