"""The Debian packages: what is in them, what they ask of a system, and that they can be made again."""

import re
import shutil
import stat
import subprocess
import tarfile

import pytest

from support.packages import pack
from support.program import ROOT, SANITIZED

PROGRAMS = {"impcert-worker", "impcert-gateway", "impcert-publish", "impcert-replay"}

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="packages are not made with sanitizers"),
    pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="this is no Debian machine"),
]


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Package:
    def __init__(self, path, directory):
        self.directory = directory
        run("dpkg-deb", "--raw-extract", path, directory)
        tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE)
        with tar, tarfile.open(fileobj=tar.stdout, mode="r|") as content:
            self.members = {member.name.removeprefix("."): member for member in content}

    def files(self, below="/"):
        found = (name for name, member in self.members.items() if not member.isdir())
        return {name.removeprefix(below) for name in found if name.startswith(below)}

    def control(self, name="control"):
        return (self.directory / "DEBIAN" / name).read_text()

    def field(self, name):
        return re.search(rf"^{name}: (.*)$", self.control(), re.M)[1]

    def depends(self):
        return {part.split()[0] for part in self.field("Depends").split(",")}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def packages(packed, tmp_path_factory):
    directory = tmp_path_factory.mktemp("unpacked")
    return {name: Package(path, directory / name) for name, path in packed.items()}


def test_there_are_three_packages(packages):
    assert set(packages) == {"impcert", "libimpcert0", "libimpcert-dev"}
    for name, package in packages.items():
        assert package.field("Package") == name
        documents = package.files(f"/usr/share/doc/{name}/")
        assert {"copyright", "changelog.gz", "changelog.Debian.gz"} <= documents


def test_the_programs_come_with_all_that_goes_with_them(packages):
    package = packages["impcert"]
    assert package.files("/usr/bin/") == PROGRAMS
    assert package.files("/usr/lib/systemd/system/") == {"impcert-worker.service", "impcert-gateway.service"}
    assert package.files("/usr/share/man/") == {
        "man1/impcert-publish.1.gz", "man1/impcert-replay.1.gz", "man5/impcert.5.gz", "man7/impcert.7.gz",
        "man8/impcert-gateway.8.gz", "man8/impcert-worker.8.gz",
    }  # fmt: skip
    assert package.files("/usr/share/bash-completion/completions/") == PROGRAMS
    assert package.files("/usr/share/zsh/vendor-completions/") == {f"_{name}" for name in PROGRAMS}
    assert package.files("/usr/share/fish/vendor_completions.d/") == {f"{name}.fish" for name in PROGRAMS}
    assert "libimpcert0" not in package.depends()
    # Debian 13 has t64 behind some of the names.
    depends = {name.removesuffix("t64") for name in package.depends()}
    assert {"libc6", "librdkafka1", "libcurl4", "libmongoc-1.0-0", "libmicrohttpd12"} <= depends


def test_the_library_is_a_package_and_what_builds_with_it_another(packages):
    library, development = packages["libimpcert0"], packages["libimpcert-dev"]
    triplet = run("cc", "-print-multiarch").strip()
    where = f"/usr/lib/{triplet}/"
    assert library.files("/usr/lib/") == {f"{triplet}/libimpcert.so.0", f"{triplet}/libimpcert.so.0.1.0"}
    wanted = {"libimpcert.so", "libimpcert.a", "pkgconfig/impcert.pc", "cmake/impcert/impcert-config.cmake"}
    assert wanted <= development.files(where)
    assert {"include/impcert.h", "share/man/man3/impcert.3.gz"} <= development.files("/usr/")
    version = library.field("Version")
    assert f"libimpcert0 (= {version})" in development.field("Depends")
    assert {"librdkafka-dev", "libjansson-dev"} <= development.depends()
    assert library.control("shlibs") == "libimpcert 0 libimpcert0 (>= 0.1.0)\n"


def test_settings_are_the_administrator_s(packages):
    package = packages["impcert"]
    assert package.files("/etc/") == {"impcert/worker.env", "impcert/gateway.env"}
    assert set(package.control("conffiles").split()) == {"/etc/impcert/worker.env", "/etc/impcert/gateway.env"}
    assert package.members["/etc/impcert/credentials"].mode == 0o700
    for name in package.files("/etc/impcert/"):
        lines = (package.directory / "etc/impcert" / name).read_text().splitlines()
        assert all(line.startswith("#") or not line for line in lines), "a setting is made for the administrator"


def test_everything_is_root_s_and_nobody_else_writes_it(packages):
    for package in packages.values():
        for name, member in package.members.items():
            assert (member.uid, member.gid) == (0, 0), name
            assert member.issym() or not member.mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), name


def test_the_scripts_of_a_package_are_shell(packages):
    scripts = [path for package in packages.values() for path in (package.directory / "DEBIAN").glob("p*")]
    assert {path.name for path in scripts} == {"postinst", "prerm", "postrm"}
    for path in scripts:
        assert path.read_text().startswith("#!/bin/sh\n")
        run("sh", "-n", path)


def test_nothing_tells_where_it_was_built(packages):
    for package in packages.values():
        for name in package.files():
            path = package.directory / name.lstrip("/")
            assert path.is_symlink() or bytes(ROOT) not in path.read_bytes(), name


def test_the_same_build_gives_the_same_packages(packed, tmp_path):
    again = pack(tmp_path)
    assert set(again) == set(packed)
    for name, path in packed.items():
        assert path.read_bytes() == again[name].read_bytes(), name


@pytest.mark.long
def test_lintian_finds_no_error(packed):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed: apt-get install --no-install-recommends lintian")
    done = subprocess.run(["lintian", "--fail-on", "error", *packed.values()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
