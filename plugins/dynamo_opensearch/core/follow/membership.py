"""Which indices stay with the follower, which join, and until when one is owed that the alias leads to now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dynamo_opensearch.core.follow.state import JoinedIndex
from dynamo_opensearch.core.look.feeds import Feed
from dynamo_opensearch.core.stream.position import StreamPosition


@dataclass(frozen=True, slots=True)
class Membership:
    """``joined``: those that had joined and are still fed, by UUID; ``newcomers``: those that have not."""

    joined: dict[str, JoinedIndex]
    newcomers: list[Feed]

    def with_newcomers(self, starts: Mapping[str, StreamPosition], joined_us: int) -> dict[str, JoinedIndex]:
        """All of them, the newcomers from their starts on."""
        return self.joined | {
            feed.uuid: JoinedIndex(index=feed.index, start=starts[feed.uuid], joined_us=joined_us)
            for feed in self.newcomers
        }


def plan_membership(
    feeds: Sequence[Feed], alias: str, joined: Mapping[str, JoinedIndex], owed_until_us: int
) -> Membership:
    """Compare what is to be fed with what had joined; what is in neither is owed nothing any more.

    ``owed_until_us``: up to which event an index is owed that is noticed behind the alias only now.
    """
    kept: dict[str, JoinedIndex] = {}
    for feed in feeds:
        if feed.uuid in joined:
            before = joined[feed.uuid]
            owed_us = (before.owed_until_us or owed_until_us) if feed.write_alias == alias else None
            kept[feed.uuid] = replace(before, index=feed.index, owed_until_us=owed_us)
    return Membership(kept, [feed for feed in feeds if feed.uuid not in joined])
