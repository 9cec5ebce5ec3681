"""Results as text: a line for each run, and tables of medians in Markdown."""

from statistics import median

from .contestants import BY_NAME


def cell(result):
    load = result.workload
    tls = "TLS, HTTP/2" if load["tls"] else "HTTP"
    return f"{load['latency']}, {load['in_flight']} in flight, {tls}"


def line(result):
    return (
        f"{result.contestant:8} {cell(result):32} {result.rate:8.0f} events/s {result.cpu_us:7.1f} us CPU/event "
        f"{result.peak_mib:6.1f} MiB {result.switches:6.3f} switches/event {result.calls:.4f} calls/event "
        f"start {result.start_s:.1f} s, others {result.others_cpu_us:.0f} us"
    )


def tables(results, base="impcert"):
    """results: (round, contestant, Result or None)."""
    return "\n\n".join(_table(name, results, base) for name in _cells(results))


def _cells(results):
    return list(dict.fromkeys(cell(result) for *_, result in results if result))


def _table(name, results, base):
    mine = [(number, who, result) for number, who, result in results if result and cell(result) == name]
    rows = [_row(who, mine, base) for who in BY_NAME if any(one[1] == who for one in mine)]
    head = f"| {name} | events/s | CPU per event | CPU, ratio | events/s, ratio | memory | start |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *rows])


def _row(who, mine, base):
    own = [result for _, name, result in mine if name == who]
    return (
        f"| {BY_NAME[who].title} | {_range([r.rate for r in own], '{:,.0f}')} "
        f"| {_range([r.cpu_us for r in own], '{:.1f}')} µs | {_ratio(who, mine, base, 'cpu_us')} "
        f"| {_ratio(who, mine, base, 'rate')} | {median(r.peak_mib for r in own):.0f} MiB "
        f"| {median(r.start_s for r in own):.1f} s |"
    )


def _ratio(who, mine, base, figure):
    """Of the base to this contestant, paired by round."""
    theirs = {number: getattr(result, figure) for number, name, result in mine if name == who}
    ours = {number: getattr(result, figure) for number, name, result in mine if name == base}
    ratios = [ours[number] / theirs[number] for number in theirs if number in ours]
    return _range(ratios, "{:.2f}") if ratios else ""


def _range(values, form):
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"
