"""A MongoDB of a test's own, that asks for a password: who may do what."""

from contextlib import contextmanager

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from stack import Keeper
from stack.mongodb import MongoDB

ROOT = {"username": "root", "password": "hunter1"}
PASSWORD = "hunter2"


class GuardedMongoDB(MongoDB):
    """Its first user is made from this machine, without a password."""

    def __init__(self, directory, options=()):
        super().__init__(directory)
        self._options = options

    def command(self):
        plain = super().command()
        replica = plain.index("--replSet")
        return [*plain[:replica], *plain[replica + 2 :], "--auth", *self._options]

    @property
    def uri(self):
        return f"mongodb://{self.address}/"

    def ready(self):
        with MongoClient(self.uri, serverSelectionTimeoutMS=200) as client:
            try:
                return client.admin.command("ping")["ok"] == 1
            except PyMongoError:
                return False

    def root(self):
        """A client that may do anything; the caller closes it."""
        return MongoClient(self.uri, **ROOT, tz_aware=True)

    def make_user(self, name, *roles):
        """The URI of a new user. Roles as MongoDB has them: {"role": "readWrite", "db": "impcert"}."""
        with self.root() as client:
            client.admin.command("createUser", name, pwd=PASSWORD, roles=list(roles))
        return self.uri.replace("//", f"//{name}:{PASSWORD}@")


@contextmanager
def guarded(directory, options=()):
    directory.mkdir(exist_ok=True)
    with Keeper(directory, remove=True):
        server = GuardedMongoDB(directory, options)
        server.start()
        with MongoClient(server.uri) as client:
            client.admin.command("createUser", ROOT["username"], pwd=ROOT["password"], roles=["root"])
        yield server
