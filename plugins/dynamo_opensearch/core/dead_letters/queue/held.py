"""The messages that a queue keeps invisible for us. Times in seconds of the steady clock."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One message in our hands. ``since_s``: received then, or later. ``until_s``: invisible until then, or longer."""

    id: str
    handle: str
    since_s: float
    until_s: float


class HeldMessages:
    """What is held, by message id. Thread-safe."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()

    def take(self, held: Held) -> bool:
        """Hold it by its newest receipt; False when it was held already, by an older one."""
        with self._lock:
            is_new = held.id not in self._held
            self._held[held.id] = held
            return is_new

    def find(self, ids: Iterable[str]) -> list[Held]:
        """Those of the named that are held, each once."""
        with self._lock:
            return [self._held[one] for one in dict.fromkeys(ids) if one in self._held]

    def ending_before(self, moment_s: float) -> list[Held]:
        """Those that might be visible again by then, the nearest first."""
        with self._lock:
            ending = [held for held in self._held.values() if held.until_s < moment_s]
        return sorted(ending, key=lambda held: held.until_s)

    def prolong(self, held: Held, until_s: float) -> None:
        """It stays invisible until then, unless it was let go of or received again meanwhile."""
        with self._lock:
            if self._is_current(held):
                self._held[held.id] = replace(held, until_s=until_s)

    def let_go(self, held: Held) -> bool:
        """Hold it no more; False when that was so already, or it was received again meanwhile."""
        with self._lock:
            return self._is_current(held) and self._held.pop(held.id) is not None

    def let_all_go(self) -> list[Held]:
        """Hold nothing any more; what was held."""
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
            return held

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)

    def _is_current(self, held: Held) -> bool:
        current = self._held.get(held.id)
        return current is not None and current.handle == held.handle
