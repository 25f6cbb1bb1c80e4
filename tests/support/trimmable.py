"""MiniStack whose streams lose their records when a test says so, not after 24 hours."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tools.local import ministack, ports
from tools.local.processes import Launch, Server, running

_PROGRAM = """
import pathlib, runpy, sys
import ministack.services.dynamodb as dynamodb
file = pathlib.Path(sys.argv.pop(1))
dynamodb._record_age_cutoff  # fails when it has another name
dynamodb._record_age_cutoff = lambda record, _: record["dynamodb"]["SequenceNumber"] <= file.read_text()
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
"""
"""Sequence numbers of MiniStack have one length, and count up over all its tables."""


class Trimmer:
    """Says what a trimmable MiniStack has lost."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder.absolute() / "trimmed"
        self.file.write_text("")

    def trim_to(self, sequence_number: str) -> None:
        """From now on no stream has records up to this one; nothing is trimmed for an empty one."""
        self.file.write_text(sequence_number)


class TrimmableServer:
    """``server``: a MiniStack of its own."""

    def __init__(self, server: Server, trimmer: Trimmer) -> None:
        self.server, self.trim_to = server, trimmer.trim_to


def plan_trimmable(folder: Path) -> tuple[Launch, Trimmer]:
    """How to start one that has trimmed nothing."""
    trimmer = Trimmer(folder)
    launch = ministack.plan_launch(folder.absolute(), ports.free_port())
    python, *_ = launch.command
    return replace(launch, command=(python, "-c", _PROGRAM, str(trimmer.file))), trimmer


@contextmanager
def trimmable_ministack(folder: Path) -> Iterator[TrimmableServer]:
    """A fresh one that has trimmed nothing."""
    launch, trimmer = plan_trimmable(folder)
    with running(launch) as server:
        yield TrimmableServer(server, trimmer)
