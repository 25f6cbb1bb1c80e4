"""First looks for one index up to the head of the stream: what a swap makes while writes are blocked."""

from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.documents.ids import document_id
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.follow.caught_up import StreamGapError
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings
from dynamo_opensearch.core.look.feeds import Feed
from dynamo_opensearch.core.look.looker import LiveFeed, Looker
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import StreamReader


class CatchUpStrayedError(PassingError):
    """While the swap caught up, the marker came to lead elsewhere."""

    def __init__(self, index: str, write_alias: str) -> None:
        super().__init__(index, write_alias)
        self.index, self.write_alias = index, write_alias

    def __str__(self) -> str:
        return (
            f"index {self.index!r} could not be caught up: {self.write_alias!r} does not lead to it any more. "
            "The target's alias was left as it was. Start this DAG again, it will plan anew."
        )


class CatchUp:
    """Keeps its iterators, so that a second call costs one GetRecords for each open shard, and what is new.

    Saves nothing: the follower meets the same events, and makes the second looks. Not thread-safe.
    """

    def __init__(
        self, settings: FollowSettings, ports: FollowPorts, index: str, write_alias: str, seen: StreamPosition
    ) -> None:
        self._index, self._write_alias = index, write_alias
        self._reader = StreamReader(ports.stream, seen, ports.clock, settings.stamps.stream_rounding_s)
        self._builder = ports.builder_for(index)
        feed = LiveFeed(Feed(index, "", write_alias, False), self._builder, ports.sender_for(write_alias, False))
        self._looker = Looker(ports.reader, [feed], settings.stamps, settings.bulk_bytes, settings.requests_in_flight)

    def drain(self) -> int:
        """Look at every key that the stream has, until a page of each open shard was not full. Returns the keys.

        What the index refuses is left to the follower to write down.

        Raises:
            CatchUpStrayedError: the marker leads elsewhere.
            StreamGapError: the stream lost records before they were read.
            ServiceUnavailableError, AccessDeniedError, WorkerClockError, StreamMissingError: as the reads and writes.
        """
        looked_at = 0
        for pages in self._reader.drain():
            records = [record for page in pages for record in page.records]
            attributes = self._builder.key_attributes
            values = [tuple(record.key[attribute] for attribute in attributes) for record in records]
            keys = {document_id(key): key for key in values}
            if keys:
                self._look(list(keys.values()))
            looked_at += len(keys)
        if gaps := self._reader.take_gaps():
            raise StreamGapError(self._index, tuple(gap.shard for gap in gaps))
        return looked_at

    def _look(self, keys: list[KeyValues]) -> None:
        result = self._looker.look(keys)
        if result.has_moved:
            raise CatchUpStrayedError(self._index, self._write_alias)
