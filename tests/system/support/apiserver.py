"""A real Kubernetes API server with its etcd, built from their Go modules: it stores and admits, and nothing runs."""

import json
import subprocess
import tempfile
from pathlib import Path

from stack import Keeper, ports, wait_for
from stack.kubectl import kubectl
from support import golang
from support.program import Program

TOKEN = "of-the-administrator"
START = 120


class ApiServer:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="impcert-apiserver."))
        self._keeper = Keeper(self.directory, remove=True)
        self._etcd_port, self._etcd_peer, self._port = ports.claim(self.directory, 3)
        self._programs = []

    def __enter__(self):
        programs = (golang.build("etcd", "go.etcd.io/etcd/server/v3"),
                    golang.build("apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"))
        try:
            self._start(*programs)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self._programs):
            program.kill()
        self._keeper.close()

    def _start(self, etcd, apiserver):
        self._run("etcd", etcd, self._etcd_options())
        self._make_keys()
        server = self._run("kube-apiserver", apiserver, self._options())
        self._write_config()

        def ready():
            assert server.exit_code is None, server.log_tail()
            return self.kubectl("get", "--raw", "/readyz", check=False).stdout == "ok"

        wait_for(ready, START, "the API server to be ready")

    def _run(self, name, program, options):
        started = Program(name, command=[program, *options], settings=self._keeper.environment())
        self._programs.append(started)
        return started

    def _etcd_options(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._etcd_peer))
        return [
            *["--data-dir", f"{self.directory}/etcd", "--unsafe-no-fsync", "--log-level", "error"],
            *["--listen-client-urls", client, "--advertise-client-urls", client],
            *["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"],
        ]

    def _make_keys(self):
        key = ["openssl", "genrsa", "-out", f"{self.directory}/accounts.key", "2048"]
        subprocess.run(key, check=True, capture_output=True)
        (self.directory / "tokens.csv").write_text(f"{TOKEN},administrator,1,system:masters\n")

    def _options(self):
        keys = f"{self.directory}/accounts.key"
        return [
            *["--etcd-servers", f"http://127.0.0.1:{self._etcd_port}", "--bind-address", "127.0.0.1"],
            *["--secure-port", str(self._port), "--cert-dir", f"{self.directory}/certificates"],
            *["--token-auth-file", f"{self.directory}/tokens.csv", "--authorization-mode", "RBAC"],
            *["--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", keys],
            *["--service-account-signing-key-file", keys, "--service-cluster-ip-range", "10.0.0.0/24"],
            *["--endpoint-reconciler-type", "none", "-v", "0"],
        ]

    def _write_config(self):
        """Of kubectl, which trusts the certificate that the server has made for itself."""
        made = self.directory / "certificates/apiserver.crt"
        wait_for(made.exists, START, "the server's certificate")
        cluster = {"server": f"https://127.0.0.1:{self._port}", "certificate-authority": str(made)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "administrator", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "administrator"}}],
            "current-context": "test",
        }
        (self.directory / "config").write_text(json.dumps(config))

    @property
    def command(self):
        """kubectl as a command line, for this server."""
        return [kubectl(), "--kubeconfig", str(self.directory / "config"), "--cache-dir", str(self.directory / "cache")]

    def kubectl(self, *arguments, stdin=None, check=True):
        done = subprocess.run([*self.command, *arguments], input=stdin, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done
