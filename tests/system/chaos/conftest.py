"""Seeds, and servers that may be killed without anybody else noticing."""

import time

import pytest

from stack import Stack

# Together they draw every fault.
SEEDS = (145, 357, 462)


def for_minutes(minutes):
    """Yields fresh seeds until the time is over."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        yield time.time_ns() // 1_000_000


def pytest_generate_tests(metafunc):
    if "seeds" not in metafunc.fixturenames:
        return
    seeds, minutes = metafunc.config.getoption("--chaos-seed"), metafunc.config.getoption("--chaos")
    if minutes and not seeds:
        metafunc.parametrize("seeds", [for_minutes(minutes)], ids=[f"{minutes:g} minutes"])
    else:
        seeds = seeds or SEEDS
        metafunc.parametrize("seeds", [[seed] for seed in seeds], ids=[f"seed {seed}" for seed in seeds])


@pytest.fixture
def kills(request):
    """So many kills -9 in each round at least; without a wish, many in the long run and some in a short one."""
    wanted, long_run = request.config.getoption("--chaos-kills"), request.config.getoption("--chaos")
    return wanted if wanted is not None else 20 if long_run else 0


@pytest.fixture
def stack(monkeypatch):
    """Servers of this test alone, whatever the environment offers: it kills them."""
    monkeypatch.delenv("STACK_KAFKA_BROKERS", raising=False)
    monkeypatch.delenv("STACK_MONGODB_URI", raising=False)
    with Stack() as stack:
        yield stack
