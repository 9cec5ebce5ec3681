"""What stands in the memory of a running process, as root sees it, and in a dump of it."""

import re
import shutil
import subprocess
from pathlib import Path

MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)")
AT_ONCE = 1 << 24


def memory_of(pid):
    """(where, bytes) of each mapping that can be read."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            start, end, flags, name = MAPPING.match(line).groups()
            if "r" not in flags or name in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            start, end = int(start, 16), int(end, 16)
            try:
                memory.seek(start)
                yield f"{name or 'anonymous'} {start:x}", b"".join(pieces(memory, end - start))
            except OSError:
                continue  # gone since, or a guard page


def pieces(file, size):
    while size > 0:
        piece = file.read(min(size, AT_ONCE))
        if not piece:
            return
        size -= len(piece)
        yield piece


def found_in_memory(pid, texts):
    """{text: where it stands}"""
    found = {}
    for where, data in memory_of(pid):
        for text in texts:
            at = data.find(text.encode())
            if at >= 0:
                found.setdefault(text, []).append(f"{where}+{at:x}: {data[max(0, at - 32) : at + 48]!r}")
    return found


def dump_of(pid, directory):
    """The bytes of a core file that gdb's gcore makes of the process while it runs."""
    assert shutil.which("gcore"), "gdb is needed: deploy/local/install tests"
    done = subprocess.run(
        ["gcore", "-o", str(directory / "core"), str(pid)], capture_output=True, text=True, timeout=120
    )
    core = directory / f"core.{pid}"
    assert core.exists(), done.stdout + done.stderr
    return core.read_bytes()
