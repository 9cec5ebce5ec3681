"""What must hold: while workers die, that no offset is committed past an unfinished event; after healing, that every
event on the topic is the document that Iamport confirms, or a dead letter for a reason of its own.

Everything is read back from MongoDB and Kafka. Records are known by their place (topic, partition, offset).
"""

from collections import Counter

from confluent_kafka import KafkaException
from pymongo.errors import PyMongoError

from stack import StackError
from support import wait_for
from support.flow import OWN, Letter, expected_document

from .events import GOOD, KINDS, imp_uid_of, kind_of
from .faults import GARBLED, OUTAGE

READ_DEADLINE = 120
REASONS_OF_FAULTS = {"unavailable": (OUTAGE,), "bad_response": (GARBLED,)}
SHOWN = 5


def patiently(read, what):
    """The result of read(), asked again while a server is away."""

    def answer():
        try:
            return [read()]
        except (KafkaException, StackError, PyMongoError) as failure:
            raise AssertionError(f"{type(failure).__name__}: {failure}") from failure

    return wait_for(answer, READ_DEADLINE, what)[0]


# While workers die.


def assert_offsets_hold_back(system):
    """Offsets are read first, and what stands for finished events only grows; so this may be asked at any time."""
    kafka, names = system.stack.kafka, system.names
    committed = {
        topic: patiently(lambda topic=topic: kafka.committed(names.group_of(topic), topic), f"committed offsets of {topic}")
        for topic in system.topics
    }
    records = {
        topic: patiently(lambda topic=topic: kafka.records(topic), f"records of {topic}")
        for topic in [*system.topics, names.dlq]
    }
    stored = set(patiently(names.documents, "documents"))
    dead = {record.key for record in records[names.dlq]}
    for position, topic in enumerate(system.topics):
        further = {_origin(topic, one) for later in system.topics[position + 1 :] for one in records[later]}
        for record in records[topic]:
            if record.offset < committed[topic][record.partition]:
                place, imp_uid = _origin(topic, record), imp_uid_of(record.value)
                key = (imp_uid or place).encode()
                assert imp_uid in stored or key in dead or place in further, (
                    f"{topic}: partition {record.partition} is committed up to {committed[topic][record.partition]}, "
                    f"and {place} ({imp_uid}) is not stored, dead-lettered or on a later retry topic"
                )


def _origin(topic, record):
    """Where the event of this record stands on the main topic, as impcert.origin says it."""
    carried = dict(record.headers).get(OWN + "origin")
    return carried.decode() if carried else f"{topic}/{record.partition}/{record.offset}"


# After healing.


class Oracle:
    """Reads everything back once, for `judge`."""

    def __init__(self, system):
        names = system.names
        self._diary, self._simulator = system.diary, system.iamport.simulator
        self._records = {_origin(names.topic, record): record for record in names.records()}
        self._documents = names.documents()
        letters = [(record.offset, Letter(record)) for record in names.dead_letters()]
        self._letters = [letter for _, letter in letters]
        self._newest = {letter.key: letter for _, letter in sorted(letters, key=lambda one: one[0])}
        self._faults = []

    def judge(self, acknowledged, imp_uids):
        """`acknowledged` are records of known place, `imp_uids` events of unknown place, all acknowledged."""
        self._acknowledged_are_there(acknowledged, imp_uids)
        for place, record in self._records.items():
            self._ended(place, record)
        self._documents_are_confirmed()
        for letter in self._letters:
            self._letter_is_intact(letter)
        assert not self._faults, self._verdict()

    def counts(self):
        """(events, documents, dead letters)"""
        return len(self._records), len(self._documents), len(self._letters)

    def _complain(self, what, about):
        self._faults.append((what, about))

    def _verdict(self):
        lines = []
        for what, number in Counter(what for what, _ in self._faults).items():
            examples = [str(about) for kind, about in self._faults if kind == what][:SHOWN]
            lines += [f"{number} x {what}:", *(f"    {example}" for example in examples)]
        return "\n".join(lines)

    def _acknowledged_are_there(self, acknowledged, imp_uids):
        """Kafka's own part of the promise; without it the rest would prove nothing."""
        there = {(r.partition, r.offset): (r.key, r.value) for r in self._records.values()}
        for sent in acknowledged:
            if there.get((sent.partition, sent.offset)) != (sent.key, sent.value):
                self._complain("acknowledged, and not on the topic", sent)
        for imp_uid in imp_uids - {imp_uid_of(record.value) for record in self._records.values()}:
            self._complain("acknowledged to impcert-publish, and not on the topic", imp_uid)

    def _ended(self, place, record):
        kind, imp_uid = kind_of(record.value), imp_uid_of(record.value)
        letter = self._newest.get((imp_uid or place).encode())
        if imp_uid in self._documents:
            if kind not in GOOD:
                self._complain("a document of what Iamport does not confirm", imp_uid)
        elif not letter:
            self._complain("an event without any end", f"{place} {imp_uid}")
        if letter and not self._fits(kind, letter):
            self._complain(f"a letter that does not fit kind {kind}", letter)

    def _fits(self, kind, letter):
        """Its own reason, or one of a fault that was on when it was given up; for a good event there is none."""
        if letter.reason in KINDS[kind].reasons:
            return True
        if kind == "invalid" or kind in GOOD:
            return False
        return self._diary.within(letter.time("failed_at"), REASONS_OF_FAULTS.get(letter.reason, ()))

    def _documents_are_confirmed(self):
        published = {imp_uid_of(record.value) for record in self._records.values()}
        for imp_uid in self._documents.keys() - published:
            self._complain("a document of what nobody published", imp_uid)
        confirmed = self._simulator.certifications(self._documents)
        for imp_uid, document in self._documents.items():
            record = confirmed[imp_uid]
            found = {name: value for name, value in document.items() if name != "verified_at"}
            if not record or found != expected_document(record):
                self._complain("a document that differs from what the simulator holds", imp_uid)

    def _letter_is_intact(self, letter):
        """The value byte for byte (a null one may come as an empty one), its headers, and the key that it must have."""
        place = letter.facts["origin"]
        source = self._records.get(place)
        if not source:
            self._complain("a letter of no record", letter)
            return
        if (letter.value or b"") != (source.value or b"") or letter.headers != source.headers:
            self._complain("a letter that is not its record", letter)
        if letter.key != (imp_uid_of(source.value) or place).encode():
            self._complain("a letter under another key", letter)
