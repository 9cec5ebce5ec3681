"""TLS in tests: a certificate authority made for them, a relay that speaks TLS, and one that can be turned elsewhere."""

import asyncio
import socket
import socketserver
import ssl
import subprocess
import threading

from support.recorder import relay

EXPIRED = """\
[ca]
default_ca = past
[past]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
default_startdate = 20200101000000Z
default_enddate = 20200102000000Z
policy = names
[names]
organizationalUnitName = optional
commonName = supplied
"""


class Authority:
    """Signs certificates; `file` is what clients have to trust."""

    def __init__(self, directory, name="ca"):
        self._directory, self._name, self.file = directory, name, directory / f"{name}.pem"
        # Python 3.13 takes no authority without it.
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        subject = ("-subj", f"/CN=impcert test {name}", "-days", "2")
        self._openssl("req", "-x509", *self._new_key(name), "-out", f"{name}.pem", *subject, *usage)

    def certificate(self, name, subject_alternative="IP:127.0.0.1", days=2, subject=None):
        """(certificate, key) for these names, as files."""
        self._request(name, subject_alternative, subject)
        signed = ("-CA", f"{self._name}.pem", "-CAkey", f"{self._name}.key", "-CAcreateserial", "-days", str(days))
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed, "-extfile", f"{name}.ext"
        )
        return self._directory / f"{name}.pem", self._directory / f"{name}.key"

    def expired_certificate(self, name, subject_alternative="IP:127.0.0.1"):
        """One whose time is over, as files."""
        self._request(name, subject_alternative, None)
        (self._directory / "past.conf").write_text(EXPIRED)
        (self._directory / "index.txt").touch()
        signed = ("-batch", "-notext", "-config", "past.conf", "-cert", f"{self._name}.pem", "-keyfile", f"{self._name}.key")
        self._openssl("ca", *signed, "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext")
        return self._directory / f"{name}.pem", self._directory / f"{name}.key"

    def _request(self, name, subject_alternative, subject):
        self._openssl("req", *self._new_key(name), "-out", f"{name}.csr", "-subj", subject or f"/CN={name}")
        (self._directory / f"{name}.ext").write_text(
            f"subjectAltName={subject_alternative}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self._directory, check=True, capture_output=True)


def joined(pair):
    """Certificate and key in one file, as MongoDB and Kafka take them."""
    certificate, key = pair
    path = certificate.with_suffix(".both.pem")
    path.write_text(key.read_text() + certificate.read_text())
    return path


class Relay:
    """Takes TLS connections with this certificate and passes what comes on to the server at `url`, or host:port."""

    def __init__(self, certificate, url):
        self._target = url.removeprefix("http://").split(":")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        )
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.url = f"https://{self.address}"
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self):
        self._loop.set_exception_handler(lambda *_: None)  # a client that breaks off is what some tests want
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pass_on(reader, other_writer), self._pass_on(other_reader, writer))

    @staticmethod
    async def _pass_on(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Switch:
    """`address` goes to where it was turned last, byte for byte. Turned, it cuts the connections it has."""

    def __init__(self, target):
        self._target, self._open, self._lock = target, set(), threading.Lock()
        switch = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                switch._handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = "127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._cut()

    def turn(self, target):
        with self._lock:
            self._target = target
        self._cut()

    def _handle(self, client):
        with self._lock:
            host, _, port = self._target.rpartition(":")
        try:
            server = socket.create_connection((host, int(port)), 10)
        except OSError:
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=relay, args=(server, client), daemon=True)
        back.start()
        relay(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
        server.close()

    def _cut(self):
        with self._lock:
            cut = list(self._open)
        for end in cut:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
