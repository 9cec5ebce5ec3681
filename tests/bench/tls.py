"""nginx before the simulator: TLS with HTTP/2, and a certificate authority made for the run."""

import shutil
import socket
import subprocess

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
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    http2_max_concurrent_streams 512;
    upstream simulator {{
        server {simulator};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=16384;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://simulator;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Proxy:
    def __init__(self, directory, simulator, environment):
        self._directory, self._simulator, self._environment = directory, simulator, environment

    def __enter__(self):
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if not nginx:
            raise StackError("nginx is needed for TLS: deploy/local/install bench")
        authority = Authority(self._directory)
        certificate, key = authority.certificate("server")
        self.ca = authority.file
        [self._port] = ports.claim(self._directory, 1)
        configuration = self._directory / "nginx.conf"
        address = self._simulator.removeprefix("http://")
        configuration.write_text(
            CONFIGURATION.format(
                directory=self._directory,
                port=self._port,
                simulator=address,
                certificate=certificate,
                key=key,
            )
        )
        self._process = subprocess.Popen(
            [nginx, "-c", str(configuration), "-p", str(self._directory)], env=self._environment
        )
        wait_for(self._listening, 30, "nginx", error=StackError)
        self.url = f"https://127.0.0.1:{self._port}"
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)

    def _listening(self):
        if self._process.poll() is not None:
            raise StackError((self._directory / "nginx.log").read_text() or "nginx ended at once")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
