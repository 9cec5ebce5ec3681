#!/usr/bin/env python3
"""chart.py compare.json OUT.svg: CPU per event of all contestants, as bars of medians with ranges.

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
    "java": "Java\nParallel Consumer",
    "blog": "node\none by one",
}
FIGURES = (("cpu_us", "CPU per event, µs"), ("rate", "events/s"), ("peak_mib", "memory, MiB"))


def main(source, target):
    results = [result for *_, result in json.load(open(source)) if result]
    plain = [result for result in results if not result["workload"]["tls"]]
    latencies = list(dict.fromkeys(result["workload"]["latency"] for result in sorted(plain, key=_latency)))
    figure, axes = plt.subplots(len(FIGURES), len(latencies), figsize=(4.6 * len(latencies), 7), squeeze=False)
    for row, (name, label) in zip(axes, FIGURES):
        for axis, latency in zip(row, latencies):
            draw(axis, [result for result in plain if result["workload"]["latency"] == latency], name)
            axis.set_ylabel(label)
            if row is axes[0]:
                axis.set_title(f"Iamport answers in {latency.replace('ms', ' ms')}")
    figure.tight_layout()
    figure.savefig(target)


def _latency(result):
    return int(result["workload"]["latency"].removesuffix("ms"))


def draw(axis, results, name):
    shown = [one for one in TITLES if any(result["contestant"] == one for result in results)]
    values = [[result[name] for result in results if result["contestant"] == one] for one in shown]
    middle = [median(one) for one in values]
    low = [m - min(one) for m, one in zip(middle, values)]
    high = [max(one) - m for m, one in zip(middle, values)]
    colors = ["#1f6f4a" if one == "impcert" else "#b8bfc6" for one in shown]
    axis.bar([TITLES[one] for one in shown], middle, color=colors, yerr=[low, high], capsize=3)
    for place, value in enumerate(middle):
        axis.annotate(f"{value:,.0f}", (place, value), ha="center", va="bottom", fontsize=8)
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
