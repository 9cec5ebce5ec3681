"""The demo, step by step. Its usage is in deploy/local/demo, which calls it."""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

import demo_screen as screen
from demo_parts import BIN, ROOT, Events, Failure, Gateway, Program, Shop, Simulator, Worker, end
from stack import Stack, StackError, wait_for
from support.flow import Letter, expected_document

OURS = ("impcert-worker", "impcert-publish", "impcert-gateway")
TOPIC, DLQ, GROUP, PARTITIONS = "certifications", "certifications.dlq", "impcert", 6
TRACE = "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IMP_UID = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEPT = "demo.kept"  # marks the directory of a stack that --keep left running
STALL_DEADLINE = 60
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHUNK = 10000
# What a worker of --iamport is told of the caller's environment.
OF_IAMPORT = ("IAMPORT_", "IMPCERT_ALLOW_HTTP", "IMPCERT_CA_FILE")


def stop(received, _frame):
    # Not sys.exit: what that raises is no instance yet, and gets lost in a callback of the Kafka client.
    raise SystemExit(128 + received)


def main():
    options = parse()
    for number in SIGNALS[1:]:
        signal.signal(number, stop)
    # The demo has servers of its own, whatever tests would be given.
    for name in ("STACK_KAFKA_BROKERS", "STACK_MONGODB_URI"):
        os.environ.pop(name, None)
    try:
        return stop_kept() if options.stop else Demo(options).run()
    except (Failure, StackError) as failure:
        sys.stdout.flush()
        print(f"\ndemo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; nothing is left running", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"demo: {message}\ndemo: deploy/local/demo --help tells more\n")


def parse():
    parser = Parser(prog="demo", add_help=False, allow_abbrev=False)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--events", type=_events)
    parser.add_argument("--latency", type=_latency)
    parser.add_argument("--programs", type=_programs, default=BIN)
    for name in ("--iamport", "--keep", "--stop"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("imp_uids", nargs="*", metavar="IMP_UID")
    options = parser.parse_intermixed_args()
    invented = options.events is not None or options.latency is not None
    others = (invented, options.iamport, options.keep, options.imp_uids, options.programs != BIN)
    if options.stop and any(others):
        parser.error("--stop goes alone")
    if options.iamport and invented:
        parser.error("--events and --latency are for the simulator, not for --iamport")
    if options.imp_uids and not options.iamport:
        parser.error("imp_uids are for --iamport")
    if options.iamport:
        _check_iamport(parser, options)
    if options.check:
        sys.exit()
    if options.iamport and options.imp_uids in ([], ["-"]):
        options.imp_uids = _read_imp_uids(parser)
    return options


def _events(text):
    if not re.fullmatch(r"\d{3,7}", text) or not 100 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 100 to 1000000")
    return int(text)


def _latency(text):
    if not re.fullmatch(r"\d{1,5}(ms|s)", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 100ms or 2s")
    return text


def _programs(text):
    missing = [name for name in OURS if not os.access(Path(text) / name, os.X_OK)]
    if missing:
        raise argparse.ArgumentTypeError(f"{text!r} has no program {missing[0]}")
    return Path(text).resolve()


def _check_iamport(parser, options):
    names = ("IAMPORT_KEY", "IAMPORT_SECRET")
    missing = [name for name in names if not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))]
    if missing:
        parser.error(f"--iamport needs your REST API key pair: set {' and '.join(missing)}")
    if options.imp_uids != ["-"]:
        _check_imp_uids(parser, options.imp_uids)


def _check_imp_uids(parser, imp_uids):
    for imp_uid in imp_uids:
        if not IMP_UID.fullmatch(imp_uid):
            parser.error(f"{imp_uid!r} is not an imp_uid: 1 to 64 letters, digits, _ and -")


def _read_imp_uids(parser):
    if sys.stdin.isatty():
        print("imp_uids, one per line; Ctrl-D after the last:")
    imp_uids = sys.stdin.read().split()
    if not imp_uids:
        parser.error("no imp_uid was given, and --iamport invents none")
    _check_imp_uids(parser, imp_uids)
    return imp_uids


class Demo:
    def __init__(self, options):
        self.options = options
        self.stack = Stack()
        self.worker = self.simulator = self.gateway = self.shop = None
        self.cpu_before = self.started = self.stored = self.seconds = None
        if options.iamport:
            self.imp_uids, self.invalid = list(dict.fromkeys(options.imp_uids)), []
        else:
            self.events = Events(options.events or 10000)
            self.imp_uids, self.invalid = self.events.imp_uids, self.events.invalid
        self.total = len(self.imp_uids) + len(self.invalid)

    def run(self):
        print(screen.bold("impcert demo"))
        build(self.options.programs, ["impcert-gateway"] if self.options.keep else [])
        Program.directory = self.options.programs
        kept = False
        try:
            self.start()
            self.verify()
            right = self.show_iamport() if self.options.iamport else self.show()
            if self.options.keep:
                self.tell_how_to_talk()
                kept = True
            else:
                self.worker.stop()
        finally:
            if not kept:
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                if self.stack.kafka:
                    self.stack.stop()
        return 0 if right else 1

    def start(self):
        with screen.step("start") as words:
            self.stack.start(owned=not self.options.keep)
            for topic, partitions in ((TOPIC, PARTITIONS), (DLQ, 1)):
                self.stack.kafka.create_topic(topic, partitions)
            if self.options.iamport:
                settings = {name: value for name, value in os.environ.items() if name.startswith(OF_IAMPORT)}
            else:
                self.simulator = Simulator(self.stack, self.options.latency or "0ms")
                settings = self.simulator.settings()
            self.worker = Worker(self.stack, settings)
            self.worker.wait_until_ready()
            if self.options.keep:
                self.shop = Shop(self.stack)
                self.gateway = Gateway(self.stack, self.shop.origin)
                self.gateway.wait_until_ready()
            simulator = [f"simulator {address(self.simulator.url)}"] if self.simulator else []
            servers = [f"Kafka {self.stack.kafka.brokers}", f"MongoDB {self.stack.mongodb.address}"]
            words.append(", ".join([*servers, *simulator]))

    def verify(self):
        """Publishes all events while the worker is at it, until it says that all are done."""
        good = f"{self.total - len(self.events.reasons):,} good" if self.simulator else "yours"
        bad = f", {len(self.events.reasons)} bad" if self.simulator else ""
        print(f"  publish  {self.total:,} events: {good}{bad}")
        self.cpu_before, self.started = self.worker.cpu_seconds(), time.monotonic()
        with screen.step("verify") as words:
            if self.invalid:
                self.stack.kafka.produce(TOPIC, [(None, value) for value in self.invalid])
            publisher = self.publish()
            words.append(self.watch(publisher))

    def publish(self):
        listed = self.stack.directory / "imp_uids"
        listed.write_text("".join(f"{imp_uid}\n" for imp_uid in self.imp_uids))
        with open(listed) as lines:
            return Program(self.stack, "impcert-publish", "--header", TRACE, stdin=lines)

    def watch(self, publisher):
        """Shows progress until every event is done; returns it in words."""
        progress, last, changed = screen.Progress("verify"), (None, None), time.monotonic()
        names = ("impcert_events_stored_total", "impcert_events_dead_lettered_total")
        while True:
            stored, dead = counts = self.worker.metric(*names)
            words = f"{stored:,} stored, {dead:,} dead-lettered"
            if sum(counts) >= self.total and publisher.finished() and last == counts:
                return words
            publisher.finished()
            progress.show(sum(counts), self.total, words)
            if stored != last[0]:
                # What fails takes a retry topic, whose delay is no part of the throughput.
                self.stored, self.seconds = stored, time.monotonic() - self.started
            if counts != last:
                last, changed = counts, time.monotonic()
            if time.monotonic() - changed > STALL_DEADLINE:
                raise Failure(f"nothing has moved for {STALL_DEADLINE} s; {self.worker.log_tail()}")
            time.sleep(0.05)

    def show(self):
        letters = [Letter(record) for record in self.stack.kafka.records(DLQ)]
        with self.stack.mongodb.client() as client:
            documents = client.impcert.certifications
            self.show_documents(documents)
            show_letters(letters)
            return self.show_result(documents, letters)

    def show_documents(self, documents):
        count = documents.count_documents({})
        screen.heading("Documents", f"MongoDB impcert.certifications holds {count:,}; two of them")
        for document in documents.find({"_id": {"$in": self.events.good[:2]}}).sort("_id"):
            print(textwrap.indent(as_text(document), "  "))

    def show_result(self, documents, letters):
        self.show_throughput()
        reasons = Counter((letter.value, letter.reason) for letter in letters)
        checks = {
            "each good event is a document, equal to what Iamport holds": self.documents_are_right(documents),
            "each bad event is a dead letter, byte for byte, with its reason": reasons
            == Counter(self.events.reasons.items()),
            "the offset of each event is committed: the group's lag is 0": self.is_committed(),
        }
        screen.heading("Checked")
        for text, right in checks.items():
            print(f"  {screen.mark(right)} {text}")
        return all(checks.values())

    def show_throughput(self):
        cpu = (self.worker.cpu_seconds() - self.cpu_before) / self.total * 10000
        screen.heading("Throughput", "from the first event published to the last done, its backoff included")
        print(
            f"  {self.stored / self.seconds:,.0f} events/s,"
            f" {cpu:.2f} CPU seconds of the worker per 10,000 events,"
            f" {self.worker.memory():.0f} MiB resident"
        )

    def documents_are_right(self, documents):
        good = self.events.good
        if documents.count_documents({}) != len(good):
            return False
        chunks = [good[start : start + CHUNK] for start in range(0, len(good), CHUNK)]
        return all(self.chunk_is_right(documents, chunk) for chunk in chunks)

    def chunk_is_right(self, documents, imp_uids):
        expected = {uid: expected_document(r) for uid, r in self.simulator.certifications(imp_uids).items()}
        found = documents.find({"_id": {"$in": imp_uids}}, {"verified_at": False})
        return {document["_id"]: document for document in found} == expected

    def is_committed(self):
        try:
            return wait_for(lambda: self.stack.kafka.lag(GROUP, TOPIC) == 0, 30, "", error=Failure)
        except Failure:
            return False

    def show_iamport(self):
        """What became of each imp_uid."""
        letters = {letter.key.decode(): letter for letter in map(Letter, self.stack.kafka.records(DLQ))}
        with self.stack.mongodb.client() as client:
            found = client.impcert.certifications.find({"_id": {"$in": self.imp_uids}})
            documents = {document["_id"]: document for document in found}
        screen.heading("What became of them")
        for imp_uid in self.imp_uids:
            if imp_uid in documents:
                print(f"  {screen.mark(True)} {imp_uid}  stored")
                print(textwrap.indent(as_text(documents[imp_uid]), "      "))
            elif imp_uid in letters:
                facts = letters[imp_uid].facts
                print(f"  {screen.mark(False)} {imp_uid}  dead letter, {facts['reason']}: {facts['error']}")
            else:
                print(f"  {screen.mark(False)} {imp_uid}  neither a document nor a dead letter")
        return all(imp_uid in documents or imp_uid in letters for imp_uid in self.imp_uids)

    def tell_how_to_talk(self):
        (self.stack.directory / KEPT).touch()
        brokers, port = self.stack.kafka.brokers, self.stack.mongodb.ports[0]
        find = f"print(pymongo.MongoClient(port={port}).impcert.certifications.find_one())"
        post = "-H 'Content-Type: application/json' -d '{\"imp_uid\": \"imp_2\"}'"
        rows = [
            ("page", self.shop.page(self.gateway)),
            ("post", f"curl {self.gateway.url}/certifications \\\n              {post}"),
            ("publish", f"IMPCERT_KAFKA_BROKERS={brokers} {shown(self.options.programs)}/impcert-publish imp_1"),
            ("events", f"kcat -b {brokers} -Ceq -t {TOPIC}"),
            ("DLQ", f"kcat -b {brokers} -Ceq -t {DLQ} -f '%k %s\\n  %h\\n'"),
            ("MongoDB", f"mongosh '{self.stack.mongodb.uri}'"),
            ("document", f"$(tests/stack/venv)/bin/python -c \\\n              'import pymongo; {find}'"),
            ("worker", f"curl {self.worker.url}/metrics    curl {self.worker.url}/readyz"),
            ("gateway", f"curl {self.gateway.url}/metrics    curl {self.gateway.url}/readyz"),
            ("logs", f"tail -f {self.stack.directory}/impcert-{{worker,gateway}}.log"),
            ("stop it", "deploy/local/demo --stop"),
        ]
        if self.simulator:
            rows.insert(-2, ("Iamport", f"curl {self.simulator.url}/_control/counters"))
        screen.heading("Left running", f"from {ROOT}:")
        for name, command in rows:
            print(f"  {name:9} {command}")


def shown(path):
    """The path as the user of this clone would write it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def build(wanted, more=()):
    """A release build of what the demo runs and `wanted` does not have; quiet unless it fails."""
    log = ROOT / "build/demo.log"
    log.parent.mkdir(exist_ok=True)
    ours = ("impcert-worker", "impcert-publish", *more) if wanted == BIN else ()
    commands = (
        ["cmake", "--preset", "release", "-DBUILD_TESTING=ON"],
        ["cmake", "--build", "--preset", "release", "--target", "impcert-simulator", *ours],
    )
    with screen.step("build") as words, open(log, "w") as output:
        for command in commands:
            if run_alone(command, output) != 0:
                tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-30:])
                raise Failure(f"the build failed; {log} ends so:\n  {tail}")
        words.append(f"release, in {shown(BIN)}" if ours else f"the simulator alone; programs of {shown(wanted)}")


def run_alone(command, output):
    """The exit status of a command whose whole family ends if the demo is told to."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise


def as_text(document):
    """The document as extended JSON. What identifies a person is cut short."""
    from bson.json_util import RELAXED_JSON_OPTIONS, dumps

    shown = {
        name: value[:4] + "…" if value and name in ("unique_key", "unique_in_site") else value
        for name, value in document.items()
    }
    how = {"json_options": RELAXED_JSON_OPTIONS, "ensure_ascii": False}
    members = [dumps({name: value}, **how)[1:-1] for name, value in shown.items()]
    # Lines break between members only.
    text = ", ".join(members).replace(" ", "\0").replace(",\0", ", ")
    lines = textwrap.wrap(text, screen.WIDTH - 6, break_long_words=False, break_on_hyphens=False)
    return "{" + "\n ".join(lines).replace("\0", " ") + "}"


def show_letters(letters):
    screen.heading("Dead letters", f"{DLQ} holds {len(letters)}")
    by_reason = {}
    for letter in letters:
        by_reason.setdefault(letter.reason, []).append(letter)
    for reason, found in sorted(by_reason.items()):
        print("  " + screen.fit(f"{len(found):3} {reason:15} {found[0].facts['error']}"))
    for letter in by_reason.get("unavailable", [])[:1]:
        print(f"  one of them: {letter.value.decode()}, headers")
        own = [(f"impcert.{name}", value) for name, value in letter.facts.items()]
        for name, value in [*((name, value.decode()) for name, value in letter.headers), *own]:
            print("    " + screen.fit(f"{name:24} {value}"))


def address(url):
    return url.removeprefix("http://")


def stop_kept():
    """Ends what --keep left running, in order."""
    marked = Path(tempfile.gettempdir()).glob(f"impcert-stack.*/{KEPT}")
    kept = [path.parent for path in marked if path.stat().st_uid == os.getuid()]
    for directory in kept:
        for name in ("impcert-gateway", "impcert-worker"):
            end(directory, name)
        Stack.find(directory).stop()
        print(f"stopped the demo of {directory}")
    if not kept:
        print("no demo was left running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
