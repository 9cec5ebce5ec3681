"""TLS before a plain HTTP server: a certificate authority made for the test, and a relay that speaks TLS."""

import asyncio
import ssl
import subprocess
import threading


class Authority:
    """Signs certificates; `file` is what clients have to trust."""

    def __init__(self, directory):
        self._directory, self.file = directory, directory / "ca.pem"
        self._openssl("req", "-x509", *self._new_key("ca"), "-out", "ca.pem", "-subj", "/CN=impcert test", "-days", "2")

    def certificate(self, name, subject_alternative="IP:127.0.0.1", days=2):
        """(certificate, key) for these names, as files."""
        self._openssl("req", *self._new_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self._directory / f"{name}.ext").write_text(f"subjectAltName={subject_alternative}\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days))
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed, "-extfile", f"{name}.ext"
        )
        return self._directory / f"{name}.pem", self._directory / f"{name}.key"

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self._directory, check=True, capture_output=True)


class Relay:
    """Takes TLS connections with this certificate and passes what comes on to the HTTP server at `url`."""

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
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
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
