"""The Debian packages of a build."""

import os
import subprocess

from support.program import ROOT

BUILD = ROOT / os.environ.get("STACK_BUILD", "build/release")
EPOCH = "1764244800"


def pack(directory):
    """{name: path} of the packages, made below `directory` of what is built."""
    command = ["cpack", "--config", str(BUILD / "CPackConfig.cmake"), "-B", str(directory)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=directory, env=environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return {path.name.partition("_")[0]: path for path in directory.glob("*.deb")}
