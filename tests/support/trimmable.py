"""MiniStack whose streams lose their records when a test says so, not after 24 hours."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tools.local import ministack, ports
from tools.local.processes import Server, running

_PROGRAM = """
import pathlib, runpy, sys
import ministack.services.dynamodb as dynamodb
file = pathlib.Path(sys.argv.pop(1))
dynamodb._record_age_cutoff  # fails when it has another name
dynamodb._record_age_cutoff = lambda record, _: record["dynamodb"]["SequenceNumber"] <= file.read_text()
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
"""
"""Sequence numbers of MiniStack have one length, and count up over all its tables."""


class TrimmableServer:
    """``server``: a MiniStack of its own."""

    def __init__(self, server: Server, file: Path) -> None:
        self.server, self._file = server, file

    def trim_to(self, sequence_number: str) -> None:
        """From now on no stream has records up to this one."""
        self._file.write_text(sequence_number)


@contextmanager
def trimmable_ministack(folder: Path) -> Iterator[TrimmableServer]:
    """A fresh one that has trimmed nothing."""
    file = folder.absolute() / "trimmed"
    file.write_text("")
    launch = ministack.plan_launch(folder.absolute(), ports.free_port())
    python, *_ = launch.command
    with running(replace(launch, command=(python, "-c", _PROGRAM, str(file)))) as server:
        yield TrimmableServer(server, file)
