"""When a queue that fills is worth a replay."""

from dynamo_opensearch.core.dead_letters.messages import Depth


class FillingRule:
    """Due when a queue's messages become ``replay_at`` or more, and again each ``again_s`` while they stay so many.

    Messages that somebody works on count: a replay that fails gives them back, and must not start the next one at once.
    Not thread-safe.
    """

    def __init__(self, replay_at: int, again_s: float) -> None:
        self._replay_at, self._again_s = replay_at, again_s
        self._due_s: float | None = None

    def is_due(self, depth: Depth, now_s: float) -> bool:
        """Whether it is now, by the steady clock; a queue that was full before the first look is due."""
        if depth.visible + depth.in_flight < self._replay_at:
            self._due_s = None
            return False
        if self._due_s is not None and now_s < self._due_s:
            return False
        self._due_s = now_s + self._again_s
        return True
