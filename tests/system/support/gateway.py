"""impcert-gateway as tests see it, and connections to it: HTTP by hand, since tests also send what no client would."""

import json
import socket
import threading
from pathlib import Path

from stack import wait_for
from support.service import Service

PATH = "/certifications"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Gateway(Service):
    listening = "started"

    def __init__(self, settings, wrapper=()):
        super().__init__("impcert-gateway", settings, wrapper)

    def connect(self, deadline=20, tls=None):
        """tls: another SSLContext than that of the gateway's `tls`, or False for none."""
        return Connection(self.address, deadline, self.tls if tls is None else tls)

    def ask(self, method, path, body=b"", headers=()):
        """The answer to one request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask(method, path, body, headers)

    def post(self, imp_uid, headers=()):
        return self.ask("POST", PATH, event(imp_uid), JSON | dict(headers))

    def descriptors(self):
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def event(imp_uid):
    return json.dumps({"imp_uid": imp_uid}).encode()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"Answer({self.status}, {self.headers}, {self.body!r})"

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    """One TCP connection. An answer that does not come in time is a TimeoutError."""

    def __init__(self, address, deadline=20, tls=None):
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), deadline)
        self._read = b""
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=host)

    @property
    def tls(self):
        """The SSLSocket of one with TLS."""
        return self._socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def send(self, data):
        self._socket.sendall(data)

    def request(self, method, path, body=b"", headers=(), version="1.1"):
        """Sends it, with the Content-Length where `headers` have none; for a body of None without."""
        lines = [f"{method} {path} HTTP/{version}", "Host: gateway"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        if "Content-Length" not in dict(headers) and body is not None and (body or method == "POST"):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def answer(self, head=False):
        """The next answer; None where the connection ended instead. head: it is one to HEAD."""
        while b"\r\n\r\n" not in self._read:
            if not self._more():
                return None
        lines, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = lines.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        size = 0 if head or status < 200 or status == 204 else int(headers["content-length"])
        while len(self._read) < size:
            assert self._more(), f"the answer ends early: {first}, {self._read!r}"
        body, self._read = self._read[:size], self._read[size:]
        return Answer(status, headers, body)

    def ask(self, method, path, body=b"", headers=(), version="1.1"):
        self.request(method, path, body, headers, version)
        return self.answer(head=method == "HEAD")

    def post(self, imp_uid, headers=()):
        return self.ask("POST", PATH, event(imp_uid), JSON | dict(headers))

    def ended(self):
        """Whether the other side has closed it by now."""
        self._socket.setblocking(False)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            self._socket.settimeout(20)

    def wait_until_ended(self, deadline=10):
        wait_for(self.ended, deadline, "end of the connection", interval=0.01)

    def _more(self):
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            data = b""
        self._read += data
        return data


class Load:
    """Threads that post events of their own, one after another, each on a connection that it keeps."""

    def __init__(self, gateway, threads=8):
        self._gateway = gateway
        self._stop = threading.Event()
        self.queued = set()  # imp_uids answered with 202
        self.refused = []  # all other answers
        self.unanswered = []  # imp_uids that were sent on an open connection
        self.connections = 0
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self.wait()

    def wait(self, deadline=60):
        """Until all threads have ended, as they do when nothing listens any more."""
        for thread in self._threads:
            thread.join(deadline)
            assert not thread.is_alive(), "a thread of the load hangs"

    def wait_for_queued(self, count, deadline=60):
        wait_for(lambda: len(self.queued) >= count, deadline, f"{count} events queued")

    def _run(self, thread):
        number = 0
        while not self._stop.is_set():
            try:
                connection = self._gateway.connect(60)
            except OSError:
                return
            self.connections += 1
            with connection:
                answer = True
                while answer and not self._stop.is_set():
                    number += 1
                    answer = self._post(connection, f"load_{thread}_{number}")
                    if answer and answer.headers.get("connection", "").lower() == "close":
                        break

    def _post(self, connection, imp_uid):
        try:
            answer = connection.post(imp_uid)
        except ConnectionError:
            answer = None
        if answer is None:
            self.unanswered.append(imp_uid)
        elif answer.status == 202:
            assert answer.json["imp_uid"] == imp_uid
            self.queued.add(imp_uid)
        else:
            self.refused.append(answer)
            self._stop.wait(0.05)  # as a client that is told to try later
        return answer
