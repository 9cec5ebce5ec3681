"""One round: publish and strike for as long as the plan says, heal, wait until nothing is left, and judge."""

import shutil
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from support import wait_for
from support.program import ROOT

from . import oracle
from .diary import Diary
from .events import CommandLine, Publisher, stream
from .plan import Plan
from .system import System

READY_DEADLINE = 90
DONE_DEADLINE = 240
STOP_DEADLINE = 60


class Round:
    def __init__(self, seed, kills, stack, environment, directory):
        self._plan, self.diary = Plan(seed, kills), Diary(seed)
        self.system = System(stack, environment, directory, self._plan, self.diary)
        self._abandoned, self._healed, self._quiet = threading.Event(), threading.Event(), threading.Event()
        self._publisher = self._command_line = None

    def run(self):
        """Raises what is wrong; otherwise returns a line about what happened."""
        system = self.system
        try:
            system.start()
            names = system.names
            self._publisher = Publisher(system.stack.kafka, names.topic, stream(self._plan.random("events")))
            self._command_line = CommandLine(names.settings(), system.environment)
            self._publish_and_strike()
            self._stop_workers()
            line = self._judge()
        finally:
            for program in system.programs:
                program.kill()
        names.clean_up()
        return line

    def keep_logs(self):
        """Writes all that was logged to build/reports/chaos-SEED; returns the directory."""
        directory = ROOT / "build" / "reports" / f"chaos-{self._plan.seed}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "diary.log").write_text(self.diary.log_tail() + "\n")
        for program in self.system.programs:
            lines = [*program.stdout, *program.stderr, ""]
            (directory / f"{program.name}-{program.pid}.log").write_text("\n".join(lines))
        for server in (self.system.stack.kafka, self.system.stack.mongodb):
            shutil.copy(server.log, directory)
        return directory

    def _publish_and_strike(self):
        """Lanes strike side by side; the first that fails ends the others, which still undo what they did."""
        with ThreadPoolExecutor(len(self._plan.lanes) + 2) as pool:
            publishers = [
                pool.submit(one.run, self._healed, self._quiet) for one in (self._publisher, self._command_line)
            ]
            try:
                self._join([pool.submit(self._lane, *lane) for lane in self._plan.lanes.items()])
                self.diary.note("healed")
                self._healed.set()
                self._wait_until_caught_up()
            finally:
                for event in (self._abandoned, self._healed, self._quiet):
                    event.set()
            self._join(publishers)
        for topic in self.system.topics:
            self._wait_until_worked_off(topic)  # nobody publishes any more: this is a lag of 0

    @staticmethod
    def _join(futures):
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()

    def _lane(self, name, steps):
        for step in steps:
            if self._abandoned.wait(step.gap):
                return
            if name == "workers":
                self.system.assert_workers_run()  # other lanes can't tell a fault from an end of its own
            self._strike(step)

    def _strike(self, step):
        fault, target = step.fault, () if step.target is None else (step.target,)
        detail = "".join(f" {number}" for number in target) + f" for {step.hold:.1f} s"
        with self.diary.fault(fault.name, detail, fault.effect), fault.strike(self.system, *target):
            self._abandoned.wait(step.hold)

    def _wait_until_caught_up(self):
        """Until what was published before the healing has left the main topic and the retry topics, one by one."""
        for worker in self.system.workers:
            worker.wait_until_ready(READY_DEADLINE)
        self.diary.note("workers are ready")
        for topic in self.system.topics:
            self._wait_until_worked_off(topic)

    def _wait_until_worked_off(self, topic):
        """Until the group has committed whatever the topic holds now."""
        kafka, group = self.system.stack.kafka, self.system.names.group_of(topic)
        ends = kafka.end_offsets(topic)

        def passed():
            self.system.assert_workers_run()
            committed = kafka.committed(group, topic)
            behind = {p: (committed[p], end) for p, end in ends.items() if committed[p] < end}
            assert not behind, f"committed and wanted by partition: {behind}"
            return True

        wait_for(passed, DONE_DEADLINE, f"{topic} to be worked off")
        self.diary.note(f"worked off: {topic}")

    def _stop_workers(self):
        for worker in self.system.workers:
            code = worker.stop(STOP_DEADLINE)
            assert code == 0, f"{worker} ended with {code} after SIGTERM"

    def _judge(self):
        judge = oracle.Oracle(self.system)
        judge.judge(self._publisher.acknowledged, self._command_line.acknowledged)
        calls = self.system.iamport.calls()
        once = {imp_uid: number for imp_uid, number in calls.items() if imp_uid.startswith("imp_")}
        events, documents, letters = judge.counts()
        kills = sum(number for what, number in self.diary.counts.items() if what.endswith("kill -9"))
        faults = ", ".join(f"{number} x {what}" for what, number in sorted(self.diary.counts.items()))
        return (
            f"seed {self._plan.seed}: {events} events ({self._publisher.refused} not acknowledged) ended as "
            f"{documents} documents and {letters} dead letters; of {len(once)} good imp_uids "
            f"{sum(once.values()) - len(once)} calls were repeated, {kills} kills\n        {faults}"
        )
