"""/readyz says which part is away and why, /healthz stays 200, and whatever comes up later is taken up."""

import json
import re
import socket
import time

from stack import ports
from support import wait_for
from support.flow import assert_documents, event, imp_uids


def readiness(worker):
    """(status, reasons)"""
    status, text = worker.get("/readyz")
    page = json.loads(text)
    assert page["ready"] == (status == 200)
    assert page["ready"] == (not page["reasons"])
    return status, page["reasons"]


def wait_for_reason(worker, part, text, deadline=30):
    """Until `part` is the only one that is not ready, for a reason that holds `text`.

    Without Kafka, or without the main topic, the other topics are not known either."""
    beside = {"topics"} if part == "kafka" else set()

    def told():
        status, reasons = readiness(worker)
        assert worker.alive(), "liveness depends on no server"
        return status == 503 and set(reasons) - beside == {part} and text in reasons[part]

    wait_for(told, deadline, f"{part} alone not to be ready because of {text!r}")
    assert worker.wait_for_log("not ready", part=part)


def test_a_ready_worker_says_so(flow, simulator, worker):
    one = worker(simulator).wait_until_ready()
    assert readiness(one) == (200, {})
    assert one.get("/healthz") == (200, "alive\n")


def test_a_broker_that_comes_later(flow, names, stack, simulator, worker):
    flow.publish(imp_uids(50))
    stack.kafka.stop()
    try:
        one = worker(simulator)
        wait_for_reason(one, "kafka", stack.kafka.brokers)
    finally:
        stack.kafka.start()
    flow.wait_until_done(one)
    one.wait_until_ready()
    assert_documents(simulator, names.documents(), imp_uids(50))


def test_a_mongodb_that_comes_later(flow, names, stack, simulator, worker):
    flow.publish(imp_uids(50))
    stack.mongodb.stop()
    try:
        one = worker(simulator)
        wait_for_reason(one, "mongodb", stack.mongodb.address)
    finally:
        stack.mongodb.start()
    flow.wait_until_done(one)
    one.wait_until_ready()
    assert_documents(simulator, names.documents(), imp_uids(50))


def test_an_iamport_that_comes_later(flow, names, simulator_factory, worker, tmp_path):
    flow.publish(imp_uids(50))
    [port] = ports.claim(tmp_path, 1)
    try:
        one = worker(IAMPORT_URL=f"http://127.0.0.1:{port}")
        wait_for_reason(one, "iamport", f"127.0.0.1:{port}")
        assert one.metric("impcert_events_consumed_total") == 0, "nothing is consumed without a token"
        simulator = simulator_factory("--listen", f"127.0.0.1:{port}")
        flow.wait_until_done(one)
    finally:
        ports.release(tmp_path)
    one.wait_until_ready()
    assert_documents(simulator, names.documents(), imp_uids(50))


def test_a_topic_that_comes_later(names, stack, simulator, worker, properties):
    quick = properties("topic.metadata.refresh.interval.ms=500")
    one = worker(simulator, IMPCERT_WORKERS=1, **quick)
    wait_for_reason(one, "kafka", names.topic)
    names.create_topics()
    stack.kafka.produce(names.topic, [event(imp_uid) for imp_uid in imp_uids(50)])
    one.wait_until_ready()
    wait_for(lambda: names.lag() == 0, 30, "a group lag of 0")
    assert_documents(simulator, names.documents(), imp_uids(50))


def test_everything_away_is_told_at_once(worker):
    nowhere = "127.0.0.1:1"
    one = worker(
        IMPCERT_KAFKA_BROKERS=nowhere,
        IAMPORT_URL=f"http://{nowhere}",
        MONGODB_URI=f"mongodb://{nowhere}",
        IMPCERT_DRAIN_TIMEOUT="3s",
    )
    named = {"kafka", "iamport", "mongodb"}
    wait_for(lambda: named <= set(readiness(one)[1]) and "not known" not in one.get("/readyz")[1], 30, "all reasons")
    assert readiness(one)[0] == 503
    assert one.alive()
    started = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - started < 5


def test_reasons_are_logged_once_and_not_with_every_try(flow, simulator, worker):
    simulator.faults([{"kind": "status", "status": 503, "path": "token"}])
    one = worker(simulator, IMPCERT_WORKERS=1)
    wait_for(lambda: simulator.counters()["token_requests"] >= 4, 30, "4 token requests")
    assert len(one.log(message="not ready", part="iamport")) == 1


def test_other_paths_are_not_found(simulator, flow, worker):
    one = worker(simulator, IMPCERT_WORKERS=1)
    for path in ("/", "/metrics/x", "/readyz/", "/%2e%2e/etc/passwd"):
        assert one.get(path)[0] == 404, path


def test_the_endpoint_survives_odd_clients(flow, simulator, worker):
    one = worker(simulator, IMPCERT_WORKERS=1).wait_until_ready()
    host, port = one.address.split(":")
    sent = [b"", b"\x00" * 100, b"GET", b"GET /readyz HTTP/1.1\r\n" + b"a: b\r\n" * 100_000, b"POST / HTTP/1.1\r\n\r\n"]
    open_ones = []
    for data in sent:
        client = socket.create_connection((host, int(port)), timeout=10)
        open_ones.append(client)
        try:
            client.sendall(data)
        except OSError:
            pass  # it may hang up on us
    assert one.alive()
    for client in open_ones:
        client.close()
    assert one.ready()


def test_the_metrics_page_is_well_formed(flow, simulator, worker):
    """Each sample belongs to a metric with HELP and TYPE above it, and histograms add up."""
    flow.publish([*imp_uids(100), "refused_1"])
    one = worker(simulator)
    flow.wait_until_done(one)
    lines = one.get("/metrics")[1].splitlines()
    known = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE ")}
    assert set(known) == {line.split()[2] for line in lines if line.startswith("# HELP ")}
    metrics = one.metrics()
    assert len(metrics) == len([line for line in lines if not line.startswith("#")])
    for sample in metrics:
        name = sample.split("{")[0]
        base = next((name.removesuffix(s) for s in ("_bucket", "_sum", "_count") if name.removesuffix(s) in known), name)
        assert base in known, f"{sample} has no TYPE"
        assert name.endswith("_total") == (known[base] == "counter"), sample
    for name in (name for name, kind in known.items() if kind == "histogram"):
        series = {}
        for sample in (sample for sample in metrics if sample.startswith(f"{name}_bucket")):
            labels = re.sub(r',?le="[^"]*"', "", sample.removeprefix(f"{name}_bucket")).replace("{}", "")
            series.setdefault(labels, []).append(metrics[sample])
        assert series, name
        for labels, buckets in series.items():
            assert buckets == sorted(buckets) and buckets[-1] == metrics[f"{name}_count{labels}"], name + labels
    assert one.metric("impcert_events_consumed_total") == 101
    assert one.metric("impcert_events_stored_total") == 100
    assert one.metric("impcert_jobs_in_flight") == 0


def test_an_address_in_use_is_named(simulator, flow, worker):
    one = worker(simulator)
    two = worker(simulator, IMPCERT_HTTP_LISTEN=one.address)
    assert two.wait() == 1
    assert one.address in two.log_tail()


def test_the_endpoint_can_be_off(flow, simulator, worker):
    flow.publish(imp_uids(10))
    one = worker(simulator, IMPCERT_HTTP_LISTEN="off")
    flow.wait_until_done(one)
    assert not one.log(message="endpoint listening")
    flow.assert_ends(documents=imp_uids(10))
