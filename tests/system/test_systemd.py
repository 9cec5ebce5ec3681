"""The packages' units under a real systemd, on the real Kafka and MongoDB: confined as they are, they do their job."""

import json
import re
import signal

import pytest

from stack import wait_for
from support import debian
from support.flow import imp_uids
from support.gateway import Connection
from support.packages import pack
from support.program import SANITIZED
from support.simulator import KEY_PAIR

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(SANITIZED, reason="packages are not made with sanitizers"),
]

WORKER, GATEWAY = "impcert-worker.service", "impcert-gateway.service"
TOKEN = "a-token-of-some-length"


@pytest.fixture
def machine(tmp_path, keeper, programs):
    for reason in (debian.missing(), debian.Machine.missing()):
        if reason:
            pytest.skip(reason)
    (tmp_path / "packages").mkdir()
    packages = pack(tmp_path / "packages")
    root = debian.Root(tmp_path / "debian", include=("systemd-sysv", "dbus"))
    root.install(packages["impcert"])
    machine = debian.Machine(root, keeper.environment())
    machine.etc = root.path / "etc"
    programs.append(machine)
    if not machine.wait_until_up():
        pytest.skip(f"systemd can't be booted here:\n{machine.log_tail()}")
    yield machine
    machine.power_off()
    root.remove()


def configure(machine, simulator, names):
    """As an administrator does: settings in the environment files, secrets in files of root."""
    own = {"IAMPORT_URL": simulator.url, "IMPCERT_ALLOW_HTTP": "true"}
    own |= {"IMPCERT_HTTP_LISTEN": "127.0.0.1:0", "IMPCERT_RETRY_DELAYS": ""}
    settings = names.settings() | own
    secrets = {
        "mongodb-uri": settings.pop("MONGODB_URI"),
        "iamport-key": KEY_PAIR["IAMPORT_KEY"],
        "iamport-secret": KEY_PAIR["IAMPORT_SECRET"],
        "bearer-tokens": TOKEN,
    }
    for name, secret in secrets.items():
        path = machine.etc / "impcert/credentials" / name
        path.touch(0o600)
        path.write_text(f"{secret}\n")
    write_settings(machine, "worker", settings)
    tokens = {"IMPCERT_BEARER_TOKENS_FILE": "/run/credentials/impcert-gateway.service/bearer-tokens"}
    write_settings(machine, "gateway", names.publish_settings() | tokens | {"IMPCERT_HTTP_LISTEN": "127.0.0.1:0"})


def write_settings(machine, name, settings):
    text = "".join(f"{variable}={value}\n" for variable, value in settings.items())
    (machine.etc / f"impcert/{name}.env").write_text(text)


def start(machine, unit):
    said = machine.run("systemctl", "start", unit)
    assert machine.show(unit, "ActiveState") == "active", f"{said}\n{machine.journal(unit)}"


def wait_for_journal(machine, unit, pattern):
    """What is printed is in the journal a moment later."""
    wait_for(lambda: re.search(pattern, machine.journal(unit)), 30, f"{pattern} in the journal of {unit}")


def address(machine, unit, message):
    """Where its latest process listens."""
    wait_for_journal(machine, unit, rf'"message": ?"{message}"')
    lines = (line.partition("]: ")[2] for line in machine.journal(unit).splitlines())
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [line["address"] for line in told if line["message"] == message][-1]


def status_of(machine, unit):
    """/proc/PID/status of its main process."""
    text = machine.run("cat", f"/proc/{machine.show(unit, 'MainPID')}/status")
    return dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))


def a_unit_without_settings_waits_for_a_person(machine):
    machine.run("systemctl", "start", WORKER)
    assert machine.show(WORKER, "ActiveState") == "failed"
    assert (machine.show(WORKER, "ExecMainStatus"), machine.show(WORKER, "NRestarts")) == ("2", "0")
    wait_for_journal(machine, WORKER, r"IMPCERT_KAFKA_BROKERS: not set")
    wait_for_journal(machine, WORKER, r"IAMPORT_KEY_FILE: file \S+ is empty")


def the_worker_is_confined(machine):
    status = status_of(machine, WORKER)
    assert (status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split()
    assert machine.run("systemctl", "show", "--property=Environment", WORKER).count(KEY_PAIR["IAMPORT_SECRET"]) == 0


def the_worker_verifies(machine, simulator, names, flow):
    wait_for(lambda: machine.show(WORKER, "StatusText") == "ready", 60, "the status to be ready")
    wanted = imp_uids(300)
    flow.publish(wanted)
    flow.wait_until_done()
    flow.assert_ends(documents=wanted)


def the_gateway_takes_events(machine, names, flow):
    start(machine, GATEWAY)

    def post(**headers):
        with Connection(address(machine, GATEWAY, "started")) as connection:
            return connection.post("imp_by_gateway", headers).status

    assert post() == 401
    wait_for(lambda: post(Authorization=f"Bearer {TOKEN}") == 202, 30, "the gateway to take an event")
    wait_for(lambda: "imp_by_gateway" in names.documents(), 60, "its document")
    machine.run("systemctl", "stop", GATEWAY)
    assert machine.show(GATEWAY, "Result") == "success"


def a_worker_that_hangs_is_replaced(machine):
    before = machine.show(WORKER, "MainPID")
    machine.run("systemctl", "kill", f"--signal={signal.SIGSTOP.value}", WORKER)

    def replaced():
        return machine.show(WORKER, "NRestarts") == "1" and machine.show(WORKER, "ActiveState") == "active"

    wait_for(replaced, 60, "the watchdog to replace the worker")
    assert machine.show(WORKER, "MainPID") != before
    wait_for_journal(machine, WORKER, "Watchdog timeout")


def a_stop_drains(machine):
    machine.run("systemctl", "stop", WORKER)
    assert (machine.show(WORKER, "Result"), machine.show(WORKER, "ExecMainStatus")) == ("success", "0")
    wait_for_journal(machine, WORKER, r'"message": ?"drained"')


def test_the_units_under_systemd(machine, simulator, names, flow):
    a_unit_without_settings_waits_for_a_person(machine)
    configure(machine, simulator, names)
    # As the unit has it, but for the time until a hang is noticed.
    drop_in = machine.etc / f"systemd/system/{WORKER}.d/watchdog.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=4s\n")
    machine.run("systemctl", "daemon-reload")
    start(machine, WORKER)
    the_worker_is_confined(machine)
    the_worker_verifies(machine, simulator, names, flow)
    the_gateway_takes_events(machine, names, flow)
    a_worker_that_hangs_is_replaced(machine)
    a_stop_drains(machine)
