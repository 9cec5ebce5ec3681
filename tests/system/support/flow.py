"""Events on their way: published by a test, and where each of them ended."""

import json
from datetime import datetime, timezone

from stack import wait_for

OWN = "impcert."


def imp_uids(count, prefix="imp"):
    return [f"{prefix}_{number:012d}" for number in range(count)]


def event(imp_uid):
    """(key, value) as impcert-publish writes it."""
    return imp_uid.encode(), json.dumps({"imp_uid": imp_uid}).encode()


class Letter:
    """A dead letter: the record as it came, and what impcert says of it."""

    def __init__(self, record):
        self.key, self.value = record.key, record.value
        self.headers = [header for header in record.headers if not header[0].startswith(OWN)]
        own = [(name.removeprefix(OWN), value) for name, value in record.headers if name.startswith(OWN)]
        assert len(own) == len(dict(own)), f"a header of impcert stands twice: {record.headers}"
        self.facts = {name: value.decode() for name, value in own}
        self.reason = self.facts["reason"]
        self.attempts = int(self.facts["attempts"])
        self.status = int(self.facts["http_status"]) if "http_status" in self.facts else None

    def __repr__(self):
        return f"Letter({self.key!r}, {self.facts})"

    @property
    def origin(self):
        """(topic, partition, offset)"""
        topic, partition, offset = self.facts["origin"].rsplit("/", 2)
        return topic, int(partition), int(offset)

    def time(self, name):
        return datetime.fromisoformat(self.facts[name])


class Flow:
    """The events of one test, on the topics of its names."""

    def __init__(self, stack, names):
        self._stack, self._names = stack, names

    def create(self, partitions=6):
        self._names.create_topics(partitions)
        return self

    def publish(self, events):
        """imp_uids, or records as (key, value) or (key, value, headers)."""
        records = [event(one) if isinstance(one, str) else one for one in events]
        self._stack.kafka.produce(self._names.topic, records)

    def wait_until_done(self, *workers, deadline=60):
        """Until the group has committed every event; none of `workers` may end before."""

        def done():
            for worker in workers:
                assert worker.exit_code is None, f"{worker} ended with {worker.exit_code}"
            return self._names.lag() == 0

        wait_for(done, deadline, "a group lag of 0")

    def wait_for_documents(self, count, deadline=60):
        """Until at least `count` documents are there."""
        with self._stack.mongodb.client() as client:
            collection = client[self._names.database][self._names.collection]
            wait_for(lambda: collection.estimated_document_count() >= count, deadline, f"{count} documents")

    def stored(self):
        """{imp_uid: document}"""
        return self._names.documents()

    def letters(self):
        return [Letter(record) for record in self._names.dead_letters()]

    def letters_by_imp_uid(self):
        """{imp_uid: Letter}; more than one for an imp_uid is an error."""
        letters = self.letters()
        found = {letter.key.decode(): letter for letter in letters}
        assert len(found) == len(letters), f"{len(letters)} dead letters for {len(found)} keys"
        return found

    def assert_ends(self, documents=(), letters=()):
        """Each imp_uid of `documents` is a document, each of `letters` a dead letter, and there is nothing else."""
        stored = set(self._names.documents())
        dead = {letter.key.decode() for letter in self.letters()}
        _assert_same_set("documents", stored, set(documents))
        _assert_same_set("dead letters", dead, set(letters))


def expected_document(record, fields=()):
    """The document of a simulator's record, apart from verified_at."""
    return {
        "_id": record["imp_uid"],
        "unique_key": record["unique_key"],
        "unique_in_site": record.get("unique_in_site"),
        "certified": True,
        "certified_at": datetime.fromtimestamp(record["certified_at"], timezone.utc),
    } | {field: record.get(field) for field in fields}


def assert_documents(simulator, documents, wanted, fields=()):
    """`documents` are those of the imp_uids `wanted`, each equal to what the simulator holds."""
    _assert_same_set("documents", set(documents), set(wanted))
    for imp_uid, record in simulator.certifications(wanted).items():
        found = {name: value for name, value in documents[imp_uid].items() if name != "verified_at"}
        expected = expected_document(record, fields)
        assert found == expected, f"{imp_uid} differs from what the simulator holds"


def _assert_same_set(what, found, wanted):
    missing, more = sorted(wanted - found), sorted(found - wanted)
    assert not missing, f"{len(missing)} of {len(wanted)} {what} are missing: {missing[:5]}"
    assert not more, f"{len(more)} {what} that should not be: {more[:5]}"
