"""One Kafka broker that is its own controller (KRaft), and what tests ask a broker for."""

import base64
import os
import shutil
import subprocess
from collections import namedtuple

from . import cache
from .errors import StackError
from .server import Foreign, Server
from .waiting import wait_for

VERSION = "4.1.0"
DEADLINE = 30
MAVEN = ["mvn", "-q", "-B", "-f", str(cache.PINS / "kafka.pom.xml"), "dependency:copy-dependencies"]
# A broker of tests lives for seconds: start quickly, stay small.
JAVA_OPTIONS = ["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
log.dirs={data}

auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# After kill -9 the controller takes the broker back only once its old session is over.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000

num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
"""

Record = namedtuple("Record", "partition offset key value headers")


class Clients:
    """What tests do through a broker; needs only `brokers`."""

    name = "kafka"

    _admin = (None, None)  # brokers, their client

    @property
    def admin(self):
        from confluent_kafka.admin import AdminClient

        if self._admin[0] != self.brokers:
            self._admin = (self.brokers, AdminClient(self._settings()))
        return self._admin[1]

    def consumer(self, **settings):
        from confluent_kafka import Consumer

        return Consumer(
            self._settings() | {"group.id": "stack-reader", "enable.auto.commit": False} | settings
        )

    def producer(self, **settings):
        from confluent_kafka import Producer

        # Backends publish events one by one; a consumer gets a batch whole, and has to work it off before the
        # next partition's turn.
        return Producer(self._settings() | {"acks": "all", "linger.ms": 5, "batch.num.messages": 200} | settings)

    def create_topic(self, name, partitions=1, config=None):
        """Creates the topic and waits until the broker leads all its partitions."""
        from confluent_kafka.admin import NewTopic

        topic = NewTopic(name, partitions, replication_factor=1, config=config or {})
        self.admin.create_topics([topic])[name].result(DEADLINE)

        def led():
            found = self.admin.list_topics(name, timeout=10).topics[name].partitions
            return len(found) == partitions and all(p.leader >= 0 for p in found.values())

        wait_for(led, DEADLINE, f"leaders of topic {name}", error=StackError)

    def topics(self):
        return sorted(self.admin.list_topics(timeout=10).topics)

    def delete_topics(self, names):
        for future in self.admin.delete_topics(list(names)).values() if names else ():
            future.result(DEADLINE)

    def delete_group(self, group):
        for future in self.admin.delete_consumer_groups([group]).values():
            future.result(DEADLINE)

    def produce(self, topic, records, **settings):
        """Publishes (key, value) or (key, value, headers) and returns once all are acknowledged."""
        failed = []
        producer = self.producer(**settings)
        for key, value, *headers in records:
            while True:
                try:
                    producer.produce(
                        topic,
                        key=key,
                        value=value,
                        headers=headers[0] if headers else None,
                        on_delivery=lambda error, _: failed.append(error) if error else None,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        if producer.flush(60) or failed:
            raise StackError(f"not every record was acknowledged: {failed[:3]}")

    def records(self, topic):
        """Every record that the topic holds now, as Record, by partition and offset."""
        from confluent_kafka import KafkaError, TopicPartition

        consumer = self.consumer(**{"enable.partition.eof": True, "fetch.wait.max.ms": 5})
        try:
            partitions = self._partitions(topic)
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            found, ended = [], set()
            while len(ended) < len(partitions):
                for message in consumer.consume(1000, timeout=0.1):
                    if message.error() is None:
                        found.append(_record(message))
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        ended.add(message.partition())
                    else:
                        raise StackError(f"cannot read {topic}: {message.error()}")
            return sorted(found, key=lambda record: record[:2])
        finally:
            consumer.close()

    def end_offsets(self, topic):
        """{partition: offset of the next record to be written}"""
        from confluent_kafka import TopicPartition
        from confluent_kafka.admin import OffsetSpec

        asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in self._partitions(topic)}
        return {tp.partition: f.result(DEADLINE).offset for tp, f in self.admin.list_offsets(asked).items()}

    def committed(self, group, topic):
        """{partition: committed offset}, with 0 where nothing is committed."""
        return {partition: max(offset, 0) for partition, offset in self._committed(group, topic, lambda tp: tp.offset)}

    def commits(self, group, topic):
        """{partition: committed offset}, with None where nothing is committed."""
        found = self._committed(group, topic, lambda tp: tp.offset)
        return {partition: offset if offset >= 0 else None for partition, offset in found}

    def metadata(self, group, topic):
        """{partition: metadata of the commit}, with an empty text where nothing is committed; see _patiently for what
        may be behind it."""
        return dict(self._committed(group, topic, lambda tp: tp.metadata or ""))

    def _committed(self, group, topic, wanted):
        """[(partition, wanted(of its commit))]"""
        from confluent_kafka import TopicPartition

        # A consumer that never joins: an AdminClient asking a broker that is not yet the coordinator crashes.
        consumer = self.consumer(**{"group.id": group})
        try:
            asked = [TopicPartition(topic, p) for p in self._partitions(topic)]
            return _patiently(
                lambda: [(tp.partition, wanted(tp)) for tp in consumer.committed(asked, timeout=DEADLINE)]
            )
        finally:
            consumer.close()

    def lag(self, group, topic):
        """Records of the topic that the group has not committed."""
        committed = self.committed(group, topic)
        return sum(end - committed[partition] for partition, end in self.end_offsets(topic).items())

    def _partitions(self, topic):
        found = self.admin.list_topics(topic, timeout=10).topics[topic]
        if found.error:
            raise StackError(f"topic {topic}: {found.error.str()}")
        return list(found.partitions)

    def _settings(self):
        # Quiet: a broker that a test has taken away is no news.
        return {"bootstrap.servers": self.brokers, "reconnect.backoff.max.ms": 500, "log_level": 0}


class Kafka(Clients, Server):
    port_count = 2  # clients, controller

    @property
    def brokers(self):
        return self.address

    @property
    def _data(self):
        return self.directory / "kafka"

    @property
    def _properties(self):
        return self.directory / "kafka.properties"

    def properties(self):
        broker, controller = self.ports[:2]
        return PROPERTIES.format(broker=broker, controller=controller, data=self._data)

    def format_options(self):
        """More options of `kafka-storage format`, which makes the storage."""
        return ()

    def command(self):
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def prepare(self):
        if not shutil.which("java"):
            raise StackError("java is needed to run Kafka: deploy/local/install")
        self._properties.write_text(self.properties())
        if not (self._data / "meta.properties").exists():
            self._format()

    def ready(self):
        """True once this very broker (by its cluster id) is registered and lists its topics."""
        from confluent_kafka import KafkaException

        try:
            metadata = self.admin.list_topics(timeout=0.5)
        except KafkaException:
            # A client that has met a broker in the middle of its start may never understand it again.
            self._admin = (None, None)
            return False
        return metadata.cluster_id == self._cluster_id() and bool(metadata.brokers)

    def _format(self):
        tool = ["kafka.tools.StorageTool", "format", "-c", str(self._properties), "-t", _new_cluster_id()]
        tool += self.format_options()
        result = subprocess.run(
            [*self._java(), *tool], stdin=subprocess.DEVNULL, capture_output=True, cwd=self.directory
        )
        if result.returncode != 0:
            raise StackError(
                f"cannot format Kafka's storage: {(result.stderr + result.stdout).decode()[-2000:]}"
            )

    def _cluster_id(self):
        lines = (self._data / "meta.properties").read_text().splitlines()
        return next(line.split("=", 1)[1] for line in lines if line.startswith("cluster.id="))

    def _java(self):
        jars = cache.entry(f"kafka-{VERSION}", cache.PINS / "kafka.sha256", _fetch)
        logging_options = ["defaultLogLevel=warn", "showDateTime=true", "dateTimeFormat=HH:mm:ss.SSS"]
        log = [f"-Dorg.slf4j.simpleLogger.{option}" for option in logging_options]
        options = os.environ.get("STACK_JAVA_OPTIONS", "").split() or JAVA_OPTIONS
        return ["java", *options, *log, "-cp", f"{jars}/*"]


class ForeignKafka(Foreign, Clients):
    def __init__(self, brokers):
        self.brokers = brokers


def _fetch(directory):
    if not shutil.which("mvn"):
        raise StackError("maven is needed to fetch Kafka: deploy/local/install")
    cache.run([*MAVEN, f"-DoutputDirectory={directory}"])


def _patiently(request):
    """The result of request(), asked again while a broker that has just started loads its groups.

    And where the client reads on behind the end of a commit's metadata: librdkafka does not close the copy with a
    NUL, and confluent_kafka looks for one. What stands there differs from one time to the next.
    """
    from confluent_kafka import KafkaError, KafkaException

    passing = (
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    )

    def answer():
        try:
            return request()
        except KafkaException as failure:
            if failure.args[0].code() not in passing:
                raise
            return None
        except UnicodeDecodeError:
            return None

    return wait_for(answer, DEADLINE, "the broker to have loaded its groups", error=StackError)


def _new_cluster_id():
    return base64.urlsafe_b64encode(b"\x01" + os.urandom(15)).decode().rstrip("=")


def _record(message):
    return Record(
        message.partition(), message.offset(), message.key(), message.value(), message.headers() or []
    )
