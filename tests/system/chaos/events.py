"""The events of a round: their kinds with the end that each may come to, and how they are published.

Kinds are told by the beginning of the imp_uid (tests/simulator/README.md).
"""

import json
from collections import namedtuple

from support.flow import event
from support.program import run_program

# The share among all events, beyond one of each kind at the start; without reasons it must become a document.
Kind = namedtuple("Kind", "weight reasons")
Sent = namedtuple("Sent", "partition offset key value")

KINDS = {
    "imp": Kind(8705, ()),
    "flaky1": Kind(300, ()),
    "flaky2": Kind(300, ()),
    "limited": Kind(0, ()),  # slows a whole process down for seconds
    "missing": Kind(120, ("not_found",)),
    "unfinished": Kind(120, ("not_certified",)),
    "nokey": Kind(50, ("no_unique_key",)),
    "nullkey": Kind(30, ("no_unique_key",)),
    "absentkey": Kind(30, ("no_unique_key",)),
    "refused": Kind(80, ("refused",)),
    "code": Kind(40, ("refused",)),
    # These spend all tries in process and in each tier, and count as an outage to the circuit breaker.
    "other": Kind(15, ("bad_response",)),
    "html": Kind(10, ("bad_response",)),
    "empty": Kind(10, ("bad_response",)),
    "malformed": Kind(15, ("bad_response",)),
    "redirect": Kind(10, ("bad_response",)),
    "huge": Kind(5, ("bad_response",)),
    "error": Kind(15, ("unavailable",)),
    "unavailable": Kind(10, ("unavailable",)),
    "truncated": Kind(10, ("unavailable",)),
    "reset": Kind(10, ("unavailable",)),
    "invalid": Kind(120, ("invalid_event",)),
}
# Answered sensibly at once; those that are not there (yet) go through the retry topics.
HARMLESS = ("imp", "missing", "unfinished")
GOOD = tuple(name for name, kind in KINDS.items() if not kind.reasons)
INVALID_VALUES = (
    None,
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"imp_uid": 7}',
    b'{"imp_uid": ""}',
    b'{"imp_uid": "with a space"}',
    b'{"imp": "imp_1"}',
    b'{"imp_uid": "%s"}' % (b"x" * 65),
)
# A twin follows its event closely or comes much later.
TWINS = 0.03
NO_KEYS = 0.02
RECENT = 30

# So many at once, and seconds between them.
BATCH, PAUSE = 12, 0.1
ACKNOWLEDGE_DEADLINE = 120


def imp_uid_of(value):
    """The imp_uid of one of our events, or None for an invalid one."""
    if value in INVALID_VALUES:
        return None
    return json.loads(value)["imp_uid"]


def kind_of(value):
    imp_uid = imp_uid_of(value)
    return "invalid" if imp_uid is None else imp_uid.split("_")[0]


def stream(rng):
    """Yields (key, value, headers) without end: events of every kind, some of them twice."""
    names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
    first = rng.sample(names, len(names))
    past, number = [], 0
    while True:
        number += 1
        if past and rng.random() < TWINS:
            imp_uid = rng.choice(past[-RECENT:] if rng.random() < 0.5 else past)
        else:
            kind = first.pop() if first else rng.choices(names, weights)[0]
            if kind == "invalid":
                yield rng.choice((None, b"", b"any key")), rng.choice(INVALID_VALUES), _trace(number)
                continue
            imp_uid = f"{kind}_{number:08d}"
            past.append(imp_uid)
        key, value = event(imp_uid)
        yield rng.choice((None, b"")) if rng.random() < NO_KEYS else key, value, _trace(number)


def _trace(number):
    return [("traceparent", b"00-%032x-%016x-01" % (number, number))] if number % 2 else []


class Publisher:
    """Publishes a stream with acks=all as long as it is let; a broker that is away makes records wait here."""

    def __init__(self, kafka, topic, events):
        self._topic, self._events = topic, events
        self._producer = kafka.producer()
        self.acknowledged = []
        self.refused = 0

    def run(self, healed, quiet):
        """Every kind until `healed` is set, and a trickle of harmless ones, as life goes on, until `quiet` is.

        Without the trickle a worker is left with events that always fail, and takes Iamport to be away. Ends when
        each record is acknowledged or given up.
        """
        while not healed.wait(PAUSE):
            for _ in range(BATCH):
                self._produce(*next(self._events))
            self._producer.poll(0)
        trickle = (one for one in self._events if kind_of(one[1]) in HARMLESS)
        while not quiet.wait(PAUSE):
            self._produce(*next(trickle))
            self._producer.poll(0)
        left = self._producer.flush(ACKNOWLEDGE_DEADLINE)
        assert not left, f"{left} records are not acknowledged {ACKNOWLEDGE_DEADLINE} s after the last fault"

    def _produce(self, key, value, headers):
        self._producer.produce(self._topic, key=key, value=value, headers=headers, on_delivery=self._delivered)

    def _delivered(self, error, message):
        if error:
            self.refused += 1
        else:
            self.acknowledged.append(
                Sent(message.partition(), message.offset(), message.key(), message.value())
            )


class CommandLine:
    """Publishes through impcert-publish, a batch each run; exit code 0 says that all of it is acknowledged."""

    PAUSE = 2.0
    SIZE = 20
    DEADLINE = 180

    def __init__(self, settings, environment):
        wanted = ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")
        self._settings = {name: settings[name] for name in wanted} | environment
        self.acknowledged = set()
        self.failed_runs = 0

    def run(self, healed, _quiet):
        run = 0
        while not healed.wait(self.PAUSE):
            run += 1
            imp_uids = [f"imp_cli{run:03d}x{number:03d}" for number in range(self.SIZE)]
            done = run_program(
                "impcert-publish", settings=self._settings, stdin="\n".join(imp_uids), deadline=self.DEADLINE
            )
            if done.returncode == 0:
                self.acknowledged.update(imp_uids)
            else:
                self.failed_runs += 1
