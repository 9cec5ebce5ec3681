"""One mongod as a replica set of one, so that majority writes and transactions work as in production."""

import os
import shutil

from . import cache
from .errors import StackError
from .server import Foreign, Server

VERSION = "6.0.5"
REPLICA_SET = "stack"


class Clients:
    """What tests do through MongoDB; needs only `uri`."""

    name = "mongodb"

    def client(self, **settings):
        """A pymongo client; the caller closes it."""
        from pymongo import MongoClient

        return MongoClient(self.uri, tz_aware=True, **settings)


class MongoDB(Clients, Server):
    @property
    def uri(self):
        return f"mongodb://{self.address}/?replicaSet={REPLICA_SET}"

    @property
    def _data(self):
        return self.directory / "mongodb"

    def command(self):
        return [
            *[_mongod(), "--dbpath", str(self._data), "--replSet", REPLICA_SET],
            *["--bind_ip", "127.0.0.1", "--port", str(self.ports[0]), "--nounixsocket"],
            *["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256", "--quiet"],
            *["--setParameter", "diagnosticDataCollectionEnabled=false"],
        ]

    def prepare(self):
        self._data.mkdir(exist_ok=True)

    def ready(self):
        """True once our own process is the writable primary; makes the replica set at the first start."""
        from pymongo import MongoClient
        from pymongo.errors import OperationFailure, PyMongoError

        port = self.ports[0]
        with MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=200) as client:
            try:
                hello = client.admin.command("hello")
                if client.admin.command("serverStatus")["pid"] != self.pid():
                    return False
                if "setName" not in hello:
                    members = [{"_id": 0, "host": self.address}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            except OperationFailure as failure:
                if failure.code != 23:  # AlreadyInitialized: the set is on its way
                    return False
            except PyMongoError:
                return False
            return hello.get("isWritablePrimary", False)


class ForeignMongoDB(Foreign, Clients):
    def __init__(self, uri):
        self.uri = uri


def _mongod():
    """The mongod of the environment, of PATH, or of the pinned wheel, in this order."""
    named = os.environ.get("STACK_MONGOD")
    if named and not shutil.which(named):
        raise StackError(f"STACK_MONGOD: {named} is not a program")
    found = named or shutil.which("mongod")
    if found:
        return found
    return cache.pinned_program("mongodb", VERSION, "/bin/mongod", "name one with STACK_MONGOD")
