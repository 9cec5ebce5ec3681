"""The gateway under load beside gateways in Go and node: wrk posts events over connections that are kept, and each answer
of 202 must be a record on the topic. The gateway has one core; wrk, and the broker where it can, the others."""

import json
import os
import random
import subprocess
import uuid
from pathlib import Path
from statistics import median

from stack import StackError, wait_for
from stack.ports import claim, release
from support.http import fetch
from support.names import Names

from . import processes
from .contestants import Contestant

SCRIPT = Path(__file__).resolve().parent / "gateway/post.lua"
CONNECTIONS = 64
SECONDS = 8
WARM_UP_SECONDS = 2


GATEWAYS = (
    Contestant("impcert", "impcert-gateway", own="impcert-gateway"),
    Contestant("go", "Go, net/http, franz-go", peer="go-gateway", needs=("go",)),
    Contestant("node", "node, http, kafkajs", peer="node", needs=("node", "npm"), arguments=("gateway",)),
)


def gateway(ground, rounds, report):
    for one in GATEWAYS:
        one.build()
    found = {one.name: [] for one in GATEWAYS}
    for number in range(1, rounds + 1):
        for one in random.sample(GATEWAYS, len(GATEWAYS)):
            result = measured(ground, one)
            found[one.name].append(result)
            report(
                f"round {number}: {one.name:8} {result['rate']:7.0f} accepted/s, {result['cpu_us']:6.1f} us CPU each, "
                f"p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms, {result['peak_mib']:.0f} MiB"
            )
    report("\n" + table(found))
    return found


def measured(ground, contestant):
    names = Names(ground.stack)
    [port] = claim(ground.directory, 1)
    try:
        names.create_topics()
        settings = {"IMPCERT_HTTP_LISTEN": f"127.0.0.1:{port}", **names.publish_settings()}
        command = ["taskset", "-c", "0", *contestant.command()]
        process = ground.start(command, settings, ground.directory / f"{contestant.name}-gateway.log")
        try:
            wait_for(lambda: serves(port), 30, f"{contestant.name} to serve", error=StackError)
            post(port, WARM_UP_SECONDS)
            before, cpu = records(ground, names), processes.cpu_seconds(process.pid)
            load = post(port, SECONDS)
            cpu = processes.cpu_seconds(process.pid) - cpu
            check(load, wait_settled(ground, names) - before)
            return load | {
                "rate": load["answers"] / load["seconds"],
                "cpu_us": cpu / load["answers"] * 1e6,
                "peak_mib": processes.peak_mib(process.pid),
            }
        finally:
            process.terminate()
            process.wait(60)
    finally:
        release(ground.directory)
        names.clean_up()


def serves(port):
    try:
        status, _ = fetch(f"http://127.0.0.1:{port}/certifications", "POST", {"imp_uid": "imp_first"})
    except OSError:
        return False
    return status == 202


def post(port, seconds):
    others = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[1:]) or "0"
    command = ["taskset", "-c", others, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT),
               f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RUN": uuid.uuid4().hex[:8]})
    if done.returncode != 0:
        raise StackError(f"wrk: {done.stderr or done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def records(ground, names):
    return sum(ground.stack.kafka.end_offsets(names.topic).values())


def wait_settled(ground, names):
    """The number of records, once what wrk left behind unanswered has arrived."""
    seen = [-1]

    def settled():
        seen.append(records(ground, names))
        return seen[-1] == seen[-2]

    wait_for(settled, 30, "the last events", error=StackError)
    return seen[-1]


def check(load, arrived):
    """Every 202 is a record; what wrk had under way at its end was not counted by it."""
    if load["refused"] or load["broken"]:
        raise StackError(f"{load['refused']} requests were refused, {load['broken']} broken off")
    if not load["answers"] <= arrived <= load["answers"] + 2 * CONNECTIONS:
        raise StackError(f"{load['answers']} answers of 202, but {arrived} records")


def table(found):
    lines = ["| gateway | accepted/s | CPU for one | impcert's to it | p50 | p99 | memory |", "|---|---|---|---|---|---|---|"]
    for one in GATEWAYS:
        results = found[one.name]
        ratios = [ours["cpu_us"] / theirs["cpu_us"] for ours, theirs in zip(found["impcert"], results)]
        middle = {key: median(result[key] for result in results) for key in results[0]}
        rates = [result["rate"] for result in results]
        lines.append(
            f"| {one.title} | {middle['rate']:,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) | {middle['cpu_us']:.1f} µs | "
            f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {middle['p50_ms']:.1f} ms | "
            f"{middle['p99_ms']:.1f} ms | {middle['peak_mib']:.0f} MiB |"
        )
    return "\n".join(lines)
