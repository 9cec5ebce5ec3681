"""What the metrics tell of a worker on the real servers: right in quiet times, and in each kind of trouble."""

import pytest

from support import wait_for
from support.flow import imp_uids

SETTINGS = {"IMPCERT_WORKERS": 1, "IMPCERT_ATTEMPTS": 2, "IMPCERT_BACKOFF": "20ms"}


def wait_for_metric(worker, sample, wanted, deadline=30):
    """Until the sample is as `wanted`, a number or a condition."""
    fits = wanted if callable(wanted) else lambda value: value == wanted
    wait_for(lambda: fits(worker.metrics().get(sample, -1)), deadline, f"{sample} of {worker}")


def partition(name, topic, number):
    return f'impcert_partition_{name}{{topic="{topic}",partition="{number}"}}'


@pytest.mark.parametrize("flow", [2], indirect=True)
def test_events_are_counted_on_their_whole_way(flow, names, simulator, worker):
    flow.publish(imp_uids(200) + ["missing_1", "error_1"])
    one = worker(simulator, **SETTINGS)
    flow.wait_until_done(one)
    numbers = one.metrics()
    assert numbers["impcert_events_stored_total"] == 200
    assert numbers["impcert_event_stored_seconds_count"] == 200
    assert 0 < numbers["impcert_event_stored_seconds_sum"] / 200 < 60
    assert numbers['impcert_http_seconds_count{status="2xx"}'] == 200
    assert numbers['impcert_http_seconds_count{status="4xx"}'] == 1
    assert numbers['impcert_http_seconds_count{status="5xx"}'] == 2
    assert numbers["impcert_event_attempts_count"] == 202
    assert numbers["impcert_event_attempts_sum"] == 200 + 1 + 2
    assert numbers["impcert_store_batch_documents_sum"] == 200
    assert numbers["impcert_store_batch_documents_count"] == numbers["impcert_store_batches_total"]
    assert 3600 > numbers["impcert_token_remaining_seconds"] > 0
    assert numbers["impcert_key_pair_refused"] == 0
    assert (numbers["impcert_workers"], numbers["impcert_in_flight_limit"]) == (1, 1024)
    assert numbers["impcert_ready"] == 1
    for number in range(2):
        wait_for_metric(one, partition("lag", names.topic, number), 0)
        assert one.metrics()[partition("oldest_seconds", names.topic, number)] == 0


def test_kafka_is_watched(flow, stack, simulator, worker):
    flow.publish(imp_uids(10))
    one = worker(simulator, IMPCERT_RETRY_DELAYS="30s", **SETTINGS)
    flow.wait_until_done(one)
    for client in ("consumer", "retry", "producer"):
        broker = f'{{client="{client}",broker="{stack.kafka.brokers}"}}'
        wait_for_metric(one, f"impcert_kafka_broker_up{broker}", 1)
        wait_for_metric(one, f'impcert_kafka_received_bytes_total{{client="{client}"}}', lambda value: value > 0)
    consumer = f'{{client="consumer",broker="{stack.kafka.brokers}"}}'
    wait_for_metric(one, f"impcert_kafka_round_trip_seconds{consumer}", lambda value: value > 0)


@pytest.mark.parametrize("flow", [1], indirect=True)
def test_a_stuck_event_is_seen_by_its_partition(flow, names, simulator, worker):
    """One that never ends holds its partition back, however many behind it are done."""
    simulator.faults([{"kind": "hang", "match": "imp_000000000000"}])
    flow.publish(imp_uids(30))
    one = worker(simulator, **SETTINGS, IMPCERT_TIMEOUT="60s", IMPCERT_DRAIN_TIMEOUT="1s")
    wait_for_metric(one, "impcert_events_stored_total", 29)
    wait_for_metric(one, partition("lag", names.topic, 0), 30)
    wait_for_metric(one, partition("oldest_seconds", names.topic, 0), lambda value: value > 2)


def test_an_open_circuit_shows(flow, simulator, worker):
    simulator.faults([{"kind": "unavailable"}])
    flow.publish(imp_uids(100))
    one = worker(simulator, **SETTINGS)
    wait_for_metric(one, "impcert_circuit_open", 1)
    wait_for_metric(one, 'impcert_part_ready{part="circuit"}', 0)
    assert one.metrics()["impcert_ready"] == 0
    simulator.faults([])
    wait_for_metric(one, "impcert_circuit_open", 0)
    wait_for_metric(one, "impcert_ready", 1)


def test_a_refused_key_pair_shows(flow, simulator, worker):
    simulator.faults([{"kind": "key_refused", "path": "token"}])
    one = worker(simulator, **SETTINGS)
    wait_for_metric(one, "impcert_key_pair_refused", 1)
    assert one.metrics()["impcert_token_remaining_seconds"] == 0
    assert one.metrics()['impcert_part_ready{part="iamport"}'] == 0
    simulator.faults([])
    wait_for_metric(one, "impcert_key_pair_refused", 0)
    wait_for_metric(one, "impcert_token_remaining_seconds", lambda value: value > 0)


def test_a_retried_event_counts_from_its_first_failure(flow, names, simulator, worker):
    simulator.faults([{"kind": "missing", "match": "imp_late", "total": 1}])
    flow.publish(["imp_late"])
    one = worker(simulator, IMPCERT_RETRY_DELAYS="2s", **SETTINGS)
    wait_for_metric(one, "impcert_event_stored_seconds_count", 1)
    assert 2 <= one.metrics()["impcert_event_stored_seconds_sum"] < 30
    wait_for_metric(one, partition("lag", names.retry_topic("2s"), 0), lambda value: value >= 0)
    assert set(names.documents()) == {"imp_late"}


def test_the_gateway_tells_whether_it_is_ready(flow, gateway):
    front = gateway().wait_until_ready()
    assert front.metrics()["impcert_ready"] == 1
    assert front.metrics()['impcert_part_ready{part="kafka"}'] == 1
