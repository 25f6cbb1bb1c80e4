"""Whether anything happened in a stream since a position: what a trigger asks while the follower has no process."""

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.stream.position import StreamPosition
from dynamo_opensearch.core.stream.reader import StreamReader


class StreamActivity:
    """Asks each open shard for one record. Keeps its iterators. Not thread-safe.

    ``position``: what the follower had seen (``FollowState.seen``).
    """

    def __init__(self, stream: StreamClient, position: StreamPosition, clock: Clock, rounding_s: float) -> None:
        self._reader = StreamReader(stream, position, clock, rounding_s, limit=1)
        self._has_record = False

    def has_record(self) -> bool:
        """Whether there is a record behind the position; once True, it stays so. Blocks for one call per open shard.

        Raises:
            StreamMissingError, AccessDeniedError, ServiceUnavailableError, WorkerClockError: it cannot be read.
        """
        if not self._has_record:
            self._has_record = any(page.records for page in self._reader.pages()) or bool(self._reader.take_gaps())
        return self._has_record
