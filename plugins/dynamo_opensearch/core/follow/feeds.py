"""Which indices the follower feeds: derived from the marker aliases, by index UUID."""

from collections.abc import Container

from dynamo_opensearch.core.look.feeds import Feed, TargetIndex, check_single
from dynamo_opensearch.core.opensearch.alias import write_aliases


def plan_feeds(indices: list[TargetIndex], alias: str, joined: Container[str]) -> list[Feed]:
    """What is to be fed: what carries a marker, and of what is behind the alias only that which had joined.

    Raises:
        AliasAmbiguousError: an alias that would be written through leads to several indices.
    """
    _, *markers = write_aliases(alias)
    feeds = []
    for one in indices:
        marker = next((marker for marker in markers if marker in one.aliases), None)
        is_behind_alias = alias in one.aliases
        if marker is None and one.uuid not in joined:
            continue
        feeds.append(Feed(one.index, one.uuid, marker or alias, is_behind_alias))
        check_single(indices, marker or alias)
    return feeds
