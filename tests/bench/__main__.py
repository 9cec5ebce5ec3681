"""The command line of the benchmark; see `run`."""

import argparse
import json
import signal
import sys
from dataclasses import asdict
from statistics import median

from stack import StackError
from support.program import ROOT

from .allocations import allocations
from .compare import compare, workload
from .contestants import BUILD, BY_NAME
from .floors import floors
from .gateway import gateway
from .ground import Ground
from .latency import latency
from .measure import one_run
from .report import tables
from .scale import scale
from .scrape import scrape

RESULTS = BUILD / "results"


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        sys.exit(arguments.action(arguments))
    except StackError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name, action, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--rounds", type=int, default=5, help="interleaved rounds (5)")
        sub.set_defaults(action=action)
        return sub

    sub = command("compare", run_compare, "impcert beside its peers")
    sub.add_argument("--peers", default=",".join(BY_NAME), help=f"of {', '.join(BY_NAME)} (all)")
    sub.add_argument("--latency", default="0ms,100ms", help="of the simulator (0ms,100ms)")
    sub.add_argument("--in-flight", default="512", help="verifications at once in a process (512)")
    sub.add_argument("--transport", default="http,tls", help="http, tls or both (http,tls)")
    sub.add_argument("--scale", type=float, default=1, help="of the number of events")
    command("floors", run_floors, "the cheapest client for each part of the job")
    command("allocations", run_allocations, "what impcert and its libraries allocate for an event")
    command("gateway", run_gateway, "impcert-gateway beside gateways in Go and node")
    command("scrape", run_scrape, "what it costs that somebody reads /metrics each second")
    command("scale", run_scale, "impcert with more events, partitions, events in flight and processes")
    sub = command("latency", run_latency, "from event to document, at 10, 50 and 90 %% of the highest rate")
    sub.add_argument("--peers", default="impcert", help="see compare (impcert)")
    return parser.parse_args()


def say(text):
    print(text, flush=True)


def save(name, content):
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1))
    say(f"\nwritten to {path.relative_to(ROOT)}")


def run_compare(arguments):
    names = able(arguments.peers.split(","))
    transports = arguments.transport.split(",")
    cells = [
        (latency, transport == "tls", int(in_flight))
        for latency in arguments.latency.split(",")
        for transport in transports
        for in_flight in arguments.in_flight.split(",")
    ]
    with Ground(tls="tls" in transports) as ground:
        results = compare(ground, names, cells, arguments.rounds, arguments.scale, say)
    say("\n" + tables(results))
    save("compare", [(number, name, result and asdict(result)) for number, name, result in results])
    return 0 if all(result for *_, result in results) else 1


def able(names):
    """Those that can be built here; says what the others lack."""
    found = []
    for name in names:
        if name not in BY_NAME:
            raise StackError(f"{name} is none of {', '.join(BY_NAME)}")
        lacks = BY_NAME[name].missing()
        if lacks:
            say(f"left out: {name}, which needs {', '.join(lacks)}")
            continue
        BY_NAME[name].build()
        found.append(name)
    return found


def run_floors(arguments):
    with Ground() as ground:
        found = floors(ground, arguments.rounds, say)
    save("floors", found)
    return 0


def run_allocations(_):
    with Ground() as ground:
        found = allocations(ground, say)
    save("allocations", found)
    return 0


def run_gateway(arguments):
    with Ground() as ground:
        found = gateway(ground, arguments.rounds, say)
    save("gateway", found)
    return 0


def run_scrape(arguments):
    with Ground() as ground:
        found = scrape(ground, arguments.rounds, say)
    save("scrape", found)
    return 0


def run_scale(arguments):
    with Ground() as ground:
        found = scale(ground, arguments.rounds, say)
    save("scale", found)
    return 0


def run_latency(arguments):
    names = able(arguments.peers.split(","))
    with Ground() as ground:
        highest = dict(highest_rates(ground, names))
        found = latency(ground, names, highest, arguments.rounds, say)
    save("latency", found)
    return 0


def highest_rates(ground, names):
    for name in names:
        rates = [one_run(ground, BY_NAME[name], workload(BY_NAME[name], "0ms", False, 512, 1)).rate for _ in range(3)]
        say(f"{name}: {median(rates):.0f} events/s at the most")
        yield name, median(rates)


if __name__ == "__main__":
    main()
