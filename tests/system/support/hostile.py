"""What SECURITY.md's threat model names, by the thousand: records, requests and answers, the same for the same seed."""

import json
import random

IMP_UID = "imp_victim_1"
INJECTIONS = (
    "\r\nX-Injected: 1", "\n", "\r", "\x00", "\t", " HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "%0d%0aX: 1", "%2f", "%00",
    "/../users/getToken", "/..", "?a=1", "#a", ";a", "@elsewhere", "\\", "{a,b}", "[1-3]", "\u202e", "\ufeff", "é",
    "ｉｍｐ", "😀", "'", '"', "$where", "${jndi:ldap://elsewhere}", "<script>", "' OR 1=1", "%s%n", "\x1b[2J", " ",
)  # fmt: skip
JSON_ODDITIES = (
    "null", "true", "1", "-1e999", "1e400", "9223372036854775808", '""', "[]", "{}", '["imp_1"]', '{"$ne": null}',
    '{"imp_uid": "imp_1"}', "NaN", "Infinity", "0x10", "'imp_1'", '"\\ud800"', '"\\u0000"', '"imp_1\\u000d"',
)  # fmt: skip
BYTES = (b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xfe\xff", b"\x1f\x8b\x08")


def hostile_imp_uid(dice):
    """A text that must never be taken for an imp_uid."""
    if dice.random() < 0.2:
        return "i" * dice.choice((65, 66, 100, 1000, 10_000))
    at, bad = dice.randrange(len(IMP_UID) + 1), dice.choice(INJECTIONS)
    return IMP_UID[:at] + bad + IMP_UID[at:]


def broken(dice, text):
    """JSON that is none any more: a byte too few, too many, or of the wrong kind."""
    at = dice.randrange(1, len(text))
    return dice.choice(
        (
            lambda: text[:at],
            lambda: text + b"}" + text[:at],
            lambda: text[:at] + dice.choice(BYTES) + text[at:],
            lambda: text.replace(b'"', b"'"),
            lambda: text.replace(b":", b"=", 1),
            lambda: b"[" * 3000 + text,
            lambda: text.replace(b"{", b'{"imp_uid": "imp_other", ', 1),
        )
    )()


RECORDS = {
    "imp_uid that would be another request": lambda dice: json.dumps({"imp_uid": hostile_imp_uid(dice)}).encode(),
    "imp_uid of another kind": lambda dice: b'{"imp_uid": %s}' % dice.choice(JSON_ODDITIES).encode(),
    "another shape": lambda dice: dice.choice([odd for odd in JSON_ODDITIES if "imp_uid" not in odd]).encode(),
    "broken JSON": lambda dice: broken(dice, json.dumps({"imp_uid": IMP_UID, "a": [1, {"b": "c"}]}).encode()),
    "an imp_uid given twice": lambda dice: b'{"imp_uid": "%s", %s"imp_uid": "imp_%d"}'
    % (IMP_UID.encode(), b" " * dice.randrange(9), dice.randrange(1 << 30)),
    "no imp_uid": lambda dice: json.dumps({"IMP_UID": IMP_UID, "imp-uid": IMP_UID, "n": dice.random()}).encode(),
    "deep nesting": lambda dice: b'{"imp_uid": ' + b"[" * dice.randrange(3000, 20_000),
    "noise": lambda dice: dice.randbytes(dice.randrange(1, 400)),
    "null": lambda dice: None,
    "nothing": lambda dice: b"",
}
FORGED = (
    "impcert.reason", "impcert.error", "impcert.attempts", "impcert.first_failed_at", "impcert.failed_at",
    "impcert.not_before", "impcert.origin", "impcert.topic", "impcert.http_status", "impcert.replay_count",
    "impcert.replay_history", "impcert.replayed_at", "traceparent", "tracestate", "", "x" * 300,
)  # fmt: skip
FORGERIES = (
    b"", None, b"-1", b"0", b"2147483648", b"9223372036854775808", b"9" * 400, b"9999-12-31T23:59:59.999Z", b"\x00",
    b"\xff\xfe", b"not_found", b"no such reason", b"a/b/c/d", b"certifications/-1/-1", b"[" * 2000, b"{}", b"x" * 5000,
    b"00-00000000000000000000000000000000-0000000000000000-00", b"%s%n", b"\r\nX: 1",
)  # fmt: skip


def forged_headers(dice):
    """Headers as ours are, from somebody who is not us."""
    return [(dice.choice(FORGED), dice.choice(FORGERIES)) for _ in range(dice.randrange(12))]


def hostile_records(count, seed):
    """(kind, (key, value, headers)), each kind as often as the others."""
    dice, kinds = random.Random(seed), list(RECORDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        key = dice.choice((None, b"", IMP_UID.encode(), dice.randbytes(20), b"k" * 2000))
        yield kind, (key, RECORDS[kind](dice), forged_headers(dice))


def request(path="/certifications", method="POST", headers=(), body=b"", length=None, version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: gateway", *headers]
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


JSON_TYPE = "Content-Type: application/json"
GOOD = json.dumps({"imp_uid": IMP_UID}).encode()
REQUESTS = {
    "a hostile body": lambda dice: request(
        headers=[JSON_TYPE], body=RECORDS[dice.choice([k for k in RECORDS if k not in ("null", "nothing")])](dice)
    ),
    "a hostile form": lambda dice: request(
        headers=["Content-Type: application/x-www-form-urlencoded"],
        body=dice.choice((b"imp_uid=", b"imp_uid=%", b"imp_uid=%0", b"imp_uid=%zz", b"imp_uid=%00", b"IMP_UID=imp_1", b"&&&=", b"imp_uid=a&imp_uid=b", b"imp_uid=imp%0d%0aX", b"=imp_1", b"imp_uid[]=imp_1"))
        + dice.choice((b"", b"&a=%ff", b"&b=")),
    ),
    "another length than the body's": lambda dice: request(
        headers=[JSON_TYPE], body=GOOD, length=dice.choice(("-1", "1e3", "0x10", "", "99999999999999999999", "+5", "5,5", "5 5"))
    ),
    "two framings": lambda dice: request(
        headers=[JSON_TYPE, dice.choice(("Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Content-Length: 3"))],
        body=GOOD,
        length=dice.choice((4, 5, 0)),
    ),
    "a body that is too large": lambda dice: request(headers=[JSON_TYPE], body=b" " * dice.randrange(16_385, 40_000)),
    "another path": lambda dice: request(path=dice.choice(("/", "//certifications", "/certifications/", "/certifications/..", "/CERTIFICATIONS", "/%63ertifications/x", "/../../etc/passwd", "/users/getToken", "/_control/faults", "*", "http://elsewhere/")), headers=[JSON_TYPE], body=GOOD),
    "another method": lambda dice: request(method=dice.choice(("PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "X" * 50, "get", "PROPFIND")), headers=[JSON_TYPE], body=GOOD),
    "another type": lambda dice: request(headers=[f"Content-Type: {dice.choice(('text/xml', 'multipart/form-data; boundary=x', 'application/jsonx', 'application', '', 'text/html', 'application/x-java-serialized-object'))}"], body=GOOD),
    "a token that is none": lambda dice: request(headers=[JSON_TYPE, f"Authorization: {dice.choice(('Bearer ', 'Bearer null', 'Basic YTpi', 'Bearer ' + 'x' * 3000, 'bearer  wrong-token-of-the-shop', 'Bearer a b', ''))}"], body=GOOD),
    "noise": lambda dice: dice.randbytes(dice.randrange(1, 600)) + b"\r\n\r\n",
}  # fmt: skip


def hostile_requests(count, seed):
    """(kind, bytes) to be sent on a connection."""
    dice, kinds = random.Random(seed), list(REQUESTS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield kind, REQUESTS[kind](dice)


def certification(imp_uid):
    return {
        "imp_uid": imp_uid, "certified": True, "certified_at": 1_700_000_000, "unique_key": "the-unique-key",
        "unique_in_site": "site", "name": "planted-name", "phone": "01098765432", "birthday": "1999-09-19",
    }  # fmt: skip


def answer(response, code=0):
    return json.dumps({"code": code, "message": None, "response": response}).encode()


def with_member(imp_uid, name, value):
    return answer(certification(imp_uid) | {name: value})


ODD_VALUES = (None, "", 0, 1, -1, 1.5, "true", "false", False, [], {}, ["x"], {"$ne": 1}, "x" * 5000, "a\u0000b")


def odd_json_member(dice, imp_uid):
    """The answer is right but for the text of one value, which is no JSON or not what it was."""
    text, name = answer(certification(imp_uid)), dice.choice(("certified", "unique_key", "imp_uid", "code"))
    own = json.dumps(certification(imp_uid).get(name, 0)).encode()
    return text.replace(b'"%s": %s' % (name.encode(), own), b'"%s": %s' % (name.encode(), dice.choice((b"tru", b"True", b"1.", b"'x'", b"nul", b"", b"[", b'"\xff"', b'"\\ud800"', b"--1"))))


ANSWERS = {
    "another imp_uid": lambda dice, own: with_member(own, "imp_uid", dice.choice((own + "x", own[:-1], "imp_other", own.upper(), *ODD_VALUES))),
    "certified that is not true": lambda dice, own: with_member(own, "certified", dice.choice([v for v in ODD_VALUES])),
    "unique_key that is none": lambda dice, own: with_member(own, "unique_key", dice.choice((None, "", 0, 1, False, True, [], {}, 1.5))),
    "another code": lambda dice, own: answer(certification(own), dice.choice((-1, 1, "0", None, 0.0, True, [], 2**63))),
    "another shape": lambda dice, own: answer(dice.choice((None, [], "x", 1, [certification(own)], {"response": certification(own)}))),
    "members given twice": lambda dice, own: answer(certification(own)).replace(b'"certified": true', dice.choice((b'"certified": true, "certified": false', b'"certified": false, "certified": true'))),
    "broken JSON": lambda dice, own: (lambda text: dice.choice((text[: dice.randrange(len(text))], text + b"x", b"[" * 5000 + text, text.replace(b"}", b"]", 1))))(answer(certification(own))),
    "a value that is no JSON": odd_json_member,
    "a page": lambda dice, own: b"<html>" + answer(certification(own)) + b"</html>",
    "noise": lambda dice, own: dice.randbytes(dice.randrange(1, 2000)),
}  # fmt: skip


class HostileService:
    """Iamport in the wrong hands: hostile_service(path) is the answer to a question; good_ ones are answered right."""

    def __init__(self, seed):
        self._seed, self.kinds = seed, {}

    def __call__(self, path):
        own = path.rpartition("/")[2]
        if own.startswith("good"):
            return 200, {}, answer(certification(own))
        number = int(own.rpartition("_")[2])
        kind = list(ANSWERS)[number % len(ANSWERS)]
        self.kinds[own] = kind
        return 200, {}, ANSWERS[kind](random.Random(f"{self._seed}/{number}"), own)
