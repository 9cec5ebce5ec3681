"""How many replicas a ScaledObject comes to: what KEDA's Kafka scaler reports, and what the autoscaler makes of it."""

import math

TOLERANCE = 0.1  # of the autoscaler


class Trigger:
    """One trigger of a ScaledObject; remembers what it saw, as the scaler does from one polling interval to the next."""

    def __init__(self, metadata):
        self.topic, self.group = metadata["topic"], metadata["consumerGroup"]
        self.threshold = int(metadata["lagThreshold"])
        assert metadata["offsetResetPolicy"] == "earliest"
        assert "allowIdleConsumers" not in metadata
        self._excludes_persistent = metadata["excludePersistentLag"] == "true"
        self._limits_to_partitions = metadata["limitToPartitionsWithLag"] == "true"
        self._seen = {}

    def lag(self, committed, ends):
        """The metric; committed: {partition: offset, or None}, ends: {partition: offset}."""
        lags = [self._of_partition(partition, committed[partition], end) for partition, end in ends.items()]
        most = sum(lag > 0 for lag in lags) if self._limits_to_partitions else len(lags)
        return min(sum(lags), most * self.threshold) if sum(lags) // self.threshold > most else sum(lags)

    def _of_partition(self, partition, offset, end):
        if offset is None:
            return end
        stands = self._excludes_persistent and self._seen.get(partition) == offset
        self._seen[partition] = offset
        return 0 if stands else end - offset


def replicas(scaled_object, lag, threshold):
    """What the autoscaler settles on, from minReplicaCount on; its steps' size and pace left aside."""
    least, most = scaled_object["minReplicaCount"], scaled_object["maxReplicaCount"]
    now = least
    while abs(lag / (threshold * now) - 1) > TOLERANCE:
        wanted = min(max(math.ceil(lag / threshold), least), most)
        if wanted == now:
            break
        now = wanted
    return now
