"""Names that no other test has, for topics, consumer groups and databases."""

import uuid

from confluent_kafka import KafkaError, KafkaException

NO_GROUP_YET = (
    KafkaError.GROUP_ID_NOT_FOUND,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
)


class Names:
    def __init__(self, stack):
        unique = uuid.uuid4().hex[:10]
        self._stack = stack
        self.topic = f"certifications-{unique}"
        self.dlq = f"{self.topic}.dlq"
        self.group = f"impcert-{unique}"
        self.retry_group = f"{self.group}.retry"
        self.database = f"impcert_{unique}"
        self.collection = "certifications"

    def retry_topic(self, delay):
        return f"{self.topic}.retry.{delay}"

    def group_of(self, topic):
        return self.group if topic == self.topic else self.retry_group

    def create_topics(self, partitions=6):
        """The main topic and its DLQ; a worker makes its retry topics."""
        for topic in (self.topic, self.dlq):
            self._stack.kafka.create_topic(topic, partitions)

    def settings(self):
        """The settings of our programs that carry these names."""
        return {
            "IMPCERT_KAFKA_BROKERS": self._stack.kafka.brokers,
            "IMPCERT_TOPIC": self.topic,
            "IMPCERT_GROUP": self.group,
            "MONGODB_URI": self._stack.mongodb.uri,
            "MONGODB_DATABASE": self.database,
            "MONGODB_COLLECTION": self.collection,
        }

    def publish_settings(self):
        """Those of them that impcert-publish has."""
        return {name: self.settings()[name] for name in ("IMPCERT_KAFKA_BROKERS", "IMPCERT_TOPIC")}

    def documents(self):
        """{imp_uid: document} as it stands in MongoDB."""
        with self._stack.mongodb.client() as client:
            return {document["_id"]: document for document in client[self.database][self.collection].find()}

    def records(self):
        return self._stack.kafka.records(self.topic)

    def dead_letters(self):
        return self._stack.kafka.records(self.dlq)

    def lag(self):
        return self._stack.kafka.lag(self.group, self.topic)

    def shares(self, group):
        """How many partitions each member of the group has, once nobody is joining any more; before, None."""
        [future] = self._stack.kafka.admin.describe_consumer_groups([group]).values()
        try:
            description = future.result(30)
        except KafkaException as failure:
            if failure.args[0].code() not in NO_GROUP_YET:
                raise
            return None
        if description.state.name != "STABLE":
            return None
        return [len(member.assignment.topic_partitions) for member in description.members]

    def clean_up(self):
        kafka = self._stack.kafka
        kafka.delete_topics([topic for topic in kafka.topics() if topic.startswith(self.topic)])
        for group in (self.group, self.retry_group):
            try:
                kafka.delete_group(group)
            except KafkaException:
                pass  # never used, or a killed member's session is not over yet
        with self._stack.mongodb.client() as client:
            client.drop_database(self.database)
