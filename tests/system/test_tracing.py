"""An event's trace context is on every record made from it and on every log line about it, and goes to nobody outside."""

import pytest

from support.flow import event
from support.recorder import Recorder

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
STATE = "shop=00f067aa0ba902b7"
CONTEXT = [("traceparent", PARENT.encode()), ("tracestate", STATE.encode())]
EVENT_LINES = ("try failed", "deferred", "dead letter", "stored")
SETTINGS = {"IMPCERT_LOG_LEVEL": "debug", "IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "10ms", "IMPCERT_WORKERS": 1}


def context_of(record):
    return [header for header in record.headers if header[0].startswith("trace")]


def lines_about(worker, imp_uid):
    return [line for line in worker.log(imp_uid=imp_uid) if line["message"] in EVENT_LINES]


@pytest.fixture
def recorder(simulator):
    with Recorder(simulator.url) as recorder:
        yield recorder


def test_a_trace_reaches_every_line_and_record_and_not_iamport(
    flow, names, stack, gateway, worker, recorder, replay
):
    front = gateway().wait_until_ready()
    for imp_uid in ("imp_1", "missing_1"):
        assert front.post(imp_uid, {"traceparent": PARENT, "tracestate": STATE}).status == 202
    one = worker(IAMPORT_URL=recorder.url, IMPCERT_RETRY_DELAYS="1s", **SETTINGS)
    one.wait_for_log("dead letter", imp_uid="missing_1")
    one.wait_for_log("stored", imp_uid="imp_1")
    for imp_uid in ("imp_1", "missing_1"):
        lines = lines_about(one, imp_uid)
        assert {line.get("trace_id") for line in lines} == {TRACE}, lines
        assert all({"topic", "partition", "offset"} <= line.keys() for line in lines), lines
    assert {line["message"] for line in lines_about(one, "missing_1")} == {"try failed", "deferred", "dead letter"}
    flow.wait_until_done(one)
    assert one.stop() == 0
    assert replay("run").returncode == 0
    made = [
        *names.records(),
        *stack.kafka.records(names.retry_topic("1s")),
        *(record for record in names.dead_letters() if record.value is not None),
    ]
    assert len(made) == 2 + 1 + 1 + 1, "events, a replay, a retry, a dead letter"
    assert all(context_of(record) == CONTEXT for record in made), made
    assert recorder.sent.count(b"GET /certifications/") >= 2, "nothing was recorded: the test shows nothing"
    sent = recorder.sent.lower()
    assert b"trace" not in sent and TRACE.encode() not in sent and STATE.encode() not in sent


@pytest.mark.parametrize("headers", [[], [("traceparent", b"00-secret-token-01")], [("traceparent", None)]])
def test_lines_about_an_event_without_a_valid_trace_have_none(flow, simulator, worker, headers):
    flow.publish([(*event("missing_1"), headers)])
    one = worker(simulator, **SETTINGS)
    line = one.wait_for_log("dead letter", imp_uid="missing_1")
    assert "trace_id" not in line
    assert not any("secret-token" in text for text in one.stderr)
