"""A process that dies at a given call to what is outside of it."""

import threading
from collections.abc import Callable
from typing import Any


class Died(BaseException):
    """The process is gone: nothing catches this."""


class Fate:
    """The process dies when the answer to its call number ``survived`` (from 0) is on its way back; None: never.

    What a kill can leave behind is decided by the calls that were carried out before it.
    """

    def __init__(self, survived: int | None = None) -> None:
        self.survived = survived
        self.calls: list[str] = []
        self.is_dead = False
        self._lock = threading.Lock()

    def watch(self, port: Any, *methods: str) -> Any:
        """The port, with these methods counted."""
        return _Watched(self, port, methods)

    def call(self, name: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One call, if it still comes to that."""
        with self._lock:
            if self.is_dead:
                raise Died
            self.is_dead = len(self.calls) == self.survived
            dies = self.is_dead
            self.calls.append(name)
        try:
            return method(*arguments, **named)
        finally:
            if dies:
                raise Died


class _Watched:
    def __init__(self, fate: Fate, port: Any, methods: tuple[str, ...]) -> None:
        self._fate, self._port, self._methods = fate, port, methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._methods:
            return found
        return lambda *arguments, **named: self._fate.call(name, found, *arguments, **named)
