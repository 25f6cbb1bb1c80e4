"""What a follower keeps from process to process, and what others read of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import Gap

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class JoinedIndex:
    """An index that gets every event from ``start`` on; since ``joined_us`` that is saved.

    ``owed_until_us``: set once the index is behind the alias; only events up to that time are still owed to it.
    """

    index: str
    start: StreamPosition
    joined_us: int
    owed_until_us: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For a store."""
        return {
            "index": self.index,
            "start": self.start.to_json(),
            "joined_us": self.joined_us,
            "owed_until_us": self.owed_until_us,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**{**value, "start": StreamPosition.from_json(value["start"])})


@dataclass(frozen=True, kw_only=True)
class FollowCounts:
    """Since the state was begun: stream records read, and looks at keys: all, first ones, and second ones."""

    records: int = 0
    looks: int = 0
    first: int = 0
    second: int = 0

    def plus(self, **more: int) -> "FollowCounts":
        """With so many more."""
        return replace(self, **{name: getattr(self, name) + count for name, count in more.items()})


@dataclass(frozen=True, kw_only=True)
class FollowState:
    """The state document ``follow|<alias>``; written by the follower alone. Times in microseconds since 1970.

    ``position``: every record before it is done for every joined index. ``seen``: every record before it has had its
    first look. ``head_us``: every change committed before this moment of the follower's clock has had its first look,
    as far as a stream can tell; 0 when an index has joined since. ``done_us``: records of the time before that are
    done. ``joined``: by index UUID. ``gaps``: records that the stream lost before they were read. ``rejects``:
    refused documents by index and reason. ``parts``: reject files written, by index.
    """

    stream_arn: str
    position: StreamPosition = field(default_factory=StreamPosition)
    seen: StreamPosition = field(default_factory=StreamPosition)
    head_us: int = 0
    done_us: int = 0
    joined: Mapping[str, JoinedIndex] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    rejects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    parts: Mapping[str, int] = field(default_factory=dict)
    counts: FollowCounts = field(default_factory=FollowCounts)
    at_us: int = 0

    def to_json(self) -> dict[str, Any]:
        """For a store."""
        return {
            "format": _FORMAT,
            "stream_arn": self.stream_arn,
            "position": self.position.to_json(),
            "seen": self.seen.to_json(),
            "head_us": self.head_us,
            "done_us": self.done_us,
            "joined": {uuid: one.to_json() for uuid, one in self.joined.items()},
            "gaps": [{"shard": gap.shard, "from": gap.after, "at_us": gap.at_us} for gap in self.gaps],
            "rejects": {index: dict(reasons) for index, reasons in self.rejects.items()},
            "parts": dict(self.parts),
            "counts": asdict(self.counts),
            "at_us": self.at_us,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(
            stream_arn=value["stream_arn"],
            position=StreamPosition.from_json(value["position"]),
            seen=StreamPosition.from_json(value["seen"]),
            head_us=value["head_us"],
            done_us=value["done_us"],
            joined={uuid: JoinedIndex.from_json(one) for uuid, one in value["joined"].items()},
            gaps=tuple(Gap(gap["shard"], gap["from"], gap["at_us"]) for gap in value["gaps"]),
            rejects=value["rejects"],
            parts=value["parts"],
            counts=FollowCounts(**value["counts"]),
            at_us=value["at_us"],
        )

    def joined_index(self, index: str) -> JoinedIndex | None:
        """The entry of an index by its name."""
        return next((one for one in self.joined.values() if one.index == index), None)


def resumed_state(saved: dict[str, Any] | None, stream_arn: str, now_us: int) -> FollowState:
    """Where a follower begins: at the saved state, if it is of this stream.

    Of another stream, nothing is known of what was changed between the two: that is a gap, and the new one is read
    from its horizon.
    """
    if saved is None:
        return FollowState(stream_arn=stream_arn)
    state = FollowState.from_json(saved)
    if state.stream_arn == stream_arn:
        return state
    gap = Gap(f"stream {state.stream_arn}", None, now_us)
    gaps = (*state.gaps, gap) if state.joined else state.gaps
    horizon = StreamPosition()
    return replace(state, stream_arn=stream_arn, position=horizon, seen=horizon, head_us=0, done_us=0, gaps=gaps)
