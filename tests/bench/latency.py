"""From the call that publishes an event to its document, seen from the outside at several loads (latency/main.c)."""

import json
import subprocess

from stack import StackError, wait_for
from support.names import Names
from support.program import ROOT

from .contestants import BY_NAME

PROGRAM = ROOT / "build/release/tests/impcert-latency"
SHARES = (0.1, 0.5, 0.9)
SECONDS = 8


def latency(ground, names, highest, rounds, report):
    """highest: events/s that a contestant can do. {contestant: {share: [percentiles of each round]}}"""
    found = {name: {} for name in names}
    for number in range(1, rounds + 1):
        for share in SHARES:
            for name in names:
                took = one(ground, BY_NAME[name], highest[name] * share)
                report(
                    f"round {number}: {name:8} at {share:4.0%} ({took['rate']:6.0f} events/s): p50 {took['p50']:.1f} ms, "
                    f"p99 {took['p99']:.1f} ms, p99.9 {took['p999']:.1f} ms"
                )
                found[name].setdefault(f"{share:.0%}", []).append(took)
    return found


def one(ground, contestant, rate):
    own = Names(ground.stack)
    try:
        own.create_topics()
        ground.simulator.reset()
        ground.simulator.settings(latency="0ms")
        settings = own.settings() | ground.iamport(False) | contestant.environment(512)
        process = ground.start(contestant.command(), settings, ground.directory / f"{contestant.name}.log")
        try:
            _until_joined(ground, own, process)
            return _measured(ground, own, rate)
        finally:
            process.terminate()
            process.wait(60)
    finally:
        own.clean_up()


def _until_joined(ground, own, process):
    def joined():
        if process.poll() is not None:
            raise StackError("the worker has ended")
        return own.shares(own.group)

    wait_for(joined, 60, "the worker to join its group", error=StackError)


def _measured(ground, own, rate):
    where = [ground.stack.kafka.brokers, own.topic, ground.stack.mongodb.uri, own.database, own.collection]
    command = [str(PROGRAM), *where, f"{rate:.0f}", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 120)
    if done.returncode != 0:
        raise StackError(done.stderr.strip())
    return json.loads(done.stdout)
