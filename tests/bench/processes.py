"""What a process and its descendants have cost so far, from /proc."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of the tree, with that of its ended children."""
    ticks = 0
    for one in _tree(pid):
        fields = _stat(one)
        ticks += sum(int(fields[i]) for i in (11, 12, 13, 14)) if fields else 0
    return ticks / TICKS


def peak_mib(pid):
    return sum(_status(one, "VmHWM") for one in _tree(pid)) / 1024


def switches(pid):
    """Context switches of all threads: each wake-up is one."""
    total = 0
    for one in _tree(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                total += int(line.split()[1]) if "ctxt_switches" in line else 0
    return total


def _tree(pid):
    children = {}
    for entry in os.listdir("/proc"):
        fields = _stat(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def _stat(pid):
    """The fields behind the name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _status(pid, field):
    """In KiB; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
