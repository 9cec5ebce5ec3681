"""The container image: what is in it, and that its programs work with nothing else.

Each run of the tests looks at what the image would be of this machine's packages; with --long also at a built one.
"""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from support import image
from support.flow import imp_uids
from support.image import PROGRAMS
from support.program import ROOT, binary, clean_environment
from support.tls import Authority, Relay

# Files that are of no package: ours.
OWN = {
    *(f"usr/bin/{name}" for name in PROGRAMS),
    "etc/group",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    image.SBOM,
}
NO_TRUST_OF_THE_TESTS = {"SSL_CERT_FILE": None, "SSL_CERT_DIR": None}
BEGIN = "-----BEGIN CERTIFICATE-----"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", params=["assembled", pytest.param("built", marks=pytest.mark.long)])
def tree(request, tmp_path_factory, authority):
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "built":
        return built(directory, authority)
    if not shutil.which("dpkg-query"):
        pytest.skip("what is in an image is taken from Debian's packages, and this is no Debian")
    return image.assemble(Path(binary("impcert-worker")).parent, directory / "root")


def built(directory, authority):
    try:
        return image.build(directory, authority.file)
    except image.CannotBuild as reason:
        pytest.skip(str(reason))


@pytest.fixture
def runnable(tree):
    if os.geteuid() != 0:
        pytest.skip("only root can run programs in another root")
    return tree


def test_it_has_the_programs_and_nothing_else_to_run(tree):
    executable = {name for name, path in tree.files().items() if path.stat().st_mode & 0o111}
    libraries = {name for name in executable if re.fullmatch(r"usr/lib/[\w-]+/[^/]+\.so[.\d]*", name)}
    assert executable - libraries == {f"usr/bin/{name}" for name in PROGRAMS}
    modes = [path.lstat().st_mode for path in tree.path.rglob("*") if not path.is_symlink()]
    assert not any(mode & (stat.S_ISUID | stat.S_ISGID) for mode in modes)
    writable = [
        path.relative_to(tree.path)
        for path in tree.path.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o002
    ]
    assert writable == [Path("tmp")]


def test_each_file_is_of_a_package_that_is_listed(tree):
    sums, packages = tree.sums(), tree.noted()
    papers = {f"{image.STATUS}/{name}{suffix}" for name in packages for suffix in ("", ".md5sums")}
    papers |= {f"usr/share/doc/{name}/copyright" for name in (*packages, "impcert", "uthash-dev")}
    files = tree.files()
    strangers = {name for name in files if name not in sums} - OWN - papers
    assert not strangers
    assert OWN | papers <= files.keys()
    changed = {name for name, path in files.items() if name in sums and image.md5(path) != sums[name]}
    assert not changed


def test_the_sbom_lists_exactly_what_is_there(tree):
    sbom, noted = tree.sbom(), tree.noted()
    debian = {package["name"]: package["versionInfo"] for package in sbom["packages"] if package.get("supplier")}
    assert debian.pop("uthash-dev")
    assert debian == {name: fields["Version"] for name, fields in noted.items()}
    relations = {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in sbom["relationships"]}
    ids = {package["name"]: package["SPDXID"] for package in sbom["packages"]}
    contained = {("SPDXRef-Image", "CONTAINS", ids[name]) for name in (*noted, "impcert")}
    assert relations == contained | {
        ("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"),
        (ids["impcert"], "STATIC_LINK", ids["uthash-dev"]),
    }
    assert len(set(ids.values())) == len(sbom["packages"])
    assert sbom["creationInfo"]["created"] == image.FACTS["CREATED"]
    own = next(package for package in sbom["packages"] if package["name"] == "impcert")
    assert own["versionInfo"] == image.FACTS["VERSION"] and image.FACTS["REVISION"] in own["sourceInfo"]


def test_the_builders_own_authorities_stay_out(tree, authority):
    bundle = (tree.path / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert bundle.count(BEGIN) > 100
    for path in [authority.file, *Path("/usr/local/share/ca-certificates").glob("*.crt")]:
        assert path.read_text().split(BEGIN)[1].strip() not in bundle


def test_all_files_have_the_time_of_the_revision(tree):
    assert {int(path.lstat().st_mtime) for path in tree.files().values()} == {1767323045}


def test_it_has_the_libraries_that_the_programs_load_and_no_others(runnable):
    [loader] = runnable.path.glob("usr/lib/*/ld-linux*")
    command = ["chroot", runnable.path, f"/{loader.relative_to(runnable.path)}", "--list"]
    loaded = {loader.name}
    for name in PROGRAMS:
        listed = subprocess.run([*command, f"/usr/bin/{name}"], capture_output=True, text=True)
        assert listed.returncode == 0 and "not found" not in listed.stdout, listed.stdout + listed.stderr
        loaded |= set(re.findall(r"=> /\S*/(\S+) \(0x", listed.stdout))
    there = {path.name: path.resolve().name for path in loader.parent.iterdir()}
    assert {there[name] for name in loaded} == set(there.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_runs(runnable, name):
    version = runnable.run(name, "--version")
    assert (version.returncode, version.stdout) == (0, f"{name} {image.FACTS['VERSION']}\n"), version.stderr
    usage = runnable.run(name, "--help")
    assert usage.returncode == 0 and usage.stdout.startswith(f"Usage: {name}"), usage.stderr
    settings = {"IMPCERT_KAFKA_BROKERS": "kafka:9092", "MONGODB_URI": "mongodb://db", "IAMPORT_KEY": "k"}
    printed = runnable.run(name, "--print-config", settings=settings | {"IAMPORT_SECRET": "hidden"})
    assert printed.returncode == 0 and "IMPCERT_KAFKA_BROKERS=kafka:9092" in printed.stdout, printed.stderr
    assert "hidden" not in printed.stdout


def test_there_is_no_shell(runnable):
    done = subprocess.run(["chroot", runnable.path, "/bin/sh", "-c", "true"], capture_output=True, text=True)
    assert done.returncode == 127 and "No such file" in done.stderr


def test_a_worker_needs_nothing_else(runnable, flow, names, simulator, worker, authority):
    """As nobody, on a root that is read-only; names and trust as the system has them."""
    wanted = imp_uids(500)
    flow.publish(wanted)
    certificate = authority.certificate("server", "DNS:localhost")
    settings = names.settings()
    with Relay(certificate, simulator.url) as iamport, Relay(certificate, mongodb_address(settings)) as mongodb:
        one = worker(
            wrapper=[image.IN_IMAGE, "--authorities", authority.file, runnable.path],
            IMPCERT_KAFKA_BROKERS=by_name(settings["IMPCERT_KAFKA_BROKERS"]),
            IAMPORT_URL=by_name(iamport.url),
            MONGODB_URI=f"{by_name(mongodb.url).replace('https', 'mongodb')}/?directConnection=true&tls=true",
            **NO_TRUST_OF_THE_TESTS,
        )
        flow.wait_until_done(one)
        assert_confined(one.pid)
        one.stop()
    flow.assert_ends(documents=wanted)


def by_name(address):
    assert "127.0.0.1" in address
    return address.replace("127.0.0.1", "localhost")


def mongodb_address(settings):
    return settings["MONGODB_URI"].replace("mongodb:", "http:").partition("/?")[0]


def assert_confined(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    assert set(re.search(r"^Uid:(.*)$", status, re.M)[1].split()) == {"65532"}
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    assert ["ro" in fields[5].split(",") for fields in mounts if fields[4] == "/"] == [True]


@pytest.mark.parametrize("trusted, told", [(True, "does not exist"), (False, "certificate verify failed")])
def test_kafka_is_trusted_as_the_system_says(runnable, names, authority, tmp_path, trusted, told):
    """That the topic is missing is known only once the broker is trusted."""
    properties = tmp_path / "kafka.properties"
    properties.write_text("security.protocol=ssl\nmessage.timeout.ms=5000\ntopic.metadata.propagation.max.ms=0\n")
    brokers = names.settings()["IMPCERT_KAFKA_BROKERS"]
    with Relay(authority.certificate("server"), f"http://{brokers}") as relay, open(properties) as given:
        address = relay.url.removeprefix("https://")
        done = subprocess.run(
            runnable.command("impcert-publish", "imp_1", authorities=authority.file if trusted else None),
            env=clean_environment(
                {"IMPCERT_KAFKA_BROKERS": address, "IMPCERT_TOPIC": names.topic, "IMPCERT_KAFKA_CONFIG": "/dev/stdin"}
                | NO_TRUST_OF_THE_TESTS
            ),
            stdin=given,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1 and told in done.stderr, done.stderr


def test_the_dockerfile_has_the_version_of_the_project():
    version = re.search(r"^project\(impcert VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
    assert f"\nARG VERSION={version}\n" in image.DOCKERFILE.read_text()
    assert version == image.FACTS["VERSION"]


@pytest.mark.parametrize("tree", ["built"], indirect=True)
@pytest.mark.long
def test_a_built_image_says_what_it_is(tree):
    if tree.config is None:
        pytest.skip("no builder made it: there is no docker, podman or buildah")
    assert tree.config["User"] == "65532:65532"
    assert tree.config["Entrypoint"] == ["impcert-worker"] and not tree.config.get("Cmd")
    assert "PATH=/usr/bin" in tree.config["Env"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in tree.config["Labels"].items()}
    expected = {
        "version": image.FACTS["VERSION"],
        "revision": image.FACTS["REVISION"],
        "created": image.FACTS["CREATED"],
        "source": "https://git.example/impcert",
        "licenses": "Apache-2.0",
    }
    assert labels | expected == labels and {"title", "description"} <= labels.keys()


@pytest.mark.parametrize("tree", ["built"], indirect=True)
@pytest.mark.long
def test_a_built_image_does_the_demos_job(runnable, tmp_path, report):
    done = subprocess.run(
        [ROOT / "deploy/local/demo", "--programs", runnable.wrappers(tmp_path / "programs")],
        env=clean_environment({"TMPDIR": tmp_path}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9,950 stored, 50 dead-lettered" in done.stdout and done.stdout.count("✓") == 3
    size = sum(path.stat().st_size for path in runnable.files().values())
    rate = re.search(r"[\d,.]+ events/s", done.stdout)[0]
    report(f"the image has {size / 1e6:.1f} MB; the demo's worker from it does {rate}")
