"""Where a reader of a stream stands: by shard and sequence number, none of which is a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class ShardPosition:
    """``after``: the sequence number of the last record that counts as read; None is the shard's horizon."""

    after: str | None
    is_finished: bool = False

    @property
    def order(self) -> tuple[bool, int]:
        """What positions of one shard compare by: sequence numbers are integers, of any length."""
        return self.is_finished, -1 if self.after is None else int(self.after)


HORIZON = ShardPosition(after=None)


@dataclass(frozen=True, kw_only=True)
class StreamPosition:
    """A position in every shard that was begun; all others are read from their horizon.

    ``not_before_us``: where a shard is read from its horizon, records of the time before that (microseconds since
    1970, by ApproximateCreationDateTime) may be skipped; 0 skips none.
    """

    shards: Mapping[str, ShardPosition] = field(default_factory=dict)
    not_before_us: int = 0

    def earlier_of(self, other: "StreamPosition") -> "StreamPosition":
        """The position from which a reader meets all that either of the two has yet to read.

        A shard that only one of them knows is read from its horizon.
        """
        both = self.shards.keys() | other.shards.keys()
        return StreamPosition(
            shards={
                shard: min(self.shards.get(shard, HORIZON), other.shards.get(shard, HORIZON), key=_order)
                for shard in sorted(both)
            },
            not_before_us=min(self.not_before_us, other.not_before_us),
        )

    def to_json(self) -> dict[str, Any]:
        """For a store."""
        return {
            "shards": {
                shard: {"after": one.after, "is_finished": one.is_finished} for shard, one in self.shards.items()
            },
            "not_before_us": self.not_before_us,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(
            shards={shard: ShardPosition(**one) for shard, one in value["shards"].items()},
            not_before_us=value["not_before_us"],
        )


def _order(position: ShardPosition) -> tuple[bool, int]:
    return position.order
