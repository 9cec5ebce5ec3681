"""producer/examples: each sample as it stands, on a real gateway and a real Kafka."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stack import StackError, wait_for
from support.http import fetch
from support.program import ROOT, Program, clean_environment

EXAMPLES = ROOT / "producer/examples"
MOST_LINES, WIDTH = 20, 120
# publish.c is built and tested with the library.
NO_SAMPLES = {"README.md", "package.json", "package-lock.json", "shop.html", "publish.c", "node_modules"}
COMMANDS = ("gateway.sh", "gateway.sh form", "gateway.py", "kafka.py")
HANDLERS = ("gateway.mjs", "kafka.mjs")
SAMPLES = COMMANDS + HANDLERS
OF_GATEWAY = [name for name in SAMPLES if name.startswith("gateway")]
OF_KAFKA = [name for name in SAMPLES if name not in OF_GATEWAY]
IMP_UIDS = [f"imp_{number:012d}" for number in range(8)]
PARTITIONS = 6


class Command:
    """A sample that is run once for an imp_uid."""

    def __init__(self, name, settings):
        self._file, *self._arguments = name.split()
        self._settings = settings

    def publish(self, imp_uid):
        """The answer's status, as a handler would give it, and what the sample says."""
        program = [sys.executable] if self._file.endswith(".py") else []
        done = subprocess.run(
            [*program, EXAMPLES / self._file, imp_uid, *self._arguments],
            env=clean_environment(self._settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0 or done.stdout + done.stderr, "it fails and does not say why"
        return 202 if done.returncode == 0 else 503, done.stdout + done.stderr


class Handler(Program):
    """A sample that is the backend of a shop, in a directory where node finds its libraries."""

    def __init__(self, name, settings, directory):
        shutil.copy(EXAMPLES / name, directory)
        (directory / "node_modules").symlink_to(_node_modules())
        super().__init__(name, command=["node", directory / name], settings=settings | {"PORT": 0})
        port = wait_for(self._port, 30, f"port of {self}")
        self._url = f"http://127.0.0.1:{port}/certifications"

    def _port(self):
        assert self.exit_code is None, f"{self} ended with {self.exit_code}:\n{self.log_tail()}"
        return next((line.split()[1] for line in list(self.stdout) if re.fullmatch(r"port \d+", line)), None)

    def publish(self, imp_uid):
        return fetch(self._url, "POST", {"imp_uid": imp_uid}, deadline=60)


def _node_modules():
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: deploy/local/install tests")
    made = subprocess.run([ROOT / "tests/stack/node_modules"], capture_output=True, text=True)
    if made.returncode != 0:
        raise StackError(f"no libraries for node samples:\n{made.stderr}")
    return made.stdout.strip()


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, PARTITIONS)
    return names.topic


@pytest.fixture
def sample(keeper, programs, names, tmp_path):
    """sample("gateway.py", gateway) starts a sample, or has it ready."""

    def start(name, gateway=None, **settings):
        own = names.publish_settings() | ({"GATEWAY_URL": f"http://{gateway.address}"} if gateway else {})
        settings = own | keeper.environment() | settings
        if name in COMMANDS:
            return Command(name, settings)
        directory = tmp_path / name
        directory.mkdir()
        programs.append(Handler(name, settings, directory))
        return programs[-1]

    return start


def through(name, gateway):
    """The gateway for a sample that needs one."""
    return gateway().wait_until_ready() if name in OF_GATEWAY else None


def test_every_sample_is_tested_and_fits_on_a_slide():
    found = {path.name for path in EXAMPLES.iterdir()} - NO_SAMPLES
    assert found == {name.split()[0] for name in SAMPLES}
    for name in found:
        lines = (EXAMPLES / name).read_text().splitlines()
        assert len(lines) <= MOST_LINES, name
        assert max(map(len, lines)) <= WIDTH, name


@pytest.mark.parametrize("name", SAMPLES)
def test_what_it_calls_queued_is_on_the_topic_where_others_put_it(name, sample, gateway, publish, names, topic):
    sample = sample(name, through(name, gateway))
    for imp_uid in IMP_UIDS:
        status, said = sample.publish(imp_uid)
        assert status == 202, said
    found = names.records()
    assert sorted(record.key.decode() for record in found) == IMP_UIDS
    for record in found:
        assert json.loads(record.value) == {"imp_uid": record.key.decode()}
    places = {(record.key, record.partition) for record in found}
    assert len({partition for _, partition in places}) > 1

    assert publish(*IMP_UIDS).returncode == 0
    everything = names.records()
    assert len(everything) == 2 * len(IMP_UIDS)
    assert {(record.key, record.partition) for record in everything} == places


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_no_imp_uid_is_refused(name, sample, gateway, names, topic):
    sample = sample(name, through(name, gateway))
    for imp_uid in ("imp 1", "", 'imp_1", "more": "', "x" * 65, "imp_1\n"):
        status, said = sample.publish(imp_uid)
        assert status == (400 if name in HANDLERS else 503), said
    assert not names.records()


@pytest.mark.parametrize("tested", [COMMANDS, HANDLERS], ids=["commands", "handlers"])
def test_without_kafka_nothing_is_called_queued_and_later_all_is(tested, sample, gateway, stack, names, topic):
    gateway = gateway(IMPCERT_PUBLISH_TIMEOUT="1s").wait_until_ready()
    samples = [sample(name, gateway) for name in tested]
    assert statuses(samples, "before") == [202] * len(samples)
    stack.kafka.kill()
    try:
        assert statuses(samples, "without") == [503] * len(samples)
    finally:
        stack.kafka.start()
    gateway.wait_until_ready()
    for number in range(len(samples)):
        wait_for(lambda: samples[number].publish(f"after_{number}")[0] == 202, 30, f"{tested[number]} to be well again")
    keys = {record.key.decode() for record in names.records()}
    assert keys >= {f"{when}_{number}" for when in ("before", "after") for number in range(len(samples))}


def statuses(samples, when):
    """Of one imp_uid each, all at once."""
    with ThreadPoolExecutor() as pool:
        tried = [pool.submit(one.publish, f"{when}_{number}") for number, one in enumerate(samples)]
        return [one.result()[0] for one in tried]


@pytest.mark.parametrize("name", OF_KAFKA)
def test_a_missing_topic_is_no_success(name, sample, names, stack):
    """And no sample has one made."""
    status, said = sample(name).publish("imp_1")
    assert status == 503, said
    assert names.topic not in stack.kafka.topics()


@pytest.mark.parametrize("name", OF_GATEWAY)
def test_an_unreachable_gateway_is_no_success(name, sample):
    status, said = sample(name, GATEWAY_URL="http://127.0.0.1:1").publish("imp_1")
    assert status == 503, said
