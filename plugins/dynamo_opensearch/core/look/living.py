"""All living indices of a target, ready to be written to; asked for again as the aliases move."""

from collections.abc import Callable

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.look.feeds import Feed, living_feeds, target_indices
from dynamo_opensearch.core.look.looker import LiveFeed
from dynamo_opensearch.core.offer.refresher import BuilderForIndex
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

_PLAN_EVERY_S = 2.0
_NOT_FOUND = 404


class NoLivingIndexError(PermanentError):
    """The alias leads to nothing, and no index is being built or kept."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"no index is behind alias {self.alias!r}, and none is being built or kept: there is nothing to write to, "
            "and nothing was taken. Fill an index by the target's backfill, then start this DAG again."
        )


class LivingIndices:
    """The alias's index, the one being built, the one being kept. Not thread-safe.

    ``sender_for``: what writes through an alias; the flag says that the indexer writes to the index behind it, too.
    """

    def __init__(
        self,
        patient: PatientCluster,
        alias: str,
        builder_for: BuilderForIndex,
        sender_for: Callable[[str, bool], Sender],
        clock: Clock,
    ) -> None:
        self._patient, self._alias, self._clock = patient, alias, clock
        self._builder_for, self._sender_for = builder_for, sender_for
        self._live: dict[Feed, LiveFeed] = {}
        self._planned_s: float | None = None

    def current(self) -> list[LiveFeed]:
        """What is to be written to now.

        Raises:
            NoLivingIndexError: nothing.
            AliasAmbiguousError: an alias leads to several indices.
            ServiceUnavailableError, AccessDeniedError: OpenSearch does not tell.
        """
        now_s = self._clock.monotonic_s()
        if self._planned_s is None or now_s - self._planned_s >= _PLAN_EVERY_S:
            self._planned_s = now_s
            self._plan()
        return list(self._live.values())

    def note_moved(self) -> None:
        """An alias does not lead where it did: ask anew the next time."""
        self._planned_s = None

    def _plan(self) -> None:
        feeds = living_feeds(target_indices(self._patient, self._alias), self._alias)
        if not feeds:
            raise NoLivingIndexError(self._alias)
        self._live = {feed: live for feed in feeds if (live := self._live.get(feed) or self._make_live(feed))}

    def _make_live(self, feed: Feed) -> LiveFeed | None:
        try:
            builder = self._builder_for(feed.index)
        except OpenSearchRequestError as error:
            if error.status != _NOT_FOUND:
                raise
            self.note_moved()  # it was deleted since it was listed
            return None
        return LiveFeed(feed, builder, self._sender_for(feed.write_alias, feed.is_fed_by_indexer))
