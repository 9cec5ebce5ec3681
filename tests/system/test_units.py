"""The systemd units: what systemd itself says of them, and that they fit the programs."""

import os
import re
import subprocess

import pytest

from support.program import ROOT, binary, run_program

BUILD = ROOT / os.environ.get("STACK_BUILD", "build/release")
EXPOSURE_MOST = 2.0
NAMES = ["worker", "gateway"]


def unit(name):
    return BUILD / f"deploy/systemd/impcert-{name}.service"


def values(name, option):
    return re.findall(rf"^{option}=(.*)$", unit(name).read_text(), re.M)


def systemd_analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_exposes_little(name):
    done = systemd_analyze("security", "--offline=true", "--no-pager", unit(name))
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)[1])
    assert exposure < EXPOSURE_MOST, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_a_unit_without_a_word(name, tmp_path):
    """The program by its path, since it is not installed."""
    program = f"impcert-{name}"
    text = unit(name).read_text()
    assert values(name, "ExecStart") == [program]
    copy = tmp_path / unit(name).name
    copy.write_text(text.replace(f"ExecStart={program}", f"ExecStart={binary(program)}"))
    done = systemd_analyze("verify", "--man=no", copy)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_that_stops_has_time_to_drain(name):
    help = run_program(f"impcert-{name}", "--help").stdout
    drain = int(re.search(r"IMPCERT_DRAIN_TIMEOUT .*\[(\d+)s\]", help)[1])
    [stop] = values(name, "TimeoutStopSec")
    assert int(stop.removesuffix("s")) > drain


def settings_of(name, tmp_path, secrets):
    """What a unit gives its program, its credentials being `secrets` and the rest what SetCredential says."""
    for option in values(name, "SetCredential"):
        identity, _, value = option.partition(":")
        (tmp_path / identity).write_text(secrets.get(identity, value.encode().decode("unicode_escape")))
    pairs = (option.split("=", 1) for option in values(name, "Environment"))
    return {variable: value.replace("%d", str(tmp_path)) for variable, value in pairs}


def example(name):
    """The environment file with all that it proposes."""
    text = (ROOT / f"deploy/systemd/{name}.env").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.M))


def test_the_worker_takes_what_unit_and_environment_file_say(tmp_path):
    secrets = {"iamport-key": "key\n", "iamport-secret": "secret\n", "mongodb-uri": "mongodb://localhost\n"}
    settings = settings_of("worker", tmp_path, secrets) | example("worker")
    done = run_program("impcert-worker", "--check-config", settings=settings)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_worker_says_which_secrets_are_missing(tmp_path):
    settings = settings_of("worker", tmp_path, {}) | example("worker")
    done = run_program("impcert-worker", "--check-config", settings=settings)
    assert done.returncode == 2
    named = re.findall(r"^  (\w+): ", done.stderr, re.M)
    assert sorted(named) == ["IAMPORT_KEY_FILE", "IAMPORT_SECRET_FILE", "MONGODB_URI_FILE"]
    assert values("worker", "RestartPreventExitStatus") == ["2"]


@pytest.mark.parametrize("tokens, exit_code", [("a-token-of-some-length\n", 0), (None, 2)])
def test_a_gateway_that_asks_for_tokens_never_starts_without(tmp_path, tokens, exit_code):
    secrets = {"bearer-tokens": tokens} if tokens else {}
    settings = settings_of("gateway", tmp_path, secrets) | example("gateway")
    credentials = "/run/credentials/impcert-gateway.service"
    settings = {name: value.replace(credentials, str(tmp_path)) for name, value in settings.items()}
    assert settings["IMPCERT_BEARER_TOKENS_FILE"] == str(tmp_path / "bearer-tokens")
    done = run_program("impcert-gateway", "--check-config", settings=settings)
    assert done.returncode == exit_code, done.stderr
