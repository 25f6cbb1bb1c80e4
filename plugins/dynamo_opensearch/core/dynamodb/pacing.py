"""Keeping to a budget of read units by what each answer says it consumed."""

from dynamo_opensearch.core.clock import Clock


class ReadUnitPacer:
    """Read units per second, averaged from the start; one second's worth may be saved up. Not shared by threads.

    A page's cost is known afterwards only, so the budget goes into debt for one page and is waited out before the
    next one.
    """

    def __init__(self, read_units_per_s: float | None, clock: Clock) -> None:
        self._rate, self._clock = read_units_per_s, clock
        self._balance = 0.0
        self._updated_s = clock.monotonic_s()

    def wait(self) -> None:
        """Wait until the budget is out of debt."""
        if self._rate is None:
            return
        now_s = self._clock.monotonic_s()
        self._balance = min(self._rate, self._balance + (now_s - self._updated_s) * self._rate)
        self._updated_s = now_s
        if self._balance < 0:
            self._clock.sleep(-self._balance / self._rate)

    def spend(self, read_units: float) -> None:
        """Book what an answer consumed."""
        if self._rate is not None:
            self._balance -= read_units
