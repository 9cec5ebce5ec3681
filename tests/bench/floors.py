"""The cheapest client for each part of the job (tests/bench/floors), to tell what is left to gain."""

import json
import subprocess

from stack import StackError
from support.http import fetch
from support.names import Names
from support.program import ROOT
from support.simulator import KEY_PAIR

from .measure import publish

FLOOR = ROOT / "build/release/tests/impcert-floor"
EVENTS = 100_000


def floors(ground, rounds, report):
    """{part: [microseconds of CPU per event of each round]}"""
    names = Names(ground.stack)
    found = {}
    try:
        names.create_topics()
        publish(names, EVENTS)
        for _ in range(rounds):
            for part, arguments in parts(ground, names):
                ground.simulator.settings(latency="100ms" if "100 ms" in part else "0ms")
                cost = run(arguments)
                found.setdefault(part, []).append(cost["cpu_seconds"] / cost["events"] * 1e6)
                report(f"{part}: {found[part][-1]:.1f} us, {cost['events'] / cost['seconds']:.0f} events/s")
                with ground.stack.mongodb.client() as client:
                    client.drop_database(names.database)
    finally:
        names.clean_up()
    return found


def parts(ground, names):
    url, token = ground.simulator.url, get_token(ground.simulator.url)
    return (
        ("consume", ["consume", ground.stack.kafka.brokers, names.topic, EVENTS, 1000]),
        ("insert, 500 at once", ["insert", ground.stack.mongodb.uri, names.database, EVENTS, 500]),
        ("GET, curl multi, 64 in flight", ["get-curl", url, token, EVENTS, 64]),
        ("GET, curl multi, 512 in flight", ["get-curl", url, token, EVENTS, 512]),
        ("GET, curl multi, 512 in flight, 100 ms", ["get-curl", url, token, EVENTS // 4, 512]),
        ("GET, bare epoll, 64 in flight", ["get-epoll", url, token, EVENTS, 64]),
        ("GET, bare epoll, 512 in flight", ["get-epoll", url, token, EVENTS, 512]),
        ("GET, bare epoll, 512 in flight, 100 ms", ["get-epoll", url, token, EVENTS // 4, 512]),
    )


def get_token(url):
    pair = {"imp_key": KEY_PAIR["IAMPORT_KEY"], "imp_secret": KEY_PAIR["IAMPORT_SECRET"]}
    return json.loads(fetch(f"{url}/users/getToken", "POST", pair)[1])["response"]["access_token"]


def run(arguments):
    done = subprocess.run([str(one) for one in (FLOOR, *arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise StackError(f"{arguments[0]}: {done.stderr}")
    return json.loads(done.stdout)
