"""How many bulk requests are under way at once: fewer when OpenSearch struggles, slowly more when it does not."""

import threading

SLOW_ANSWER_S = 10.0
"""An answer that took longer counts as struggling."""


class InFlightLimit:
    """A counting gate whose width adapts: halved under pressure, one wider after each ``width`` good answers.

    Thread-safe. ``most`` bounds it (and with it the memory: ``most`` times the bytes of one request).
    """

    def __init__(self, most: int) -> None:
        self._most, self._width = most, most
        self._under_way = 0
        self._good_in_a_row = 0
        self._changed = threading.Condition()

    @property
    def width(self) -> int:
        """Requests that may be under way now."""
        return self._width

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._under_way == 0

    def acquire(self) -> None:
        """Wait for a place."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self._width)
            self._under_way += 1

    def release(self) -> None:
        """Give the place back."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify()

    def record_answer(self, seconds: float, *, refused: bool) -> None:
        """Adapt to one answer: ``refused`` for 429, 503 or none at all."""
        with self._changed:
            if refused or seconds > SLOW_ANSWER_S:
                self._width = max(1, self._width // 2)
                self._good_in_a_row = 0
                return
            self._good_in_a_row += 1
            if self._good_in_a_row >= self._width and self._width < self._most:
                self._width += 1
                self._good_in_a_row = 0
                self._changed.notify()
