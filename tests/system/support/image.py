"""The container image: the files in it, and how it is built where there is a builder and where there is none."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path

from support.program import ROOT, clean_environment

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
BUILD = DEPLOY / "image/build"
IN_IMAGE = Path(__file__).with_name("in_image")
PROGRAMS = ("impcert-worker", "impcert-gateway", "impcert-publish", "impcert-replay")
SBOM = "usr/share/impcert/sbom.spdx.json"
STATUS = "var/lib/dpkg/status.d"
FACTS = {"VERSION": "0.1.0", "REVISION": "0123456789abcdef", "CREATED": "2026-01-02T03:04:05Z"}
# What Debian's slim images leave out of each package that is installed into them.
SLIM = """path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
"""


class CannotBuild(Exception):
    """Nothing here can build an image; the message says what is missing."""


class Tree:
    """A directory with the files of an image."""

    def __init__(self, path, config=None):
        self.path = Path(path)
        self.config = config  # of the image: User, Entrypoint, Labels, ...; None where no builder made it

    def files(self):
        """{path: its Path} of regular files."""
        found = (path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.path)): path for path in found}

    def sbom(self):
        return json.loads((self.path / SBOM).read_text())

    def noted(self):
        """{package: {field: value}} as a scanner finds them."""
        paths = [path for path in (self.path / STATUS).iterdir() if path.suffix != ".md5sums"]
        return {path.name: dict(re.findall(r"^([\w-]+): (.*)$", path.read_text(), re.M)) for path in paths}

    def sums(self):
        """{path: MD5} of the packages' files."""
        lines = [line for path in (self.path / STATUS).glob("*.md5sums") for line in path.read_text().splitlines()]
        sums = dict(reversed(line.split("  ", 1)) for line in lines)
        return {str((self.path / path).resolve().relative_to(self.path.resolve())): sum for path, sum in sums.items()}

    def command(self, program, *arguments, authorities=None):
        """The command that runs a program of it as a container would."""
        own = ("--authorities", authorities) if authorities else ()
        return [IN_IMAGE, *own, self.path, program, *arguments]

    def run(self, program, *arguments, settings=None):
        return subprocess.run(
            self.command(program, *arguments),
            env=clean_environment(settings or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def wrappers(self, directory):
        """A directory with a script for each program that runs it."""
        directory.mkdir()
        for name in PROGRAMS:
            script = directory / name
            script.write_text(f'#!/bin/sh\nexec {IN_IMAGE} {self.path} {name} "$@"\n')
            script.chmod(0o755)
        return directory


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def assemble(programs, root):
    """What the image would be, of the packages of this machine."""
    _run([DEPLOY / "image/assemble", programs, root], env=os.environ | FACTS)
    return Tree(root)


def build(directory, authority):
    """The Tree of an image by deploy/Dockerfile. The builder's machine trusts `authority`, if a base is made here."""
    found = subprocess.run([BUILD, "--builder"], capture_output=True, text=True)
    if found.returncode != 0:
        root = _debian(directory / "stage", authority)
        return Tree(_run_steps(root))
    builder = found.stdout.strip()
    with _base(builder, directory, authority) as base:
        return _build(builder, base, directory / "image")


def _build(builder, base, root):
    image = f"impcert-test:{uuid.uuid4().hex}"
    revision = {
        "REVISION": FACTS["REVISION"],
        "SOURCE": "https://git.example/impcert",
        "SOURCE_DATE_EPOCH": "1767323045",
    }
    arguments = ["--no-cache", *(["--build-arg", f"BASE={base}"] if base else [])]
    _run([BUILD, *arguments], env=_builders_environment() | revision | {"IMAGE": image})
    try:
        config = _config(builder, image)
        _extract(builder, image, root)
    finally:
        _builder(builder, "rmi", image)
    return Tree(root, config)


def _config(builder, image):
    if builder == "buildah":
        return json.loads(_builder(builder, "inspect", "--type", "image", image))["OCIv1"]["config"]
    return json.loads(_builder(builder, "image", "inspect", image))[0]["Config"]


def _extract(builder, image, root):
    root.mkdir()
    if builder == "buildah":
        container = _builder(builder, "from", image).strip()
        mounted = _builder(builder, "mount", container).strip()
        _run(["cp", "-a", f"{mounted}/.", root])
    else:
        container = _builder(builder, "create", image).strip()
        _builder(builder, "export", "--output", f"{root}.tar", container)
        _run(["tar", "-C", root, "-xpf", f"{root}.tar"])
    _builder(builder, "rm", container)


@contextmanager
def _base(builder, directory, authority):
    """The name of a base image that stands for the Dockerfile's; None where that one can be had."""
    name = re.search(r"^ARG BASE=(\S+)", DOCKERFILE.read_text(), re.M)[1]
    pulled = subprocess.run([builder, "pull", name], env=_builders_environment(), capture_output=True)
    if pulled.returncode == 0:
        yield None
        return
    root = _debian(directory / "base", authority)
    image = f"localhost/impcert-test-base:{uuid.uuid4().hex}"
    _run(["tar", "-C", root, "-cf", directory / "base.tar", "."])
    if builder == "buildah":
        container = _builder(builder, "from", "scratch").strip()
        _builder(builder, "add", container, directory / "base.tar", "/")
        _builder(builder, "commit", "--rm", container, image)
    else:
        _builder(builder, "import", directory / "base.tar", image)
    try:
        yield image
    finally:
        _builder(builder, "rmi", image)


def _debian(root, authority):
    """A bare Debian of the Dockerfile's release, with what this machine's apt needs to reach its packages."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise CannotBuild("an image takes docker, podman or buildah and its base image, or else root and debootstrap")
    suite = re.search(r"^ARG BASE=\S+:(\w+)-slim$", DOCKERFILE.read_text(), re.M)[1]
    log = root.with_suffix(".log")
    with open(log, "w") as output:
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    assert made.returncode == 0, f"debootstrap failed:\n{log.read_text()[-2000:]}"
    (root / "etc/dpkg/dpkg.cfg.d/docker").write_text(SLIM)
    for path in Path("/etc/apt/apt.conf.d").glob("99*"):
        shutil.copy(path, root / "etc/apt/apt.conf.d")
    for path in [authority, *Path("/usr/local/share/ca-certificates").glob("*.crt")]:
        shutil.copy(path, root / f"usr/local/share/ca-certificates/{path.stem}.crt")
    _run(["chroot", root, "update-ca-certificates"])
    return root


def _run_steps(root):
    """The build stage of the Dockerfile, done by hand in this root. Returns the directory that the last stage copies."""
    for name in ("resolv.conf", "hosts"):
        shutil.copy(f"/etc/{name}", root / "etc")
    stage = _instructions()
    place, variables, image = Path("/"), dict(FACTS), None
    for instruction, words in stage:
        if instruction == "WORKDIR":
            place = Path(words)
            _inside(root, place).mkdir(parents=True)
        elif instruction == "COPY" and (copied := re.fullmatch(r"--from=build (/\S+?)/? /", words)):
            image = _inside(root, copied[1])
        elif instruction == "COPY":
            source, target = words.split()
            _copy(source, _inside(root, place / target))
        elif instruction == "RUN":
            step = ["bash", "-euc", STEP, "step", root, place, words]
            own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
            _run(["unshare", "--mount", "--pid", "--fork", "--kill-child", *step], env=own | variables)
    return image


STEP = """
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" sh -c 'cd "$1" && eval "$2"' step "$2" "$3"
"""


def _instructions():
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def _inside(root, path):
    return root / str(path).lstrip("/")


def _copy(source, target):
    """A COPY from the clone, of what git has or would take, without what .dockerignore names."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", source]
    listed = _run(command).split("\0")
    ignored = tuple(f"{line}/" for line in (ROOT / ".dockerignore").read_text().splitlines())
    for name in filter(None, listed):
        if name.startswith(ignored) or not (ROOT / name).is_file():
            continue
        place = target if name == source else target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)


def _builders_environment():
    """In the containers that tests often run in, buildah and podman cannot start containers, but a chroot. And they keep
    each layer unless told."""
    return {"BUILDAH_ISOLATION": "chroot", "BUILDAH_LAYERS": "false"} | os.environ


def _builder(builder, *arguments):
    return _run([builder, *arguments], env=_builders_environment())


def _run(command, env=None):
    """Its standard output."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    shown = " ".join(map(str, command))
    assert done.returncode == 0, f"{shown} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
