"""kubectl, which renders and applies deploy/kubernetes: the one of PATH where it is new enough, else that of a wheel."""

import json
import shutil
import subprocess

from . import cache

VERSION = "1.37.1"
KUSTOMIZE = (5, 0)  # the release that the manifests are written for


def kubectl():
    """Its path."""
    found = shutil.which("kubectl")
    if found and _kustomize(found) >= KUSTOMIZE:
        return found
    return cache.pinned_program("kubectl", VERSION, "/scripts/kubectl", "put one on PATH")


def _kustomize(program):
    """The release of Kustomize in it; before 1.24 it does not tell."""
    done = subprocess.run([program, "version", "--client", "--output=json"], capture_output=True, text=True)
    version = json.loads(done.stdout).get("kustomizeVersion", "v0.0") if done.returncode == 0 else "v0.0"
    return tuple(int(part) for part in version.lstrip("v").split(".")[:2])
