"""The main job: every event ends as its document or as a dead letter, and a second start changes nothing."""

from datetime import datetime, timezone

from bson import Int64

from support.flow import assert_documents, event, expected_document, imp_uids

TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
HEADERS = [TRACE, ("shop", b"1"), ("shop", b"2"), ("binary", b"\x00\xff"), ("empty", b""), ("none", None)]
BAD_VALUES = [
    None,
    b"",
    b" ",
    b"imp_1",
    b'{"imp_uid": "imp_1"',
    b'{"imp_uid": "imp_1"} x',
    b'{"imp_uid": "imp_1", "imp_uid": "imp_2"}',
    b"{}",
    b"[]",
    b'"imp_1"',
    b"null",
    b'{"phone": "01012345678"}',
    b'{"imp_uid": null}',
    b'{"imp_uid": 448280090638}',
    b'{"imp_uid": ["imp_1"]}',
    b'{"imp_uid": ""}',
    b'{"imp_uid": "%s"}' % (b"x" * 65),
    b'{"imp_uid": "imp 1"}',
    b'{"imp_uid": "../users/getToken"}',
    b'{"imp_uid": "imp_1?x=1"}',
    b'{"imp_uid": "imp_1\\u0000"}',
    '{"imp_uid": "임프"}'.encode(),
    b'{"imp_uid": "imp_\xff"}',
    b"\xff\xfe\x00\x01",
    b'{"imp_uid": "imp_1", "note": "%s"}' % (b"\xc3\x28" * 50_000),
    b"[" * 100_000,
]
OPTIONAL_FIELDS = {
    "name": str,
    "phone": str,
    "birth": Int64,
    "birthday": str,
    "gender": str,
    "carrier": str,
    "foreigner": bool,
    "foreigner_v2": bool,
    "merchant_uid": str,
    "pg_provider": str,
    "pg_tid": str,
    "origin": str,
}


def bad_events():
    """Every bad value without key and headers, and with both."""
    return [(None, value) for value in BAD_VALUES] + [(b"key\x00\xff", value, HEADERS) for value in BAD_VALUES]


def mixed_in(good, bad):
    """One list in which the bad ones stand evenly between the good ones."""
    step = len(good) // len(bad)
    mixed = list(good)
    for number, record in enumerate(bad):
        mixed.insert(number * (step + 1), record)
    return mixed


def test_ten_thousand_events_end_as_documents_or_dead_letters(flow, names, simulator, worker):
    bad = bad_events()
    good = imp_uids(10_000 - len(bad))
    keyless = [(None, *event(good[0])[1:]), (b"", *event(good[1])[1:], [TRACE])]
    records = [*keyless, *(event(imp_uid) for imp_uid in good[2:])]
    flow.publish(mixed_in(records, bad))
    started = datetime.now(timezone.utc)
    first = worker(simulator)
    flow.wait_until_done(first)
    assert first.stop() == 0
    ended = datetime.now(timezone.utc)
    assert names.lag() == 0

    documents = names.documents()
    assert_documents(simulator, documents, good)
    begun = started.replace(microsecond=started.microsecond // 1000 * 1000)  # as exact as a BSON date
    for imp_uid, document in documents.items():
        assert begun <= document["verified_at"] <= ended, f"verified_at of {imp_uid}"
    assert_letters_are_what_was_published(names, flow.letters(), len(bad))
    calls = simulator.calls()
    assert calls == dict.fromkeys(good, 1), "one call for each good event and none for a bad one"

    simulator.reset()
    dead = names.dead_letters()
    second = worker(simulator)
    probes = imp_uids(100, "probe")  # some on every partition, behind everything else
    flow.publish(probes)
    flow.wait_until_done(second)
    assert second.stop() == 0
    assert simulator.calls() == dict.fromkeys(probes, 1), "a second start asks for nothing again"
    again = {imp_uid: document for imp_uid, document in names.documents().items() if imp_uid not in probes}
    assert again == documents, "a second start changes no document"
    assert names.dead_letters() == dead, "a second start writes no dead letter"


def assert_letters_are_what_was_published(names, letters, count):
    published = {(names.topic, record.partition, record.offset): record for record in names.records()}
    assert len(letters) == count
    assert len({letter.origin for letter in letters}) == count
    for letter in letters:
        source = published[letter.origin]
        assert letter.value == (source.value or b""), f"the value of {letter.origin}"
        assert letter.headers == source.headers, f"the headers of {letter.origin}"
        assert letter.key == "{}/{}/{}".format(*letter.origin).encode()
        assert (letter.reason, letter.attempts, letter.status) == ("invalid_event", 0, None)


def test_by_default_nothing_personal_is_stored(flow, names, simulator, worker):
    flow.publish(imp_uids(50))
    flow.wait_until_done(worker(simulator))
    kept = {"_id", "unique_key", "unique_in_site", "certified", "certified_at", "verified_at"}
    for document in names.documents().values():
        assert set(document) == kept


def test_opt_in_fields_are_stored_with_their_types(flow, names, simulator, worker):
    wanted = imp_uids(500)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_STORE_FIELDS=",".join(OPTIONAL_FIELDS)))
    documents = names.documents()
    assert_documents(simulator, documents, wanted, OPTIONAL_FIELDS)
    for field, kind in OPTIONAL_FIELDS.items():
        types = {type(document[field]) for document in documents.values()}
        assert kind in types, f"no {field} among 500 records: the test shows nothing"
        assert types <= {kind, type(None)}, f"{field} is stored as {types}"


def test_only_the_chosen_fields_are_stored(flow, names, simulator, worker):
    wanted = imp_uids(50)
    flow.publish(wanted)
    flow.wait_until_done(worker(simulator, IMPCERT_STORE_FIELDS="birthday, carrier", IMPCERT_WORKERS=1))
    assert_documents(simulator, names.documents(), wanted, ["birthday", "carrier"])


def test_further_members_of_an_event_are_no_fault(flow, names, simulator, worker):
    value = '{"order": {"no": 123456789012345678901234567890, "name": "홍길동"}, "imp_uid": "%s", "x": [null, 1e99]}'
    wanted = imp_uids(10, "a-Z_0") + ["x", "y" * 64, "-", "_"]
    flow.publish([(imp_uid.encode(), (value % imp_uid).encode()) for imp_uid in wanted])
    flow.wait_until_done(worker(simulator))
    records = simulator.certifications(wanted)
    for imp_uid, document in names.documents().items():
        del document["verified_at"]
        assert document == expected_document(records[imp_uid])
    flow.assert_ends(documents=wanted)


def test_one_imp_uid_many_times_is_one_document(flow, names, simulator, worker):
    """Without keys its events are on all partitions, so several workers may meet it."""
    flow.publish([(None, event("imp_1")[1])] * 500)
    flow.wait_until_done(worker(simulator, IMPCERT_WORKERS=4))
    assert_documents(simulator, names.documents(), ["imp_1"])
    assert flow.letters() == []
