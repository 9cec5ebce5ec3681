"""What the compiler and linker were to build into the programs is there."""

import os
import subprocess

import pytest

from support import SANITIZED, binary
from support.program import ROOT

PROGRAMS = ("impcert-worker", "impcert-gateway", "impcert-publish", "impcert-replay")
BUILD = ROOT / os.environ.get("STACK_BUILD", "build/release")


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True).stdout


def files():
    library = next(iter(sorted(BUILD.rglob("libimpcert.so*"))), None)
    return [*(binary(name) for name in PROGRAMS), *([str(library)] if library else [])]


@pytest.fixture(params=range(len(PROGRAMS) + 1))
def elf(request):
    found = files()
    assert len(found) == len(PROGRAMS) + 1, f"libimpcert.so is not built: {found}"
    return found[request.param]


def test_it_is_position_independent(elf):
    assert "DYN (" in readelf("-h", elf)


def test_its_relocations_are_read_only(elf):
    assert "GNU_RELRO" in readelf("-l", elf)
    dynamic = readelf("-d", elf)
    assert "BIND_NOW" in dynamic or "NOW" in dynamic.split("FLAGS_1", 1)[-1]


def test_its_stack_is_not_executable(elf):
    [stack] = [line for line in readelf("-l", elf).splitlines() if "GNU_STACK" in line]
    assert " RW " in stack and "RWE" not in stack
    assert not [line for line in readelf("-l", elf).splitlines() if "LOAD" in line and " RWE " in line]


@pytest.mark.skipif(SANITIZED, reason="sanitizers have checks of their own")
def test_its_calls_are_checked(elf):
    symbols = readelf("--dyn-syms", elf)
    assert "__stack_chk_fail" in symbols
    assert "_chk@" in symbols.replace("__stack_chk_fail", "")
