"""What tests know of encrypted documents: master keys, a backend's view, and what lies on MongoDB's disk."""

import base64
import os
from pathlib import Path

from bson import Binary
from pymongo.encryption import ClientEncryption

ENCRYPTED = 6
NAME = "impcert"


def master_key():
    """As `openssl rand -base64 96` prints one, in two or more lines."""
    return base64.encodebytes(os.urandom(96)).decode()


def is_encrypted(value):
    return isinstance(value, Binary) and value.subtype == ENCRYPTED


class Backend:
    """A client with the master key."""

    def __init__(self, client, names, key):
        self.vault = client[names.database]["__keyVault"]
        self._cipher = ClientEncryption(
            {"local": {"key": base64.b64decode(key)}}, self.vault.full_name, client, client.codec_options
        )

    def decrypt(self, document):
        return {
            name: self._cipher.decrypt(value) if is_encrypted(value) else value for name, value in document.items()
        }


def files_of(collection, data):
    """The files of a collection and its indexes in mongod's directory, as its last checkpoint left them."""
    database = collection.database
    database.client.admin.command("fsync")
    found = database.command("collStats", collection.name, indexDetails=True)
    details = [found["wiredTiger"], *found["indexDetails"].values()]
    tables = [one["uri"].removeprefix("statistics:table:") for one in details]
    return [Path(data) / f"{table}.wt" for table in tables]
