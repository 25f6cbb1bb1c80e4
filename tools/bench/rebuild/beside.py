"""A process beside what is measured: it runs until it is told to stop, and then says what it did, as JSON."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tools.bench.runs import ContenderError
from tools.local import paths


class Beside:
    """The process, seen from outside."""

    def __init__(self, process: "subprocess.Popen[str]", module: str) -> None:
        self._process, self._module = process, module

    def stop(self) -> dict[str, Any]:
        """Tell it to stop, and return what it did.

        Raises:
            ContenderError: it had failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        said: dict[str, Any] = json.loads(self.line())
        return said

    def line(self) -> str:
        """What it says next.

        Raises:
            ContenderError: nothing: it has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContenderError(self._module, self._process.wait())
        return line


@contextmanager
def running_beside(module: str, said: Mapping[str, Any]) -> Iterator[Beside]:
    """Run ``python -m module`` with its settings, ready when the context begins, stopped when it ends.

    Raises:
        ContenderError: it failed before it was ready.
    """
    command = [sys.executable, "-m", module, json.dumps(said)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=paths.ROOT) as process:
        assert process.stdin is not None
        beside = Beside(process, module)
        try:
            beside.line()
            yield beside
        finally:
            process.stdin.close()


def run_until_told(work: Callable[[dict[str, Any], Callable[[], None], threading.Event], dict[str, Any]]) -> None:
    """In the process: call ``work`` with its settings, what it calls once it is ready, and what tells it to stop."""
    told = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        told.set()

    threading.Thread(target=listen, daemon=True).start()
    print(json.dumps(work(json.loads(sys.argv[1]), lambda: print("ready", flush=True), told)), flush=True)
