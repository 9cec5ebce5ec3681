"""Programs built from Go modules, kept in ${XDG_CACHE_HOME:-~/.cache}/impcert: only for tests marked long."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

from stack import StackError, cache
from support.program import ROOT

MODULES = ROOT / "tests/kubernetes"


def build(module, package):
    """The path of the program of this package, by the go.mod and go.sum of tests/kubernetes/<module>."""
    directory = MODULES / module
    _need_go(re.search(r"^go (\d+)\.(\d+)", (directory / "go.mod").read_text(), re.M))
    sources = sorted(path.read_bytes() for path in directory.iterdir())
    program = cache.root() / f"{module}-{hashlib.sha256(b''.join(sources)).hexdigest()[:12]}"
    cache.root().mkdir(parents=True, exist_ok=True)
    with open(f"{program}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            cache.note(f"building {module}, which takes minutes")
            aside = program.with_suffix(".new")
            _go("build", "-ldflags", "-s -w", "-o", str(aside), package, directory=directory)
            aside.rename(program)
    return str(program)


def module(path, version, checksum, directory):
    """Copies the folder `directory` of a module's release to here: its path; checksum as in a go.sum."""
    _need_go(None)
    found = json.loads(_go("mod", "download", "-json", f"{path}@{version}", directory=cache.root()))
    if found.get("Sum") != checksum:
        raise StackError(f"{path} {version} is not what was pinned: {found}")
    return f"{found['Dir']}/{directory}"


def _need_go(wanted):
    if not shutil.which("go"):
        pytest.skip("no go on PATH")
    have = re.search(r"go(\d+)\.(\d+)", subprocess.run(["go", "version"], capture_output=True, text=True).stdout)
    if wanted and tuple(map(int, have.groups())) < tuple(map(int, wanted.groups())):
        pytest.skip(f"go {wanted[1]}.{wanted[2]} is needed, here is {have[1]}.{have[2]}")


def _go(*arguments, directory):
    done = subprocess.run(
        ["nice", "go", *arguments], cwd=directory, capture_output=True, text=True, env=os.environ | {"GOFLAGS": ""}
    )
    if done.returncode != 0:
        raise StackError(f"go {arguments[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout
