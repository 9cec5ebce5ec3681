"""Fixtures of the worker's tests."""

from types import SimpleNamespace

import pytest

from support.flow import Flow
from support.secure import SecureKafka, SecureMongoDB, make_certificates, started


@pytest.fixture
def flow(request, stack, names):
    """The test's events, on 6 partitions; parametrized indirectly, on another number."""
    return Flow(stack, names).create(getattr(request, "param", 6))


@pytest.fixture
def properties(tmp_path):
    """properties("linger.ms=5") writes a file for IMPCERT_KAFKA_CONFIG and gives the setting."""

    def write(*lines):
        path = tmp_path / "worker.properties"
        path.write_text("".join(f"{line}\n" for line in lines))
        return {"IMPCERT_KAFKA_CONFIG": path}

    return write


@pytest.fixture
def short_session(properties):
    """Settings with which the group notices a killed worker, and a rebalance, within a few seconds."""
    return properties("session.timeout.ms=3000", "heartbeat.interval.ms=300")


@pytest.fixture
def report(request):
    """report("3 calls repeated") is shown, passed or not: at once, or with the test's end where it runs beside others."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def show(text):
        if not hasattr(request.config, "workerinput"):
            with capture.global_and_fixture_disabled():
                terminal.write_line(f"\n    {text}")
        else:
            request.node.user_properties.append(("report", text))

    return show


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Of an authority, of another one, and bad ones."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secure_kafka(certificates, tmp_path_factory):
    """A broker of its own; only the tests of TLS start it."""
    with started(lambda directory: SecureKafka(directory, certificates), tmp_path_factory.mktemp("kafka") / "1") as kafka:
        yield kafka


@pytest.fixture(scope="session")
def secure_mongodb(certificates, tmp_path_factory):
    """A MongoDB that every client needs a certificate for."""
    with started(lambda directory: SecureMongoDB(directory, certificates), tmp_path_factory.mktemp("mongodb") / "1") as mongodb:
        yield mongodb


@pytest.fixture(scope="session")
def open_mongodb(certificates, tmp_path_factory):
    """One that lets clients in by their passwords alone."""
    make = lambda directory: SecureMongoDB(directory, certificates, open_to_all=True)  # noqa: E731
    with started(make, tmp_path_factory.mktemp("mongodb") / "1") as mongodb:
        yield mongodb


@pytest.fixture
def stack_of(stack):
    """stack_of(kafka=...) is the stack with another server."""
    return lambda **servers: SimpleNamespace(**{"kafka": stack.kafka, "mongodb": stack.mongodb} | servers)
