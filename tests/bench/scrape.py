"""impcert with and without somebody who reads /metrics each second, in interleaved rounds."""

import threading
from contextlib import contextmanager
from dataclasses import asdict
from statistics import median
from urllib.error import URLError
from urllib.request import urlopen

from stack import ports

from .compare import workload
from .contestants import IMPCERT
from .measure import one_run

EVERY = 1  # s


class Scraped:
    """impcert at an address that is known beforehand."""

    name = "impcert-scraped"

    def __init__(self, address):
        self._address = address

    def command(self):
        return IMPCERT.command()

    def environment(self, in_flight):
        return IMPCERT.environment(in_flight) | {"IMPCERT_HTTP_LISTEN": self._address}


def scrape(ground, rounds, report):
    """{"alone" or "scraped": results of each round}"""
    [port] = ports.claim(ground.directory, 1)
    work = workload(IMPCERT, "0ms", False, 512, 1)
    found = {"alone": [], "scraped": []}
    for number in range(1, rounds + 1):
        for name in sorted(found, reverse=number % 2):
            with _reader(f"http://127.0.0.1:{port}/metrics", name == "scraped") as pages:
                result = one_run(ground, Scraped(f"127.0.0.1:{port}"), work)
            found[name].append(asdict(result) | {"pages": len(pages)})
            report(
                f"round {number}: {name:8} {result.rate:8.0f} events/s {result.cpu_us:6.2f} us/event, "
                f"{len(pages)} pages of {max(pages, default=0)} bytes"
            )
    for figure in ("rate", "cpu_us"):
        ratios = [two[figure] / one[figure] for one, two in zip(found["alone"], found["scraped"])]
        report(f"{figure}, scraped to alone: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    return found


@contextmanager
def _reader(url, wanted):
    """Sizes of the pages that were read meanwhile."""
    over, sizes = threading.Event(), []

    def read():
        while not over.wait(EVERY):
            try:
                with urlopen(url, timeout=5) as page:
                    sizes.append(len(page.read()))
            except (URLError, OSError):
                pass  # it starts, or ends

    thread = threading.Thread(target=read)
    if wanted:
        thread.start()
    try:
        yield sizes
    finally:
        over.set()
        if wanted:
            thread.join()
