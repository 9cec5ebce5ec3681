"""What workers of a round are set to, in one place."""

# Empty: no retry topics.
RETRY_DELAYS = "1s,2s"

ATTEMPTS = 3
WORKERS = {
    "IMPCERT_IN_FLIGHT": 64,
    "IMPCERT_ATTEMPTS": ATTEMPTS,
    "IMPCERT_BACKOFF": "50ms",
    "IMPCERT_BACKOFF_MAX": "500ms",
    "IMPCERT_TIMEOUT": "2s",
    "IMPCERT_DRAIN_TIMEOUT": "5s",
    "IMPCERT_RETRY_DELAYS": RETRY_DELAYS,
}

# A killed worker's partitions are dealt out again within seconds, and one that is frozen for 4 s keeps its own.
PROPERTIES = ("session.timeout.ms=6000", "heartbeat.interval.ms=500")

PARTITIONS = 6


def retry_topics(topic):
    """From the shortest delay to the longest, the way an event takes."""
    return [f"{topic}.retry.{delay}" for delay in RETRY_DELAYS.split(",") if delay]
