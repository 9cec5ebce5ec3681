#!/usr/bin/env python3
"""draw.py RECORD.json OUT.svg [ROW...]: the dashboard's panels, where Grafana has them, with what record.py wrote down.

Runs by itself, with Debian's python3-matplotlib.
"""

import json
import math
import re
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend comes first)
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402

matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "impcert", "font.size": 7, "axes.titlesize": 8}
matplotlib.rcParams |= {"font.sans-serif": ["DejaVu Sans"]}

WIDTH = 15  # inches
COLUMNS = 24  # of Grafana's grid
CELL = 0.27  # inches, of its rows
ROW_CELLS = 1.6  # what a row's heading takes
LEGEND = 8  # entries, at most
COLOURS = ("#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#b8a10c", "#1f9e9e", "#7a7a7a", "#d44a8e", "#5b6b2f")
NAMED = {"green": "#56a64b", "yellow": "#cf9f02", "red": "#c4162a", "blue": "#3274d9", "transparent": "none"}
UNITS = {
    "s": (("min", 120), ("s", 1), ("ms", 1e-3), ("µs", 1e-6)),
    "bytes": (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)),
    "Bps": (("MB/s", 1e6), ("kB/s", 1e3), ("B/s", 1)),
    "ops": (("k/s", 1e3), ("/s", 1)),
    "percentunit": (("%", 0.01),),
    "short": (("k", 1e3), ("", 1)),
    "none": (("", 1),),
}


def main(source, target, *wanted):
    content = json.load(open(source))
    rows = [row for row in content["rows"] if not wanted or row["title"] in wanted]
    cells = sum(height(row) + ROW_CELLS for row in rows)
    figure = plt.figure(figsize=(WIDTH, cells * CELL), facecolor="white")
    top = 0
    for row in rows:
        figure.text(0.008, 1 - (top + 1.1) / cells, row["title"], fontsize=11, fontweight="bold")
        draw_row(figure, row, top + ROW_CELLS, cells, content["phases"])
        top += height(row) + ROW_CELLS
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
    shorten(target)


def height(row):
    places = [panel["gridPos"] for panel in row["panels"]]
    return max(place["y"] + place["h"] for place in places) - min(place["y"] for place in places)


def draw_row(figure, row, top, cells, phases):
    first = min(panel["gridPos"]["y"] for panel in row["panels"])
    for panel in row["panels"]:
        place = panel["gridPos"]
        left, right = place["x"] / COLUMNS, (place["x"] + place["w"]) / COLUMNS
        upper = top + place["y"] - first
        box = [left + 0.033, 1 - (upper + place["h"] - 1.9) / cells, right - left - 0.043, (place["h"] - 3.1) / cells]
        (draw_stat if panel["type"] == "stat" else draw_graph)(figure, box, panel, phases)


def draw_stat(figure, box, panel, _phases):
    """The last value, on the colour of its threshold."""
    value = panel["series"][0]["points"][-1][1] if panel["series"] else math.nan
    axes = figure.add_axes([box[0] - 0.02, box[1] - 0.003, box[2] + 0.025, box[3] + 0.006])
    axes.set_title(panel["title"])
    axes.set_xticks([])
    axes.set_yticks([])
    steps = panel["defaults"]["thresholds"]["steps"]
    steps = [step for step in steps if step["value"] is None or value >= step["value"]]
    axes.set_facecolor(NAMED[steps[-1]["color"]] if steps else "white")
    texts = panel["defaults"].get("mappings", [{"options": {}}])[0]["options"]
    text = texts[str(int(value))]["text"] if value == value and str(int(value)) in texts else readable(panel)(value)
    axes.text(0.5, 0.42, text, ha="center", va="center", fontsize=13, color="white", transform=axes.transAxes)


def draw_graph(figure, box, panel, phases):
    axes = figure.add_axes(box)
    axes.set_title(panel["title"])
    shown = sorted(panel["series"], key=highest, reverse=True)
    shown = [series for series in shown if highest(series)] or shown[:1]
    if panel["defaults"]["custom"]["stacking"]["mode"] == "normal":
        draw_stacked(axes, shown)
    else:
        for colour, series in zip(colours(shown), shown):
            axes.plot(*zip(*with_gaps(series["points"])), color=colour, linewidth=0.9)
    limits(axes, panel, phases)
    handles = [plt.Line2D([], [], color=colour) for colour in colours(shown)][:LEGEND]
    labels = [series["label"] for series in shown][:LEGEND]
    columns = max(1, min(len(labels), int(box[2] * 234 / max(len(label) + 4 for label in labels))))
    axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=columns, frameon=False,
                fontsize=5.5, handlelength=1, columnspacing=1, borderpad=0)  # fmt: skip


def highest(series):
    """What is zero all the time is not drawn; infinity can't be."""
    return max((abs(value) for _, value in series["points"] if math.isfinite(value)), default=0)


def with_gaps(points):
    """Like Grafana: where there is no value, or none that is finite, there is no line."""
    step = min((later[0] - earlier[0] for earlier, later in zip(points, points[1:])), default=0)
    found = []
    for second, value in points:
        if found and second - found[-1][0] > 1.5 * step:
            found.append((second, math.nan))
        found.append((second, value if math.isfinite(value) else math.nan))
    return found


def colours(series):
    return [COLOURS[number % len(COLOURS)] for number in range(len(series))]


def draw_stacked(axes, series):
    """A series that is not there at some moment counts as nothing."""
    moments = sorted({second for one in series for second, _ in one["points"]})
    below = [0.0] * len(moments)
    for colour, one in zip(colours(series), series):
        values = dict(map(tuple, one["points"]))
        above = [base + values.get(moment, 0) for base, moment in zip(below, moments)]
        if any(value > base for value, base in zip(above, below)):
            axes.fill_between(moments, below, above, color=colour, alpha=0.6, linewidth=0.5)
        below = above


def limits(axes, panel, phases):
    axes.set_xlim(0, phases[-1][0] + 50)
    if "min" in panel["defaults"]:
        axes.set_ylim(bottom=panel["defaults"]["min"])
        axes.set_ylim(top=max(axes.get_ylim()[1], 1e-3))
    bottom, top = axes.get_ylim()
    marks = [(second, y) for second, _ in phases for y in (bottom, top, math.nan)]
    axes.plot(*zip(*marks), color="#999999", linewidth=0.4, linestyle=":")
    axes.set_ylim(bottom, top)
    for step in panel["defaults"]["thresholds"]["steps"][1:]:
        if step["value"] < top:
            axes.axhline(step["value"], color="#c4162a", linewidth=0.7, linestyle="--")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: readable(panel)(value)))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02}"))
    axes.tick_params(length=2, pad=2, labelsize=6)
    axes.grid(axis="y", linewidth=0.3, color="#dddddd")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def readable(panel):
    steps = UNITS[panel["defaults"]["unit"]]

    def text(value):
        if value != value:
            return "no data"
        if value == 0:
            return "0"
        unit, size = next(((unit, size) for unit, size in steps if abs(value) >= size), steps[-1])
        return f"{value / (60 if unit == 'min' else size):.3g} {unit}".strip()

    return text


def shorten(target):
    """A tenth of a point is less than can be seen, and nobody asks for a line by its id."""
    text = open(target).read()
    text = re.sub(r'"[^"]*"', lambda attribute: re.sub(r"(\d\.\d)\d+", r"\1", attribute[0]), text)
    text = re.sub(r' id="(?:line2d|patch|text|xtick|ytick|PolyCollection)_\d+"', "", text)
    text = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    while (plainer := re.sub(r"<g>\n((?:(?!</?g\b).)*?)</g>\n", r"\1", text, flags=re.DOTALL)) != text:
        text = plainer
    text = re.sub(r"\n?L (\S+) (\S+) ?", r"L\1 \2", text)
    open(target, "w").write(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
