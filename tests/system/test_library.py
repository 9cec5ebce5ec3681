"""libimpcert as others get it: installed, seen from outside, built against in every way, and on a real broker."""

import os
import re
import shutil
import subprocess
from collections import namedtuple

import pytest
from confluent_kafka import KafkaException

from stack import wait_for
from support.program import ROOT, SANITIZED, clean_environment

BUILD = ROOT / os.environ.get("STACK_BUILD", "build/release")
HEADER = ROOT / "producer/include/impcert.h"
EXAMPLE = ROOT / "producer/examples/publish.c"
THREADS = ROOT / "tests/system/library/threads.c"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOWHERE = "127.0.0.1:1"  # nothing listens on port 1
OK, UNAVAILABLE, CLOSED = 0, 3, 6
PROJECT = """\
cmake_minimum_required(VERSION 3.25)
project(example LANGUAGES C)
find_package(impcert 0.1 CONFIG REQUIRED COMPONENTS {component})
add_executable(publish {source})
target_link_libraries(publish PRIVATE {target})
"""

End = namedtuple("End", "calls status")


def run(*command, environment=None, deadline=120, **options):
    """A command that has to succeed; its standard output."""
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=deadline,
        env=os.environ | (environment or {}),
        **options,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def sanitizer_flags(directory):
    """What a program needs besides where the library is built with a sanitizer."""
    if str(BUILD).endswith("asan"):
        return ["-fsanitize=address,undefined"]
    if str(BUILD).endswith("tsan"):
        threads = directory / "c11_threads.o"
        run("cc", "-D_GNU_SOURCE", "-c", ROOT / "tests/tsan/c11_threads.c", "-o", threads)
        return ["-fsanitize=thread", "-rdynamic", str(threads)]
    return []


class Package:
    """The library below a prefix, which has been moved after the installation, and programs built against it."""

    def __init__(self, directory):
        self._directory, self._built = directory, {}
        run("cmake", "--install", BUILD, "--prefix", directory / "first")
        self.prefix = directory / "moved"
        shutil.move(directory / "first", self.prefix)
        [self._pkgconfig] = {path.parent for path in self.prefix.rglob("impcert*.pc")}
        self.libraries = self._pkgconfig.parent
        self.shared = self.libraries / f"libimpcert.so.{self.version}"
        self.static = self.libraries / "libimpcert.a"
        self._flags = sanitizer_flags(directory)

    @property
    def version(self):
        return self.pkg_config("--modversion", "impcert")[0]

    def files(self):
        """Everything below the prefix, programs aside."""
        found = (path.relative_to(self.prefix) for path in self.prefix.rglob("*") if not path.is_dir())
        return {str(path) for path in found if path.parts[0] != "bin"}

    def pkg_config(self, *arguments):
        return run("pkg-config", *arguments, environment={"PKG_CONFIG_PATH": str(self._pkgconfig)}).split()

    def program(self, way, source=EXAMPLE):
        """A program built in one of the WAYS, once."""
        if (way, source) not in self._built:
            directory = self._directory / f"{source.stem}-{way}"
            directory.mkdir()
            self._built[way, source] = WAYS[way](self, directory, source)
        return self._built[way, source]

    def by_pkg_config(self, directory, source, package, compiler=("cc", "-std=c11", "-D_DEFAULT_SOURCE")):
        flags = self.pkg_config("--cflags", "--libs", package)
        search = f"-Wl,-rpath,{self.libraries}" if package == "impcert" else "-Wl,--as-needed"
        run(*compiler, *STRICT, source, "-o", directory / "publish", *flags, search, *self._flags)
        return directory / "publish"

    def by_cmake(self, directory, source, component, target):
        text = PROJECT.format(source=source, component=component, target=target)
        (directory / "CMakeLists.txt").write_text(text)
        flags = " ".join(self._flags)
        where = ["-S", directory, "-B", directory / "build", "-G", "Ninja"]
        run("cmake", *where, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_EXE_LINKER_FLAGS={flags}")
        run("cmake", "--build", directory / "build")
        return directory / "build/publish"


WAYS = {
    "pkg-config": lambda package, *where: package.by_pkg_config(*where, "impcert"),
    "pkg-config-static": lambda package, *where: package.by_pkg_config(*where, "impcert-static"),
    "cmake": lambda package, *where: package.by_cmake(*where, "shared", "impcert::impcert"),
    "cmake-static": lambda package, *where: package.by_cmake(*where, "static", "impcert::static"),
    "c++": lambda package, *where: package.by_pkg_config(*where, "impcert", ("c++", "-x", "c++", "-std=c++11")),
}
IS_STATIC = {"pkg-config-static", "cmake-static"}


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    return Package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def topic(names, stack):
    stack.kafka.create_topic(names.topic, 7)
    return names.topic


@pytest.fixture
def execute(names):
    """execute(program, *arguments) runs it on the test's topic to its end."""

    def start(program, *arguments, **settings):
        environment = clean_environment(names.publish_settings() | settings)
        return subprocess.run(
            [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment
        )

    return start


def needed(file):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", file)))


def symbols(*command):
    """Names that the linker may take from a library."""
    return {line.split()[-1].partition("@")[0] for line in run("nm", "--defined-only", *command).splitlines() if " T " in line}


def declared():
    """The functions of impcert.h."""
    return set(re.findall(r"^IMPCERT_API[^;(]*?\*?(\w+)\(", HEADER.read_text(), re.M))


def murmur2(data):
    """As Java's Kafka client has it (org.apache.kafka.common.utils.Utils)."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * multiplier & mask
        part = (part ^ part >> 24) * multiplier & mask
        value = value * multiplier & mask ^ part
    if data[whole:]:
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


def ends(output):
    """{imp_uid: End} of what threads.c prints."""
    lines = [line.split() for line in output.splitlines()]
    return {imp_uid: End(int(calls), int(status)) for imp_uid, calls, status in lines}


# ---- what is installed ----


def test_the_package_is_the_library_and_one_header(package):
    assert [path for path in package.files() if path.endswith(".h")] == ["include/impcert.h"]
    assert package.shared.exists() and package.static.exists()
    assert (package.libraries / "libimpcert.so").resolve() == package.shared
    assert (package.libraries / "libimpcert.so.0").resolve() == package.shared


def test_only_the_functions_of_the_header_are_visible(package):
    names = declared()
    assert {"impcert_open", "impcert_publish", "impcert_version"} <= names
    assert symbols("-D", package.shared) == names
    assert symbols("-g", package.static) == names
    others = run("nm", "-D", "--defined-only", package.shared).splitlines()
    assert {line.split()[-1] for line in others if " T " not in line} == {"IMPCERT_0.1"}
    if not SANITIZED:
        global_symbols = run("nm", "-g", "--defined-only", package.static)
        assert not re.findall(r"^\S+ [^T] .*", global_symbols, re.M), "variables are no part of the interface"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime is needed as well")
def test_the_shared_library_needs_only_what_it_uses(package):
    about = run("readelf", "-d", package.shared)
    assert re.findall(r"\(SONAME\).*\[(.*)\]", about) == ["libimpcert.so.0"]
    assert needed(package.shared) == {"librdkafka.so.1", "libjansson.so.4", "libc.so.6"}
    assert "RPATH" not in about and "RUNPATH" not in about
    assert "TEXTREL" not in about


def test_destdir_and_components_are_respected(tmp_path):
    components = ("runtime", "library", "development")
    for component in components:
        environment = {"DESTDIR": str(tmp_path / component)}
        run("cmake", "--install", BUILD, "--prefix", "/usr", "--component", component, environment=environment)
    files = {
        component: {path.name for path in (tmp_path / component / "usr").rglob("*") if not path.is_dir()}
        for component in components
    }
    assert files["runtime"] == {"impcert-worker", "impcert-gateway", "impcert-publish", "impcert-replay"}
    assert files["library"] == {"libimpcert.so.0", "libimpcert.so.0.1.0"}
    assert files["development"] >= {"impcert.h", "libimpcert.so", "libimpcert.a", "impcert.pc", "impcert-config.cmake"}
    assert not files["library"] & files["development"]


def test_pkg_config_knows_what_the_static_library_hangs_on(package):
    where, what = package.pkg_config("--libs", "impcert")
    assert (os.path.realpath(where.removeprefix("-L")), what) == (str(package.libraries), "-limpcert")
    assert {"-lrdkafka", "-ljansson", "-limpcert"} <= set(package.pkg_config("--static", "--libs", "impcert"))


@pytest.mark.parametrize("version, fits", [("0.1", True), ("0.0.9", True), ("0.2", False), ("1.0", False)])
def test_cmake_finds_it_by_version(package, tmp_path, version, fits):
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C)\nfind_package(impcert {version} CONFIG)\n"
        'message("found=${impcert_FOUND}")\n'
    )
    command = ["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={package.prefix}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"found={int(fits)}" in done.stderr


def test_the_header_stands_alone_in_c_and_in_cpp(package, tmp_path):
    file = tmp_path / "alone.h"
    file.write_text("#include <impcert.h>\nstatic struct impcert_options options = IMPCERT_OPTIONS_INIT;\n"
                    "static struct impcert_event event = IMPCERT_EVENT(0);\n"
                    "static inline size_t both(void) { return options.size + event.size; }\n")
    include = f"-I{package.prefix}/include"
    for language in ("-xc", "-std=c99"), ("-xc", "-std=c17"), ("-xc++", "-std=c++98"), ("-xc++", "-std=c++20"):
        compiler = "c++" if "c++" in language[0] else "cc"
        run(compiler, *language, *STRICT, "-Wno-unused-function", "-Wno-long-long", "-fsyntax-only", include, file)


def test_names_of_the_program_do_not_clash_with_the_static_library(package, tmp_path):
    source = tmp_path / "own.c"
    names = "log_setup error_set settings_open event_parse kafka_open clock_ns flight_init impcert_error_set"
    own = "".join(f"int {name}(void);\nint {name}(void)\n{{\n    return 1;\n}}\n" for name in names.split())
    sum_of_them = " + ".join(f"{name}()" for name in names.split())
    call = "impcert_close(impcert_open(NULL, NULL), 0)"
    source.write_text(f"#include <impcert.h>\n{own}int main(void)\n{{\n    return {call} + {sum_of_them};\n}}\n")
    program = WAYS["pkg-config-static"](package, tmp_path, source)
    settings = {"IMPCERT_KAFKA_BROKERS": NOWHERE}
    assert subprocess.run([program], env=clean_environment(settings)).returncode == len(names.split())


# ---- the example ----


@pytest.mark.parametrize("way", WAYS)
def test_the_example_publishes_however_it_was_built(package, execute, names, stack, topic, way):
    program = package.program(way)
    imp_uids = [f"imp_{number}" for number in range(20)]
    done = execute(program, *imp_uids)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    records = names.records()
    assert {record.key: record.value for record in records} == {
        imp_uid.encode(): b'{"imp_uid": "%s"}' % imp_uid.encode() for imp_uid in imp_uids
    }
    assert len(records) == 20
    assert all(record.headers == [] for record in records)
    assert {(record.key, record.partition) for record in records} == {
        (record.key, (murmur2(record.key) & 0x7FFFFFFF) % 7) for record in records
    }
    assert ("libimpcert.so.0" in needed(program)) == (way not in IS_STATIC)


def test_the_example_says_what_is_wrong_with_the_settings(package, execute):
    done = execute(package.program("pkg-config"), "imp_1", IMPCERT_KAFKA_BROKERS=None, IMPCERT_TOPIC="a/b", IMPCERT_TOPCI="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.findall(r"^(IMPCERT_\w+): ", done.stderr, re.M) == [
        "IMPCERT_KAFKA_BROKERS",
        "IMPCERT_TOPIC",
        "IMPCERT_TOPCI",
    ]


def test_settings_may_stand_in_files(package, execute, names, topic, tmp_path):
    (tmp_path / "brokers").write_text(names.settings()["IMPCERT_KAFKA_BROKERS"] + "\n")
    (tmp_path / "topic").write_text(topic)
    files = {"IMPCERT_KAFKA_BROKERS_FILE": tmp_path / "brokers", "IMPCERT_TOPIC_FILE": tmp_path / "topic"}
    done = execute(package.program("pkg-config"), "imp_1", IMPCERT_KAFKA_BROKERS=None, IMPCERT_TOPIC=None, **files)
    assert (done.returncode, done.stderr) == (0, "")
    assert [record.key for record in names.records()] == [b"imp_1"]


def test_the_example_goes_on_behind_a_refused_event_and_a_full_queue(package, execute, names, topic, properties):
    imp_uids = [f"imp_{number}" for number in range(500)]
    settings = properties("queue.buffering.max.messages=3")
    done = execute(package.program("pkg-config"), "imp 1", *imp_uids, **settings)
    assert done.returncode == 1
    assert done.stderr == "imp 1: imp_uid has a character other than A-Z a-z 0-9 _ - at byte 4\n"
    assert sorted(record.key.decode() for record in names.records()) == sorted(imp_uids)


def test_a_missing_topic_is_told(package, execute, properties):
    settings = properties("topic.metadata.propagation.max.ms=100")
    done = execute(package.program("pkg-config"), "imp_1", **settings)
    assert done.returncode == 1
    assert "imp_1: Broker: Unknown topic" in done.stderr or "imp_1: Local: Unknown topic" in done.stderr


# ---- many events, from many threads ----


def test_threads_share_a_handle_and_each_event_ends_once(package, execute, names, topic):
    done = execute(package.program("pkg-config", THREADS), 8, 10_000)
    assert (done.returncode, done.stderr) == (0, "")
    found = ends(done.stdout)
    assert len(found) == 80_000
    assert set(found.values()) == {End(calls=1, status=OK)}
    records = names.records()
    assert len(records) == 80_000
    assert {record.key.decode() for record in records} == set(found)
    headers = [("traceparent", TRACE), ("shop", b"a"), ("empty", b""), ("null", None)]
    for record in records:
        number = record.key.split(b"_")[-1]
        assert record.value == b'{"imp_uid": "%s", "n": %s}' % (record.key, number)
        assert record.headers == headers


def test_without_a_broker_nothing_is_written_and_each_event_ends_once(package, execute, properties):
    settings = properties("message.timeout.ms=1000") | {"IMPCERT_KAFKA_BROKERS": NOWHERE}
    done = execute(package.program("pkg-config", THREADS), 4, 1000, **settings)
    assert (done.returncode, done.stderr) == (CLOSED, "")
    found = ends(done.stdout)  # which takes no line but the program's own
    assert len(found) == 4000
    assert set(found.values()) == {End(calls=1, status=UNAVAILABLE)}


def test_a_killed_broker_loses_no_acknowledged_event(package, names, stack, topic, report):
    program = package.program("pkg-config", THREADS)
    environment = clean_environment(names.publish_settings())

    def written():
        try:
            return sum(stack.kafka.end_offsets(topic).values())
        except KafkaException:
            return 0  # a leader that is new or just back may not answer yet

    with subprocess.Popen(
        [program, "8"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            wait_for(lambda: written() > 10_000, 30, "10,000 events on the topic")
            stack.kafka.kill()
            stack.kafka.start()
            after = wait_for(written, 30, "the topic's leaders")
            wait_for(lambda: written() > after + 10_000, 60, "10,000 more after the broker is back")
            output, errors = process.communicate("", 120)
        finally:
            process.kill()
            stack.kafka.start()
    found = ends(output)
    assert errors == ""
    assert {end.calls for end in found.values()} == {1}
    acknowledged = {imp_uid for imp_uid, end in found.items() if end.status == OK}
    assert process.returncode == (OK if len(acknowledged) == len(found) else CLOSED)
    keys = [record.key.decode() for record in names.records()]
    assert acknowledged <= set(keys)
    assert set(keys) <= set(found)
    report(f"{len(acknowledged)} of {len(found)} events acknowledged, {len(keys) - len(set(keys))} of them twice on the topic")
