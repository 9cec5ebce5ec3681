"""All contestants at the same work, in interleaved rounds."""

import random

from .contestants import BY_NAME
from .measure import Failure, Workload, one_run
from .report import line

SECONDS = 8  # that a run is to take, about
ONE_BY_ONE = 6


def workload(contestant, latency, tls, in_flight, scale):
    """As many events as the contestant does in some seconds: without latency what it is able to, with latency what
    Little's law allows at most."""
    rate = contestant.rate / (3 if tls else 1)
    seconds = int(latency.removesuffix("ms")) / 1000
    if seconds:
        rate = min(rate, (ONE_BY_ONE if contestant.one_by_one else in_flight) / seconds)
    return Workload(max(100, int(rate * SECONDS * scale)), latency, in_flight, 6, tls)


def compare(ground, names, cells, rounds, scale, report):
    """cells: (latency, tls, in_flight). Each round runs everything once, in an order of its own."""
    results = []
    for number in range(1, rounds + 1):
        todo = [(cell, name) for cell in cells for name in names]
        random.shuffle(todo)
        for (latency, tls, in_flight), name in todo:
            try:
                result = one_run(ground, BY_NAME[name], workload(BY_NAME[name], latency, tls, in_flight, scale))
            except (Failure, AssertionError) as failure:
                report(f"round {number}: {name} at {latency}: FAILED: {failure}")
                results.append((number, name, None))
                continue
            report(f"round {number}: {line(result)}")
            results.append((number, name, result))
    return results
