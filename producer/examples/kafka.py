"""kafka.py IMP_UID...: publishes imp_uids with confluent-kafka. Exits with 0 only when all of them are queued."""
import json, os, re, sys
from confluent_kafka import Producer

TOPIC = os.environ.get("IMPCERT_TOPIC", "certifications")
producer = Producer({"bootstrap.servers": os.environ["IMPCERT_KAFKA_BROKERS"], "message.timeout.ms": 5000,
    "acks": "all",
    "partitioner": "murmur2_random"})  # as in Java and in impcert: one imp_uid, one partition

def publish(imp_uid):
    """None once all in-sync replicas have it, otherwise why not. To publish it again does no harm."""
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", imp_uid):
        return f"{imp_uid!r} is not an imp_uid"
    ends = []
    producer.produce(TOPIC, json.dumps({"imp_uid": imp_uid}), imp_uid, on_delivery=lambda *end: ends.append(end))
    producer.flush()
    return ends[0][0]

sys.exit("\n".join(f"{imp_uid}: {why}" for imp_uid in sys.argv[1:] if (why := publish(imp_uid))) or None)
