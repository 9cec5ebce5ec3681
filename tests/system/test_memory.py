"""Memory is bounded by IMPCERT_IN_FLIGHT, never by the backlog."""

import pytest

from support import SANITIZED, wait_for
from support.flow import imp_uids

pytestmark = pytest.mark.skipif(SANITIZED, reason="sanitizers multiply a program's memory")
MEBIBYTE = 1024 * 1024
LIMIT = 64 * MEBIBYTE
GROWTH = 1.10
ALL_IN_FLIGHT = 2 * 1024 * 9 // 10


def resident_over(flow, publish, simulator_factory, worker, report, events, steady):
    """Resident memory at the `steady`th event, the most from there on, and the peak of the process."""
    done = publish(stdin="\n".join(imp_uids(events)))
    assert done.returncode == 0, done.stderr
    simulator = simulator_factory("--no-calls", "--latency", "300ms")
    one = worker(simulator, IMPCERT_WORKERS=2)

    def stored():
        return one.metric("impcert_events_stored_total")

    # Handles and connections are made as they are needed: all of them before the first look.
    wait_for(lambda: simulator.counters()["in_flight"] >= ALL_IN_FLIGHT, 60, "all that may be in flight")
    simulator.settings(latency="0ms")
    wait_for(lambda: stored() >= steady, 300, f"{steady} events")
    first = one.memory()
    most = first

    def all_stored():
        nonlocal most
        most = max(most, one.memory())
        return stored() >= events

    wait_for(all_stored, 900, f"{events} events")
    peak = one.peak_memory()
    report(f"{first >> 20} MiB after {steady} events, at most {most >> 20} from there on, peak {peak >> 20}")
    flow.wait_until_done(one)
    return first, most, peak


def assert_flat(first, most, peak):
    assert peak < LIMIT, f"{peak / MEBIBYTE:.1f} MiB"
    assert most <= first * GROWTH, f"grown from {first / MEBIBYTE:.1f} to {most / MEBIBYTE:.1f} MiB"


def test_memory_is_flat_over_a_backlog(flow, publish, simulator_factory, worker, report):
    assert_flat(*resident_over(flow, publish, simulator_factory, worker, report, 200_000, 100_000))


@pytest.mark.long
def test_memory_is_flat_over_a_million_events(flow, publish, simulator_factory, worker, report):
    assert_flat(*resident_over(flow, publish, simulator_factory, worker, report, 1_000_000, 100_000))


@pytest.mark.long
def test_large_events_do_not_pile_up(flow, names, simulator, worker):
    """Records of nearly a megabyte, more of them than are held at once."""
    value = b'{"imp_uid": "%s", "padding": "' + b"x" * 900_000 + b'"}'
    wanted = imp_uids(300)
    simulator.settings(latency="200ms")
    flow.publish([(imp_uid.encode(), value.replace(b"%s", imp_uid.encode())) for imp_uid in wanted])
    one = worker(simulator, IMPCERT_WORKERS=1)
    flow.wait_until_done(one, deadline=300)
    flow.assert_ends(documents=wanted)
    assert one.peak_memory() < 2 * LIMIT, f"{one.peak_memory() / MEBIBYTE:.1f} MiB"
