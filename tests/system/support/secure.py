"""Servers that let nobody in without TLS: a Kafka whose listeners ask for more and more, and a MongoDB."""

import secrets
from collections import namedtuple
from contextlib import contextmanager

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from stack import Keeper
from stack.kafka import Kafka
from stack.mongodb import REPLICA_SET, MongoDB
from support.tls import Authority, joined

USER, PASSWORD = "impcert", "scram-" + secrets.token_hex(8)
SERVER_NAME, CLIENT_NAME = "/OU=servers/CN=127.0.0.1", "/OU=clients/CN=impcert-worker"
CLIENT_USER = "CN=impcert-worker,OU=clients"  # as MongoDB writes it
OTHER_NAME = "DNS:kafka.example"

LISTENER = """\
listener.name.{name}.ssl.keystore.type=PEM
listener.name.{name}.ssl.keystore.location={keystore}
listener.name.{name}.ssl.truststore.type=PEM
listener.name.{name}.ssl.truststore.location={truststore}
"""
KAFKA = """
inter.broker.listener.name=PLAINTEXT
num.network.threads=1
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.mutual.ssl.client.auth=required
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""

Certificates = namedtuple("Certificates", "ca both_cas server expired misnamed untrusted client newcomer stranger")


def make_certificates(directory):
    """(certificate, key) of each, but for the authorities."""
    authority, other = Authority(directory), Authority(directory, "other-ca")
    both = directory / "both-cas.pem"
    both.write_text(authority.file.read_text() + other.file.read_text())
    return Certificates(
        ca=authority.file,
        both_cas=both,
        server=authority.certificate("server", subject=SERVER_NAME),
        expired=authority.expired_certificate("expired"),
        misnamed=authority.certificate("misnamed", OTHER_NAME),
        untrusted=other.certificate("untrusted"),
        client=authority.certificate("client", "DNS:client", subject=CLIENT_NAME),
        newcomer=authority.certificate("newcomer", "DNS:client", subject="/OU=clients/CN=newcomer"),
        stranger=other.certificate("stranger", "DNS:client", subject=CLIENT_NAME),
    )


@contextmanager
def started(make, directory):
    """The server that make(directory) gives, started; it ends with this process at the latest."""
    directory.mkdir()
    with Keeper(directory, remove=True):
        server = make(directory)
        server.start()
        yield server


class SecureKafka(Kafka):
    """Tests look at it through the plain listener; the others are there for programs."""

    names = ("mutual", "scram", "server_only", "expired", "misnamed", "untrusted")
    port_count = 2 + len(names)

    def __init__(self, directory, certificates):
        super().__init__(directory)
        self._certificates = certificates

    def listener(self, name):
        return f"127.0.0.1:{self.ports[2 + self.names.index(name)]}"

    def properties(self):
        plain, own = super().properties(), KAFKA
        listeners = [f"{name.upper()}://{self.listener(name)}" for name in self.names]
        for name in self.names:
            pair = getattr(self._certificates, name, self._certificates.server)
            own += LISTENER.format(name=name, keystore=joined(pair), truststore=self._certificates.ca)
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT"}
        protocols |= {name.upper(): "SASL_SSL" if name == "scram" else "SSL" for name in self.names}
        own += "listener.security.protocol.map=%s\n" % ",".join(f"{k}:{v}" for k, v in protocols.items())
        lines = [
            ",".join([line, *listeners]) if line.startswith(("listeners=", "advertised.listeners=")) else line
            for line in plain.splitlines()
        ]
        return "\n".join([*lines, own])

    def format_options(self):
        return ("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    def set_password(self, user, password):
        from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, info, password.encode())
        for future in self.admin.alter_user_scram_credentials([change]).values():
            future.result(30)


class SecureMongoDB(MongoDB):
    """A replica set with TLS, key file and users. Every client needs a certificate of the authority; `open_to_all`
    means those without one, and those of the other authority, too."""

    def __init__(self, directory, certificates, open_to_all=False):
        super().__init__(directory)
        self._certificates, self._open_to_all = certificates, open_to_all
        self._root_password = secrets.token_hex(8)
        self._key_file = directory / "mongodb.key"

    @property
    def tls(self):
        """What a URI needs to get as far as to a user's name."""
        return f"tls=true&tlsCAFile={self._certificates.ca}&tlsCertificateKeyFile={joined(self._certificates.client)}"

    @property
    def uri(self):
        return f"mongodb://root:{self._root_password}@{self.address}/?replicaSet={REPLICA_SET}&{self.tls}"

    def command(self):
        own = ["--auth", "--keyFile", str(self._key_file), "--tlsMode", "requireTLS"]
        own += ["--tlsCertificateKeyFile", str(joined(self._certificates.server))]
        own += ["--tlsCAFile", str(self._certificates.both_cas if self._open_to_all else self._certificates.ca)]
        own += ["--setParameter", "authenticationMechanisms=SCRAM-SHA-256,MONGODB-X509"]
        return super().command() + own + (["--tlsAllowConnectionsWithoutCertificates"] if self._open_to_all else [])

    def prepare(self):
        super().prepare()
        if not self._key_file.exists():
            self._key_file.write_text(secrets.token_hex(64))
            self._key_file.chmod(0o400)

    def ready(self):
        """By its root user, whose password no other server has. The first may be made by whoever comes from here."""
        options = {"directConnection": True, "serverSelectionTimeoutMS": 500}
        with MongoClient(f"mongodb://{self.address}/?{self.tls}", **options) as client:
            try:
                hello = client.admin.command("hello")
                if "setName" not in hello:
                    members = [{"_id": 0, "host": self.address}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
                elif hello["isWritablePrimary"]:
                    return self._make_users(client)
            except OperationFailure as failure:
                if failure.code != 23:  # AlreadyInitialized: the set is on its way
                    raise
            except PyMongoError:
                pass
            return False

    def _make_users(self, client):
        client.admin.command("createUser", "root", pwd=self._root_password, roles=["root"])
        self.make_user(USER, PASSWORD)
        self.make_user(CLIENT_USER)
        return True

    def make_user(self, name, password=None):
        """Without a password one whose certificate has the name."""
        roles = [{"role": "readWriteAnyDatabase", "db": "admin"}]
        with self.client() as client:
            if password:
                client.admin.command("createUser", name, pwd=password, roles=roles)
            else:
                client["$external"].command("createUser", name, roles=roles)

    def set_password(self, name, password):
        with self.client() as client:
            client.admin.command("updateUser", name, pwd=password)

