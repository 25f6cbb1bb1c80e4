"""A follower beside what is measured, stepping as its task does."""

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tools.bench.rebuild.beside import run_until_told
from tools.bench.rebuild.wired import Wired

_NOTHING_TO_FEED_S = 0.5


def follow(said: dict[str, Any], ready: Callable[[], None], told: threading.Event) -> dict[str, Any]:
    """Follow, also while there is no index to feed; returns the counts."""
    follower = Wired(**said).follower()
    ready()
    while not told.is_set():
        step = follower.step()
        if not step.has_work:
            told.wait(step.wait_s if step.is_fed else _NOTHING_TO_FEED_S)
    return asdict(follower.state.counts)


if __name__ == "__main__":
    run_until_told(follow)
