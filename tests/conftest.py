"""Options of the test run. The fixtures are in system/support/fixtures.py and serve every folder of tests."""

import pytest

pytest_plugins = ["support.fixtures"]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked long as well")
    parser.addoption("--chaos", type=float, metavar="MINUTES", help="only chaos, for so long, each round on a fresh seed")
    parser.addoption("--chaos-kills", type=int, metavar="N", help="at least so many kills -9 in a round of chaos")
    parser.addoption("--chaos-seed", type=int, action="append", metavar="N", help="only chaos, this seed; repeatable")


def pytest_configure(config):
    config.pluginmanager.register(Reports(config))


class Reports:
    """Shows what the fixture `report` was told by tests that run beside others, in processes without a terminal."""

    def __init__(self, config):
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        for name, text in report.user_properties:
            if name == "report" and report.when == "call":
                terminal.write_line(f"    {text}")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if not _is_wanted(config, item)]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def _is_wanted(config, item):
    if config.getoption("--chaos") or config.getoption("--chaos-seed"):
        return item.get_closest_marker("chaos")
    return config.getoption("--long") or not item.get_closest_marker("long")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its programs logged."""
    report = yield
    if report.failed:
        for program in getattr(item, "programs", ()):
            report.sections.append((str(program), program.log_tail()))
    return report
