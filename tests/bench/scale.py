"""impcert alone: how its cost per event and its memory change with events, partitions, events in flight and processes."""

from dataclasses import asdict

from .contestants import IMPCERT
from .measure import Failure, Workload, one_run

# name: workloads and the number of processes, from small to large.
SERIES = {
    "events": [(Workload(n), 1) for n in (10_000, 100_000, 1_000_000)],
    "partitions": [(Workload(200_000, partitions=n), 1) for n in (1, 6, 60)],
    "in flight at 1 s": [(Workload(8 * n, "1s", n), 1) for n in (100, 1_000, 10_000)],
    "in flight at 100 ms": [(Workload(80 * n, "100ms", n), 1) for n in (64, 512, 4_096)],
    "processes": [(Workload(200_000), n) for n in (1, 2, 4)],
}


def scale(ground, rounds, report):
    """{series: [[label, results of each round]]}"""
    found = {}
    for number in range(1, rounds + 1):
        for name, steps in SERIES.items():
            for workload, processes in steps:
                label = f"{_varied(name, workload, processes):,}"
                try:
                    result = one_run(ground, IMPCERT, workload, processes)
                except Failure as failure:
                    report(f"round {number}: {label} {name}: FAILED: {failure}")
                    continue
                report(
                    f"round {number}: {label:>9} {name:20} {result.rate:8.0f} events/s "
                    f"{result.cpu_us:6.1f} us/event {result.peak_mib:7.1f} MiB"
                )
                found.setdefault(name, {}).setdefault(label, []).append(asdict(result))
    return found


def _varied(name, workload, processes):
    if name == "events":
        return workload.events
    if name == "partitions":
        return workload.partitions
    return processes if name == "processes" else workload.in_flight
