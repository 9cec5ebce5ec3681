"""A relay before a service that keeps what is sent to it, byte for byte."""

import socket
import socketserver
import threading


class Recorder:
    """`url` goes to the service of the given http:// URL; `sent` is all that its clients have sent so far."""

    def __init__(self, url):
        host, _, port = url.removeprefix("http://").rpartition(":")
        recorder, self.sent, self._lock = self, b"", threading.Lock()

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection((host, int(port))) as service:
                    back = threading.Thread(target=relay, args=(service, self.request))
                    back.start()
                    relay(self.request, service, recorder._keep)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, data):
        with self._lock:
            self.sent += data


def relay(source, target, seen=lambda data: None):
    """Until one of them ends."""
    try:
        while data := source.recv(65536):
            seen(data)
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
