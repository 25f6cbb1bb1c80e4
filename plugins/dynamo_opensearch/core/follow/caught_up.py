"""Whether a follower has come as far as somebody waits for."""

from dataclasses import dataclass

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.runbook import LOST_RECORDS


class StreamGapError(PermanentError):
    """The stream lost records before the follower had read them, after the index was compared with the table."""

    def __init__(self, index: str, shards: tuple[str, ...]) -> None:
        super().__init__(index, shards)
        self.index, self.shards = index, shards

    def __str__(self) -> str:
        return (
            f"the stream lost records that the follower had not read ({len(self.shards)} gap(s), in "
            f"{', '.join(sorted(set(self.shards)))}), after {self.index!r} was compared with the table: it may miss "
            "changes. The alias was not moved. Next: clear the comparison before this task: it finds and mends them; "
            f"then see why the follower was away for so long. A stream keeps 24 hours. More: {LOST_RECORDS}"
        )


@dataclass(frozen=True, slots=True)
class CatchUpCheck:
    """``is_caught_up``, and else the reason."""

    is_caught_up: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.is_caught_up


def caught_up(state: FollowState | None, index: str, moment_us: int) -> CatchUpCheck:
    """Whether every change committed before ``moment_us`` has had its first look for ``index``, as far as can be told.

    The moment is of a worker's clock, in microseconds since 1970. With a moment of 0: whether the index has joined, so
    that nothing after its start can be missed any more.
    """
    if state is None:
        return CatchUpCheck(False, "no follower has saved a state yet: is sync_follow running?")
    if state.joined_index(index) is None:
        names = ", ".join(sorted(one.index for one in state.joined.values())) or "none"
        return CatchUpCheck(False, f"the follower does not feed {index!r} yet; it feeds {names}")
    if state.head_us < moment_us:
        behind_s = (moment_us - state.head_us) / 1e6
        how_far = f"{behind_s:,.1f} s before it" if state.head_us else "not at the head since an index has joined"
        return CatchUpCheck(False, f"the follower of {index!r} has not read up to that moment: {how_far}")
    return CatchUpCheck(True)


def check_no_gap(state: FollowState | None, index: str, since_us: int) -> None:
    """Raises StreamGapError where records were lost since then (microseconds since 1970)."""
    shards = tuple(gap.shard for gap in state.gaps if gap.at_us >= since_us) if state else ()
    if shards:
        raise StreamGapError(index, shards)
