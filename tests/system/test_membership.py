"""Members of the group with names of their own: a restart is no rebalance, and a name is one worker's."""

import time

import pytest

from support import wait_for
from support.flow import assert_documents, imp_uids

NAMES = ("one", "two", "three")


@pytest.fixture
def patient_session(properties):
    """Settings with which the group waits for a member that is away."""
    return properties("session.timeout.ms=20000", "heartbeat.interval.ms=300")


@pytest.fixture
def members(stack, names):
    """members() gives {group.instance.id: its partitions}, as the broker has it."""

    def read():
        [future] = stack.kafka.admin.describe_consumer_groups([names.group]).values()
        return {
            member.group_instance_id: sorted(
                (at.topic, at.partition) for at in member.assignment.topic_partitions
            )
            for member in future.result(30).members
        }

    return read


def settle(workers, names):
    """Until each worker has its share of the 6 partitions and nobody is joining any more."""
    share = 6 // len(workers)

    def settled():
        held = [one.metric("impcert_partitions_assigned") for one in workers]
        return held == [share] * len(workers) and names.shares(names.group)

    wait_for(settled, 60, f"{share} partitions each")


def rebalances(workers):
    return [one.metric("impcert_rebalances_total") for one in workers]


def test_every_worker_has_a_name_of_its_own(flow, names, simulator, worker, members):
    worker(simulator, IMPCERT_WORKERS=3, IMPCERT_INSTANCE_ID="pod-7")
    wait_for(lambda: set(members()) == {"pod-7-0", "pod-7-1", "pod-7-2"}, 30, "three members with their names")
    flow.publish(imp_uids(100))
    flow.wait_for_documents(100)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_is_no_rebalance_of_the_others(
    flow, names, simulator, worker, members, patient_session, end
):
    """Whichever member it is; an orderly end leaves no group that its successor is in at once."""

    def start(name):
        return worker(simulator, IMPCERT_WORKERS=1, IMPCERT_INSTANCE_ID=name, **patient_session)

    group = {name: start(name) for name in NAMES}
    settle(group.values(), names)
    flow.publish(imp_uids(300, "before"))
    flow.wait_until_done(*group.values())
    shares = members()
    for name in NAMES:
        others = [other for key, other in group.items() if key != name]
        known = rebalances(others)
        getattr(group[name], end)()
        flow.publish(imp_uids(300, f"without-{name}"))
        group[name] = start(name)
        flow.wait_until_done(*group.values())
        assert members() == shares, "each has the partitions that it had"
        assert rebalances(others) == known, f"{name} came back and the others were dealt anew"
    flow.assert_ends(documents=[uid for prefix in ("before", *(f"without-{n}" for n in NAMES)) for uid in imp_uids(300, prefix)])


def test_of_two_with_one_name_one_is_fenced(flow, simulator, worker, short_session):
    """It ends with 1 and says why; the other goes on."""
    settings = {"IMPCERT_WORKERS": 1, "IMPCERT_INSTANCE_ID": "same", **short_session}
    first = worker(simulator, **settings).wait_until_ready()
    second = worker(simulator, **settings)
    wait_for(lambda: None not in (first.exit_code, second.exit_code) or first.exit_code != second.exit_code, 60, "an end")
    fenced, stays = (first, second) if first.exit_code is not None else (second, first)
    assert fenced.wait() == 1
    [line] = fenced.log(message="worker failed")
    assert "fenced" in line["error"].lower(), line
    flow.publish(imp_uids(100))
    flow.wait_until_done(stays)
    flow.assert_ends(documents=imp_uids(100))


@pytest.mark.long
def test_a_minute_of_joining_and_leaving_repeats_next_to_nothing(
    flow, names, simulator_factory, worker, report
):
    """Three workers; every five seconds one joins and the oldest leaves."""
    simulator = simulator_factory("--latency", "20ms")
    wanted = imp_uids(40_000)
    flow.publish(wanted)

    def start():
        one = worker(simulator, IMPCERT_WORKERS=1, IMPCERT_IN_FLIGHT=100, IMPCERT_RATE_LIMIT=150)
        wait_for(lambda: one.metric("impcert_events_stored_total") > 0, 30, f"{one} to store an event")
        return one

    group = [start() for _ in range(3)]
    end = time.monotonic() + 60
    turns = 0
    while time.monotonic() < end:
        next_turn = time.monotonic() + 5
        group.append(start())
        assert group.pop(0).stop() == 0
        turns += 1
        wait_for(lambda: time.monotonic() >= next_turn, 30, "the next turn")
    assert names.lag() > 0, "the last turns were not under load"
    flow.wait_until_done(*group, deadline=300)
    assert_documents(simulator, names.documents(), wanted)
    assert flow.letters() == []
    repeated = sum(simulator.calls().values()) - len(wanted)
    report(f"{repeated} of {len(wanted)} verified twice in {turns} turns")
    assert repeated < 0.02 * len(wanted)
