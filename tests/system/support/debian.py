"""A bare Debian root of a test's own, as debootstrap makes it, and what runs in it."""

import os
import shutil
import subprocess
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Mounts end with the command.
ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


def missing():
    """Why there can be no such root here, or None."""
    if os.geteuid() != 0:
        return "only root can make a Debian root"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed: apt-get install --no-install-recommends debootstrap"
    return None


def release():
    """The name of this machine's, whose libraries the programs were built with."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME="))


class Root:
    def __init__(self, path):
        self.path = path
        # Packages come as this machine gets them, and nothing else of it is there.
        self._check(["debootstrap", "--variant=minbase", release(), path], deadline=600)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", path / "etc" / name)
        access = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
        lines = [line for line in access.splitlines() if line.startswith("Acquire::http")]
        (path / "etc/apt/apt.conf.d/00access").write_text("".join(f"{line}\n" for line in lines))
        # No service starts on installation, should there be a service manager.
        policy = path / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def command(self, *arguments):
        """The command that runs `arguments` in the root; its process becomes theirs."""
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, str(self.path)]
        return [*enter, *map(str, arguments)]

    def run(self, *arguments, deadline=60, settings=None, **options):
        environment = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=deadline,
            env=environment | {name: str(value) for name, value in (settings or {}).items()},
            **options,
        )

    def output(self, *arguments, **options):
        """Of a command that has to succeed."""
        return self._succeeded(self.run(*arguments, **options))

    def install(self, *packages, deadline=600):
        """By apt, from files of this machine."""
        for package in packages:
            shutil.copy(package, self.path / "root" / package.name)
        self.output("apt-get", "update", deadline=deadline)
        names = [f"/root/{package.name}" for package in packages]
        settings = {"DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
        return self.output(*command, settings=settings, deadline=deadline)

    def _check(self, command, deadline):
        self._succeeded(subprocess.run(command, capture_output=True, text=True, timeout=deadline))

    @staticmethod
    def _succeeded(done):
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{tail}"
        return done.stdout
