"""Which shards may be read when: a key's changes move from a shard to its children, so children come after parents."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache

Listed = Mapping[str, str | None]
"""Shard to parent, as the stream lists them. A parent that is not listed itself has left the stream."""


def readable_shards(listed: Listed, finished: Collection[str]) -> list[str]:
    """Shards that are not finished and whose parent is, or is not listed any more."""
    return [
        shard
        for shard, parent in listed.items()
        if shard not in finished and (parent is None or parent not in listed or parent in finished)
    ]


def childless_shards(listed: Listed, finished: Collection[str]) -> list[str]:
    """Finished shards without a listed child: the stream was switched off, or their children are not listed yet."""
    parents = set(listed.values())
    return [shard for shard in finished if shard in listed and shard not in parents]


def skippable_shards(listed: Listed, candidates: Iterable[str], begins_early: Callable[[str], bool]) -> list[str]:
    """Of the candidates, those with a descendant that begins early: they have ended before that.

    ``begins_early`` says of a shard that its first record is older than all that is of interest; it is asked for the
    youngest generation first, and as seldom as possible.
    """
    children: dict[str, list[str]] = {}
    for shard, parent in listed.items():
        if parent is not None:
            children.setdefault(parent, []).append(shard)
    begins_early = cache(begins_early)

    @cache
    def is_skippable(shard: str) -> bool:
        born = children.get(shard, [])
        return any(map(is_skippable, born)) or any(map(begins_early, born))

    return [shard for shard in candidates if is_skippable(shard)]
