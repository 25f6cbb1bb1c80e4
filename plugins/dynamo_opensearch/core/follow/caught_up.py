"""Whether a follower has come as far as somebody waits for."""

from dataclasses import dataclass

from dynamo_opensearch.core.follow.state import FollowState


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
