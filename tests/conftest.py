"""Options of the test run. The fixtures are in system/support/fixtures.py and serve every folder of tests."""

import pytest

pytest_plugins = ["support.fixtures"]


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked long as well")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its programs logged."""
    report = yield
    if report.failed:
        for program in getattr(item, "programs", ()):
            report.sections.append((str(program), program.log_tail()))
    return report
