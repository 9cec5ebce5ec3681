"""Manual pages and completions: well formed, complete, and of use in a real shell."""

import os
import pty
import re
import shutil
import subprocess

import pytest

from support.program import ROOT, run_program

MANUAL = ROOT / os.environ.get("STACK_BUILD", "build/release") / "manual"
PROGRAMS = {"impcert-worker": 8, "impcert-gateway": 8, "impcert-publish": 1, "impcert-replay": 1}
PAGES = [MANUAL / f"{name}.{section}" for name, section in PROGRAMS.items()]
PAGES += [MANUAL / "impcert.5", MANUAL / "impcert.7", ROOT / "deploy/manual/impcert.3"]
HEADER = ROOT / "producer/include/impcert.h"


def read_as_text(page):
    """The page as a person sees it, on one line."""
    done = subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True, check=True)
    return re.sub(r"\s+", " ", re.sub(".\b", "", done.stdout)).replace("`", "'")


def help_of(program):
    return run_program(program, "--help").stdout


def settings_of(program):
    return set(re.findall(r"^  ((?:IMPCERT|IAMPORT|MONGODB)_\w+)  ", help_of(program), re.M))


def options_of(program):
    return set(re.findall(r"^  (--[a-z-]+)", help_of(program), re.M))


# ---- pages ----


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_well_formed(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("program, section", PROGRAMS.items())
def test_a_program_s_page_has_all_that_help_has(program, section):
    text = read_as_text(MANUAL / f"{program}.{section}")
    assert settings_of(program) and options_of(program)
    assert not {name for name in settings_of(program) | options_of(program) if f" {name} " not in text}


def test_the_page_of_settings_has_those_of_all_programs():
    text = read_as_text(MANUAL / "impcert.5")
    assert not {name for program in PROGRAMS for name in settings_of(program) if f" {name} " not in text}
    attempts = "IMPCERT_ATTEMPTS tries of an event in the process. A number from 1 to 100. Default: '4'."
    assert f"{attempts} Read by impcert-worker." in text
    assert "A duration from 1s to 1h. Default: '1m'." in text
    assert "IAMPORT_SECRET REST API secret. Required. Never shown." in text


def test_the_library_s_page_has_every_function_and_status():
    declared = set(re.findall(r"^IMPCERT_API[^;(]*?\*?(\w+)\(", HEADER.read_text(), re.M))
    statuses = set(re.findall(r"^    (IMPCERT_\w+) = \d+,?", HEADER.read_text(), re.M))
    text = read_as_text(ROOT / "deploy/manual/impcert.3")
    assert len(declared) == 9 and len(statuses) == 9
    assert not {name for name in declared | statuses if name not in text}


# ---- completions ----


def bash_completes(line):
    """What a person gets who types `line` into bash and asks for all completions: the words of the line then."""
    master, slave = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": "/nonexistent", "PS1": "", "LC_ALL": "C"}
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
    )
    os.close(slave)
    seen = ""

    def read(until):
        nonlocal seen
        while until not in seen:
            seen += os.read(master, 4096).decode()
        return seen

    try:
        program = line.split()[0]
        os.write(master, f". {MANUAL}/bash/{program}; printf 're%s\\n' ady\n".encode())
        read("ready\r\n")
        # ESC * puts all completions in; ^A goes to the line's beginning.
        os.write(master, line.encode() + b"\x1b*\x01printf '<%s>' \x05; printf 'do%s\\n' ne\n")
        words = re.findall(r"<([^<>]*)>", read("done\r\n").rpartition("printf")[2])
    finally:
        shell.kill()
        shell.wait()
        os.close(master)
    return words


COMMON = ["--check-config", "--print-config", "--help", "--version"]
COMPLETIONS = {
    "impcert-worker --": ["--print-validator", "--apply-validator", "--erase", *COMMON],
    "impcert-worker --ch": ["--check-config"],
    "impcert-gateway --": COMMON,
    "impcert-publish --h": ["--header", "--help"],
    "impcert-replay ": ["list", "show", "run", "discard"],
    "impcert-replay run --d": ["run", "--dry-run"],
    "impcert-replay --reason not_": ["--reason", "not_certified", "not_found"],
    "impcert-replay --reason refused,unav": ["--reason", "refused,unavailable"],
    "impcert-replay --reason=not_f": ["--reason=not_found"],
}


@pytest.mark.parametrize("line", COMPLETIONS)
def test_bash_completes(line):
    assert sorted(bash_completes(line)[1:]) == sorted(COMPLETIONS[line])


@pytest.mark.parametrize("program", PROGRAMS)
def test_bash_knows_every_option(program):
    assert set(bash_completes(f"{program} --")[1:]) == options_of(program)


def shell(name):
    return shutil.which(name) or pytest.skip(f"{name} is not installed: apt-get install --no-install-recommends {name}")


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_reads_its_completion(program):
    done = subprocess.run([shell("zsh"), "-n", MANUAL / f"zsh/_{program}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("line, words", [
    ("impcert-replay --reason not_", {"not_certified", "not_found"}),
    ("impcert-replay ", {"list", "show", "run", "discard"}),
    ("impcert-publish --h", {"--header", "--help"}),
    ("impcert-worker --", {"--print-validator", "--apply-validator", "--erase", *COMMON}),
])  # fmt: skip
def test_fish_completes(line, words, tmp_path):
    program = line.split()[0]
    command = f"source {MANUAL}/fish/{program}.fish; complete -C '{line}'"
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", command], capture_output=True, text=True, env=environment
    )
    assert done.stderr == ""
    assert {found.split("\t")[0] for found in done.stdout.splitlines()} == words
