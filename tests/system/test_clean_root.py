"""The packages on a bare Debian: installed by apt, at work there on the real Kafka and MongoDB, and removed."""

import re

import pytest

from stack import wait_for
from support import debian
from support.flow import imp_uids
from support.packages import pack
from support.program import SANITIZED, Program
from support.service import Service
from support.simulator import KEY_PAIR

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(SANITIZED, reason="packages are not made with sanitizers"),
]

PROGRAMS = ["impcert-worker", "impcert-gateway", "impcert-publish", "impcert-replay"]
UNITS = ["impcert-worker.service", "impcert-gateway.service"]


@pytest.fixture
def root(tmp_path):
    if debian.missing():
        pytest.skip(debian.missing())
    (tmp_path / "packages").mkdir()
    packages = pack(tmp_path / "packages")
    root = debian.Root(tmp_path / "debian")
    root.install(packages["impcert"], packages["libimpcert0"])
    yield root
    root.remove()


class Installed(Service):
    """A daemon of the root."""

    listening = "endpoint listening"

    def __init__(self, root, name, settings):
        Program.__init__(self, name, settings=settings | {"PATH": debian.PATH}, command=root.command(name))
        self._address = None


def programs_run(root):
    for program in PROGRAMS:
        assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", root.output(program, "--version"))
        done = root.run(program, "--check-config")
        assert done.returncode == 2 and "IMPCERT_KAFKA_BROKERS" in done.stderr
        settings = {"IMPCERT_KAFKA_BROKERS": "kafka:9092"}
        if program == "impcert-worker":
            settings |= KEY_PAIR | {"MONGODB_URI": "mongodb://localhost"}
        assert root.output(program, "--check-config", settings=settings) == "configuration ok\n"


def all_is_as_it_was_packed(root):
    assert root.output("dpkg", "--verify", "impcert", "libimpcert0") == ""
    assert root.output("dpkg-query", "-W", "-f", "${Status}", "impcert") == "install ok installed"
    assert "libimpcert.so.0 " in root.output("ldconfig", "-p")


def no_unit_is_enabled(root):
    assert not list((root.path / "etc/systemd").rglob("impcert*"))
    assert all((root.path / "usr/lib/systemd/system" / unit).exists() for unit in UNITS)


def the_worker_does_its_job(root, simulator, names, flow, keeper, programs):
    """Some good events and one that does not exist, published, verified, stored and listed from the root."""
    simulator.faults([{"kind": "missing", "match": "gone"}])
    wanted = imp_uids(300)
    own = {"IMPCERT_HTTP_LISTEN": "127.0.0.1:0", "IMPCERT_LOG_FORMAT": "json", "IMPCERT_RETRY_DELAYS": ""}
    settings = names.settings() | KEY_PAIR | {"IAMPORT_URL": simulator.url, "IMPCERT_ALLOW_HTTP": "true"} | own | keeper.environment()
    worker = Installed(root, "impcert-worker", settings)
    programs.append(worker)
    worker.wait_until_ready()
    lines = "".join(f"{imp_uid}\n" for imp_uid in [*wanted, "gone_1"])
    told = root.run("impcert-publish", settings=names.publish_settings(), input=lines)
    assert told.returncode == 0, told.stderr
    flow.wait_until_done(worker)
    wait_for(lambda: len(names.documents()) == len(wanted), 30, "all documents")
    flow.assert_ends(documents=wanted, letters=["gone_1"])
    queue = names.publish_settings() | {"IMPCERT_DLQ_TOPIC": names.dlq}
    listed = root.output("impcert-replay", "list", settings=queue)
    assert re.search(r"^not_found +1 ", listed, re.M), listed
    assert worker.stop() == 0


def the_package_goes_without_a_trace(root):
    root.output("apt-get", "purge", "-y", "impcert", settings={"DEBIAN_FRONTEND": "noninteractive"}, deadline=300)
    places = [root.path / place for place in ("etc", "usr", "var/lib/systemd")]
    left = {path.name.partition(".")[0] for place in places for path in place.rglob("*impcert*")}
    assert left == {"libimpcert", "libimpcert0"}  # of the other package


def test_the_packages_on_a_bare_debian(root, simulator, names, flow, keeper, programs):
    all_is_as_it_was_packed(root)
    no_unit_is_enabled(root)
    programs_run(root)
    the_worker_does_its_job(root, simulator, names, flow, keeper, programs)
    the_package_goes_without_a_trace(root)
