"""A real single-node Kafka and a real MongoDB replica set, for tests and the demo.

    with Stack() as stack:
        stack.kafka.create_topic("certifications", partitions=6)
        subprocess.run(command, env=os.environ | stack.environment())

Servers listen on 127.0.0.1, on ports and in a directory of their own. Whatever ends the owner of a Stack,
kill -9 included, ends the servers too.
"""

from .errors import StackError
from .instance import Stack
from .keeper import Keeper
from .waiting import wait_for

__all__ = ["Keeper", "Stack", "StackError", "wait_for"]
