"""A bare Debian root of a test's own, as debootstrap makes it, and what runs in it."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

from stack import wait_for
from support.program import Program

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
    def __init__(self, path, include=()):
        """include: packages beside the bare minimum."""
        self.path = path
        more = [f"--include={','.join(include)}"] if include else []
        # What it mounts it sometimes leaves behind.
        apart = ["unshare", "--mount", "--propagation", "private"]
        self._check([*apart, "debootstrap", "--variant=minbase", *more, release(), path], deadline=600)
        # Packages come as this machine gets them, and nothing else of it is there.
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

    def remove(self):
        subprocess.run(["rm", "-rf", "--one-file-system", self.path], check=True)

    def _check(self, command, deadline):
        self._succeeded(subprocess.run(command, capture_output=True, text=True, timeout=deadline))

    @staticmethod
    def _succeeded(done):
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        assert done.returncode == 0, f"{done.args} ended with {done.returncode}:\n{tail}"
        return done.stdout


class Machine(Program):
    """A root that is booted: its own systemd, the network of this machine."""

    def __init__(self, root, settings):
        name = f"impcert-{uuid.uuid4().hex[:8]}"
        nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--resolv-conf=off"]
        command = [*nspawn, f"--machine={name}", f"--directory={root.path}", "--boot"]
        super().__init__(name, settings=settings, command=command)

    @staticmethod
    def missing():
        """Why there can be none, or None."""
        if not shutil.which("systemd-nspawn"):
            return "systemd-nspawn is not installed: apt-get install --no-install-recommends systemd-container"
        return None

    def run(self, *arguments, **options):
        """A command in it. The text that it prints, whatever its exit status."""
        [leader] = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[:1] or [None]
        if leader is None:
            return ""
        command = ["nsenter", "--target", leader, "--all", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
        return done.stdout + done.stderr

    def wait_until_up(self, deadline=60):
        """Whether its systemd has come up."""

        def settled():
            state = self.run("systemctl", "is-system-running").strip()
            return self.exit_code is not None or state in ("running", "degraded")

        wait_for(settled, deadline, f"{self} to be up")
        return self.exit_code is None

    def show(self, unit, name):
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "--unit", unit)

    def power_off(self):
        self.run("systemctl", "poweroff")
        return self.wait(60)
