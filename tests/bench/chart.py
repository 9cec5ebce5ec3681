#!/usr/bin/env python3
"""chart.py compare.json OUT.svg: all contestants side by side, as bars of medians with ranges.
chart.py scale.json OUT.svg: impcert's cost per event and memory, as its load grows.

Runs by itself, with Debian's python3-matplotlib.
"""

import json
import sys
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)

TITLES = {
    "impcert": "impcert",
    "go": "Go\nfranz-go",
    "node": "node\nbatched",
    "java": "Java\nParallel\nConsumer",
    "blog": "node\none\nby one",
}
FIGURES = (("cpu_us", "CPU per event, µs"), ("rate", "events/s"), ("peak_mib", "memory, MiB"))


SERIES = {
    "events": "events of a run",
    "partitions": "partitions",
    "in flight at 1 s": "in flight, answers after 1 s",
    "in flight at 100 ms": "in flight, answers after 100 ms",
    "processes": "processes",
}


def main(source, target):
    content = json.load(open(source))
    figure = scale(content) if isinstance(content, dict) else compare(content)
    figure.tight_layout()
    figure.savefig(target)


def compare(content):
    results = [result for *_, result in content if result]
    plain = [result for result in results if not result["workload"]["tls"]]
    latencies = list(dict.fromkeys(result["workload"]["latency"] for result in sorted(plain, key=_latency)))
    figure, axes = plt.subplots(len(FIGURES), len(latencies), figsize=(4.6 * len(latencies), 7), squeeze=False)
    for number, (name, label) in enumerate(FIGURES):
        for axis, latency in zip(axes[number], latencies):
            draw(axis, [result for result in plain if result["workload"]["latency"] == latency], name)
            axis.set_ylabel(label)
            if name == "cpu_us":
                axis.set_yscale("log")
                axis.set_ylim(bottom=10)
                axis.set_ylabel(f"{label} (log)")  # from impcert to one by one it is a factor of 50 to 100
            if number == 0:
                axis.set_title(f"Iamport answers in {latency.replace('ms', ' ms')}")
    return figure


def scale(content):
    shown = [name for name in SERIES if name in content]
    figures = (("cpu_us", "CPU per event, µs"), ("peak_mib", "memory, MiB"))
    figure, axes = plt.subplots(len(figures), len(shown), figsize=(2.6 * len(shown), 4.6), squeeze=False)
    for row, (name, label) in zip(axes, figures):
        for axis, series in zip(row, shown):
            steps = content[series]
            values = [[result[name] for result in results] for results in steps.values()]
            bars(axis, [step.replace(",000,000", " M") for step in steps], values, "#1f6f4a")
            axis.set_xlabel(SERIES[series], fontsize=8)
        row[0].set_ylabel(label)
    return figure


def _latency(result):
    return int(result["workload"]["latency"].removesuffix("ms"))


def draw(axis, results, name):
    shown = [one for one in TITLES if any(result["contestant"] == one for result in results)]
    values = [[result[name] for result in results if result["contestant"] == one] for one in shown]
    colors = ["#1f6f4a" if one == "impcert" else "#b8bfc6" for one in shown]
    bars(axis, [TITLES[one] for one in shown], values, colors)


def bars(axis, labels, values, colors):
    """Medians, with the range of each."""
    middle = [median(one) for one in values]
    low = [m - min(one) for m, one in zip(middle, values)]
    high = [max(one) - m for m, one in zip(middle, values)]
    axis.bar(labels, middle, color=colors, yerr=[low, high], capsize=3)
    for place, (value, above) in enumerate(zip(middle, high)):
        axis.annotate(f"{value:,.0f}", (place, value + above), ha="center", va="bottom", fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
