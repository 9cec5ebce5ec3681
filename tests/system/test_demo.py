"""deploy/local/demo: what it shows is right, and it leaves nothing running unless asked to."""

import os
import re
import signal
import subprocess
import urllib.request
import uuid

import pytest

from stack import marks, wait_for
from support.http import fetch
from support.program import ROOT, clean_environment
from support.simulator import KEY_PAIR

DEMO = ROOT / "deploy/local/demo"
UNIQUE_KEY = re.compile(r"[A-Za-z0-9+/]{40}")


class Demo:
    """Runs the demo in a temporary directory of its own, and knows all that it starts by a variable."""

    def __init__(self, directory):
        self._name = uuid.uuid4().hex
        self._directory = directory

    def environment(self, settings):
        return clean_environment({"DEMO_TEST": self._name, "TMPDIR": self._directory} | settings)

    def run(self, *arguments, stdin="", **settings):
        return subprocess.run(
            [DEMO, *arguments],
            input=stdin,
            env=self.environment(settings),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            [DEMO, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self.environment({}),
            text=True,
        )

    def left(self):
        """What it started and is still there: pids, and files of stacks."""
        pids = [pid for pid, variables in marks.processes() if variables.get("DEMO_TEST") == self._name]
        return pids + list(self._directory.glob("impcert-stack.*"))


@pytest.fixture
def demo(tmp_path):
    demo = Demo(tmp_path)
    yield demo
    demo.run("--stop")


def test_the_demo_shows_what_became_of_every_event(demo):
    done = demo.run("--events", "500", "--latency", "20ms")
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "500 events: 450 good, 50 bad",
        "450 stored, 50 dead-lettered",
        "impcert.certifications holds 450",
        '"certified": true',
        "certifications.dlq holds 50",
        "15 invalid_event",
        "10 bad_response",
        "impcert.attempts         8",
        "events/s",
        "lag is 0",
    ):
        assert expected in done.stdout, f"{expected!r} is not in:\n{done.stdout}"
    assert done.stdout.count("✓") == 3 and "✗" not in done.stdout
    assert "\033" not in done.stdout and "\r" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert not UNIQUE_KEY.search(done.stdout)
    assert not demo.left()


def told(output, name):
    """The command that a demo left running tells under this name; it may take two lines."""
    left = output.partition("\nLeft running")[2]
    [command] = re.findall(rf"^  {name} +(.*(?:(?<=\\)\n.*)?)$", left, re.M)
    return command


def test_keep_leaves_everything_running_until_stop(demo):
    kept = demo.run("--events", "100", "--keep")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    for path, count in (("metrics", 2), ("readyz", 2), ("_control/counters", 1)):
        urls = re.findall(rf"curl (http://\S+/{path})", kept.stdout)
        assert len(set(urls)) == count
        assert {fetch(url)[0] for url in urls} == {200}
    for command in ("post", "publish", "events"):
        done = subprocess.run(
            ["bash", "-c", told(kept.stdout, command)], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert {'{"imp_uid": "imp_1"}', '{"imp_uid": "imp_2"}'} <= set(done.stdout.splitlines())
    assert_page_may_post(told(kept.stdout, "page"))
    stopped = demo.run("--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped" in stopped.stdout
    assert not demo.left()
    assert "no demo" in demo.run("--stop").stdout


def assert_page_may_post(page):
    """The page is there, and a browser that shows it lets it post to the gateway."""
    origin, gateway = re.fullmatch(r"(http://[^/]+)/shop\.html\?gateway=(http://\S+)", page).groups()
    status, text = fetch(page)
    assert status == 200 and "<title>" in text
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = urllib.request.Request(f"{gateway}/certifications", method="OPTIONS", headers=asks)
    with urllib.request.urlopen(preflight, timeout=10) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_killed_demo(demo, number):
    process = demo.start("--latency", "2s")
    with process.stdout:
        assert any(line.startswith("  publish") for line in process.stdout)
        process.send_signal(number)
        assert process.wait(60) == (143 if number == signal.SIGTERM else -number)
    wait_for(lambda: not demo.left(), 60, "end of all that the demo started")


def test_iamport_verifies_the_imp_uids_of_the_user(demo, simulator):
    given = "imp_1\nimp_2\nmissing_1\nimp_1\n"
    done = demo.run("--iamport", stdin=given, IAMPORT_URL=simulator.url, IMPCERT_ALLOW_HTTP="true", **KEY_PAIR)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imp_1  stored" in done.stdout and "imp_2  stored" in done.stdout
    assert "missing_1  dead letter, not_found" in done.stdout
    assert set(simulator.calls()) == {"imp_1", "imp_2", "missing_1"}
    shown = done.stdout + done.stderr
    assert not UNIQUE_KEY.search(shown) and KEY_PAIR["IAMPORT_SECRET"] not in shown
    assert not demo.left()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--events", "7"], "7"),
        (["--events", "many"], "many"),
        (["--latency", "100"], "100"),
        (["--lat", "1s"], "--lat"),
        (["imp_1"], "--iamport"),
        (["--stop", "--keep"], "--stop"),
        (["--programs", "/nowhere"], "impcert-worker"),
        (["--iamport", "imp_1"], "IAMPORT_KEY and IAMPORT_SECRET"),
    ],
)
def test_bad_usage_is_told_and_nothing_starts(demo, arguments, expected):
    done = demo.run(*arguments)
    assert done.returncode == 2
    assert done.stdout == "" and expected in done.stderr


@pytest.mark.parametrize(
    "arguments, stdin, expected",
    [
        (["--iamport", "no good"], "", "no good"),
        (["--iamport"], "", "no imp_uid"),
        (["--iamport"], "imp/1", "imp/1"),
    ],
)
def test_iamport_needs_imp_uids(demo, arguments, stdin, expected):
    done = demo.run(*arguments, stdin=stdin, **KEY_PAIR)
    assert done.returncode == 2
    assert done.stdout == "" and expected in done.stderr
