"""The oracle itself: an honest end passes, and each way of being wrong is noticed. No server takes part."""

from collections import namedtuple
from datetime import datetime, timezone

import pytest

from stack.kafka import Record
from support.flow import event, expected_document

from . import oracle, settings
from .diary import Diary
from .events import Sent
from .faults import OUTAGE

TOPIC = "events"
CERTIFIED = {"unique_key": "ci", "unique_in_site": "di", "certified_at": 1_700_000_000}
TRACE = [("traceparent", b"00-1-2-03")]
System = namedtuple("System", "stack names topics diary iamport")
Stack, Iamport = namedtuple("Stack", "kafka"), namedtuple("Iamport", "simulator")


class World:
    """MongoDB, Kafka and the simulator as far as the oracle asks them; one partition for each topic."""

    topic, dlq = TOPIC, f"{TOPIC}.dlq"

    def __init__(self):
        self.system = System(
            Stack(self), self, [TOPIC, *settings.retry_topics(TOPIC)], Diary(0), Iamport(self)
        )
        self.tier = self.system.topics[1]
        self.stored = {}
        self.logs = {topic: [] for topic in (*self.system.topics, self.dlq)}
        self.position = dict.fromkeys(self.logs, 0)

    # What the oracle asks.

    def documents(self):
        return self.stored

    def records(self, topic=TOPIC):
        return self.logs[topic]

    def dead_letters(self):
        return self.logs[self.dlq]

    def group_of(self, topic):
        return f"the group of {topic}"

    def committed(self, group, topic):
        assert group == self.group_of(topic)
        return {0: self.position[topic]}

    def certifications(self, imp_uids):
        return {one: CERTIFIED | {"imp_uid": one} if one.startswith("imp_") else None for one in imp_uids}

    # What a test says.

    def publish(self, imp_uid, value=None):
        """The place of the new record."""
        key, own = event(imp_uid)
        return f"{TOPIC}/0/{self._append(TOPIC, key, own if value is None else value, TRACE)}"

    def store(self, imp_uid, **changes):
        self.stored[imp_uid] = expected_document(CERTIFIED | {"imp_uid": imp_uid}) | changes

    def letter(self, key, place, reason, value=None, headers=TRACE, topic=None):
        facts = {
            "reason": reason,
            "attempts": "1",
            "origin": place,
            "failed_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        }
        own = [(f"impcert.{name}", text.encode()) for name, text in facts.items()]
        self._append(topic or self.dlq, key.encode(), event(key)[1] if value is None else value, headers + own)

    def sent(self, offset):
        record = self.logs[TOPIC][offset]
        return Sent(record.partition, record.offset, record.key, record.value)

    def judge(self, acknowledged=(), imp_uids=frozenset()):
        oracle.Oracle(self.system).judge(acknowledged, set(imp_uids))

    def _append(self, topic, key, value, headers):
        offset = len(self.logs[topic])
        self.logs[topic].append(Record(0, offset, key, value, headers))
        return offset


@pytest.fixture
def world():
    """Where everything ended well: a document, a dead letter, an invalid record."""
    world = World()
    world.publish("imp_1")
    world.store("imp_1")
    world.letter("missing_2", world.publish("missing_2"), "not_found")
    place = world.publish("", value=b"{")
    world.letter(place, place, "invalid_event", value=b"{")
    return world


def test_an_honest_end_passes(world):
    world.judge([world.sent(0), world.sent(2)], {"imp_1"})


def test_a_null_value_may_come_as_an_empty_one(world):
    world.logs[TOPIC].append(Record(0, 3, None, None, []))
    world.letter(f"{TOPIC}/0/3", f"{TOPIC}/0/3", "invalid_event", value=b"", headers=[])
    world.judge()


def test_a_lost_event_is_noticed(world):
    world.publish("imp_3")
    with pytest.raises(AssertionError, match="1 x an event without any end"):
        world.judge()


def test_an_acknowledged_event_that_kafka_lost_is_noticed(world):
    with pytest.raises(AssertionError, match="acknowledged, and not on the topic"):
        world.judge([Sent(0, 3, *event("imp_3"))])
    with pytest.raises(AssertionError, match="acknowledged to impcert-publish, and not on the topic"):
        world.judge(imp_uids={"imp_3"})


def test_a_false_certification_is_noticed(world):
    world.store("missing_2")
    with pytest.raises(AssertionError, match="a document of what Iamport does not confirm"):
        world.judge()


def test_a_document_of_nobodys_event_is_noticed(world):
    world.store("imp_9")
    with pytest.raises(AssertionError, match="a document of what nobody published"):
        world.judge()


def test_a_document_with_another_persons_key_is_noticed(world):
    world.store("imp_1", unique_key="another")
    with pytest.raises(AssertionError, match="differs from what the simulator holds"):
        world.judge()


def test_a_letter_for_a_strange_reason_is_noticed(world):
    world.letter("missing_2", f"{TOPIC}/0/1", "no_unique_key")
    with pytest.raises(AssertionError, match="does not fit kind missing"):
        world.judge()


def test_a_reason_of_an_outage_fits_only_within_one(world):
    world.letter("missing_2", f"{TOPIC}/0/1", "unavailable")
    with pytest.raises(AssertionError, match="does not fit kind missing"):
        world.judge()
    with world.system.diary.fault("outage", "", OUTAGE):
        world.letter("missing_2", f"{TOPIC}/0/1", "unavailable")
    world.judge()


def test_a_good_event_that_an_outage_made_a_dead_letter_is_noticed(world):
    place = world.publish("imp_3")
    with world.system.diary.fault("outage", "", OUTAGE):
        world.letter("imp_3", place, "unavailable")
    with pytest.raises(AssertionError, match="does not fit kind imp"):
        world.judge()


@pytest.mark.parametrize("changed", [{"value": b"{ "}, {"headers": []}])
def test_a_changed_letter_is_noticed(world, changed):
    place = world.publish("", value=b"{")
    world.letter(place, place, "invalid_event", **{"value": b"{"} | changed)
    with pytest.raises(AssertionError, match="a letter that is not its record"):
        world.judge()


def test_a_letter_under_another_key_is_noticed(world):
    world.letter("missing_7", f"{TOPIC}/0/1", "not_found", value=event("missing_2")[1])
    with pytest.raises(AssertionError, match="a letter under another key"):
        world.judge()


def test_an_offset_past_an_unfinished_event_is_noticed(world):
    world.publish("imp_3")
    world.position[TOPIC] = 3
    oracle.assert_offsets_hold_back(world.system)
    world.position[TOPIC] = 4
    with pytest.raises(AssertionError, match="events/0/3 .* is not stored"):
        oracle.assert_offsets_hold_back(world.system)


def test_an_event_on_a_retry_topic_is_finished_only_for_the_topics_before(world):
    world.letter("missing_3", world.publish("missing_3"), "not_found", topic=world.tier)
    world.position[TOPIC] = 4
    oracle.assert_offsets_hold_back(world.system)
    world.position[world.tier] = 1
    with pytest.raises(AssertionError, match=f"{world.tier}: .* is not stored"):
        oracle.assert_offsets_hold_back(world.system)
