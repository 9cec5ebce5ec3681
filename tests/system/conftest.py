"""Fixtures of the worker's tests."""

import pytest

from support.flow import Flow


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
