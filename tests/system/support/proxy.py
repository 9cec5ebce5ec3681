"""nginx before the simulator: TLS with HTTP/2, and a certificate authority made for the run."""

import shutil
import signal
import socket
import subprocess
from collections import namedtuple

from stack import StackError, ports, wait_for
from support.tls import Authority

CONFIGURATION = """\
daemon off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
worker_processes 1;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    log_format requests '$pid.$connection $server_protocol $status $request_uri';
    access_log {access_log};
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests {keepalive_requests};
    keepalive_timeout 300s;
    http2_max_concurrent_streams 512;
    upstream simulator {{
        server {simulator};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} {tls} backlog=16384;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols {versions};
        ssl_ciphers {ciphers};
        location / {{
            proxy_pass http://simulator;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

Request = namedtuple("Request", "connection protocol status path")


class Proxy:
    """`url` speaks TLS with a certificate of `ca`, and goes to the simulator at the given URL."""

    def __init__(self, directory, simulator, environment, http2=True, keepalive_requests=10**9, log=False, **server):
        """log: requests() tells of each request. keepalive_requests: so many on a connection, which ends then. server:
        as of serve()."""
        self._directory, self._simulator, self._environment = directory, simulator, environment
        self._http2, self._keepalive_requests = http2, keepalive_requests
        self._log = directory / "nginx-requests.log" if log else None
        self._process, self._server = None, server

    def __enter__(self):
        if "certificate" not in self._server:
            authority = Authority(self._directory)
            self._server["certificate"] = authority.certificate("server")
            self.ca = authority.file
        [self._port] = ports.claim(self._directory, 1)
        self.url = f"https://127.0.0.1:{self._port}"
        self.serve(**self._server)
        return self

    def serve(self, certificate, tls=True, versions="TLSv1.2 TLSv1.3"):
        """From now on with this (certificate, key); without TLS; or with old versions of it."""
        if self._process:
            self.stop()
        (self._directory / "nginx.conf").write_text(
            CONFIGURATION.format(
                directory=self._directory,
                access_log=f"{self._log} requests" if self._log else "off",
                keepalive_requests=self._keepalive_requests,
                simulator=self._simulator.removeprefix("http://"),
                port=self._port,
                tls=("ssl http2" if self._http2 else "ssl") if tls else "",
                versions=versions,
                # OpenSSL's own level leaves the old ones out, whatever ssl_protocols says.
                ciphers="HIGH" if "1.3" in versions else "ALL:@SECLEVEL=0",
                certificate=certificate[0],
                key=certificate[1],
            )
        )
        self.start()

    def __exit__(self, *_):
        self.stop()
        ports.release(self._directory)

    def start(self):
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if not nginx:
            raise StackError("nginx is needed for TLS: deploy/local/install")
        command = [nginx, "-c", str(self._directory / "nginx.conf"), "-p", str(self._directory)]
        self._process = subprocess.Popen(command, env=self._environment)
        wait_for(self._listening, 30, "nginx", error=StackError)

    def stop(self, number=signal.SIGTERM):
        """SIGTERM cuts everything off, SIGQUIT answers what was asked first."""
        self._process.send_signal(number)
        self._process.wait(30)

    def requests(self):
        """What was asked so far, with a name for the connection that no other has."""
        return [Request(*line.split(" ", 3)) for line in self._log.read_text().splitlines()]

    def _listening(self):
        if self._process.poll() is not None:
            raise StackError((self._directory / "nginx.log").read_text() or "nginx ended at once")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
