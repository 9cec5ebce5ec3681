"""The workers that are compared, each with what starts it and how many events keep it busy for some seconds."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.program import ROOT, binary

PEERS = Path(__file__).resolve().parent / "peers"
BUILD = ROOT / "build/bench"


@dataclass(frozen=True)
class Contestant:
    name: str  # on the command line
    title: str  # in the table
    rate: int = 0  # events/s that it may reach without latency, to choose the number of events by
    one_by_one: bool = False  # never more under way than the topic has partitions
    peer: str = ""  # its folder in peers
    needs: tuple = ()  # programs
    arguments: tuple = ()
    own: str = "impcert-worker"  # the program, where there is no peer
    settings: dict = field(default_factory=dict)

    def missing(self):
        return [program for program in self.needs if not shutil.which(program)]

    def build(self):
        if self.peer:
            folder = BUILD / self.peer
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run([PEERS / self.peer / "build", folder], check=True, stdout=subprocess.DEVNULL)

    def command(self):
        if self.peer:
            return [str(PEERS / self.peer / "start"), str(BUILD / self.peer), *self.arguments]
        return [binary(self.own)]

    def environment(self, in_flight):
        """`in_flight` is of the whole process; ours counts by worker."""
        if self.peer:
            return {"IMPCERT_IN_FLIGHT": str(in_flight)} | self.settings
        workers = int(self.settings.get("IMPCERT_WORKERS", len(os.sched_getaffinity(0))))
        return {"IMPCERT_IN_FLIGHT": str(-(-in_flight // workers)), "IMPCERT_HTTP_LISTEN": "127.0.0.1:0"} | self.settings


IMPCERT = Contestant("impcert", "impcert", 30000, settings={"IMPCERT_WORKERS": "1"})

CONTESTANTS = (
    IMPCERT,
    Contestant("go", "Go, franz-go, insert first", 30000, peer="go", needs=("go",)),
    Contestant(
        "node", "node, batched and concurrent", 3000, peer="node", needs=("node", "npm"), arguments=("batched",)
    ),
    Contestant(
        "blog",
        "node, kafkajs + axios, one by one",
        1000,
        one_by_one=True,
        peer="node",
        needs=("node", "npm"),
        arguments=("blog",),
    ),
    Contestant("java", "Java, Confluent Parallel Consumer", 2500, peer="java", needs=("java", "javac", "mvn")),
)
BY_NAME = {contestant.name: contestant for contestant in CONTESTANTS}
