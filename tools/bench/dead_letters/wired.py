"""A consumer of a replay on the benchmark's servers, with ports as its task has them."""

from collections.abc import Iterator

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import MessageSource, StoredObject, TableIdentity
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.dead_letters.ranges.reader import RangeReader
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay, ReplayPorts, ReplaySettings
from dynamo_opensearch.core.dead_letters.replay.dry_receives import dry_receives
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.understanding import Understanding
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_description import describe_table
from dynamo_opensearch.core.look.living import LivingIndices
from tools.bench.ours import NoRejects, aws_client
from tools.bench.rebuild.wired import Wired
from tools.bench.target_index import ALIAS

_MAX_RECEIVES = 10


class NothingParked:
    """A parking place for a benchmark in which nothing may be parked."""

    def put(self, parked: ParkedMessage) -> None:
        """Fail.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"parked: {parked.kind}, {parked.reason}")

    def names(self) -> Iterator[str]:
        """None."""
        return iter(())

    def get(self, name: str) -> ParkedMessage | None:
        """None."""

    def remove(self, name: str) -> None:
        """Nothing is there."""


class ReplayWired(Wired):
    """Not thread-safe; nothing is asked of the servers before it is used."""

    def queue(self, sqs_url: str, queue_url: str) -> DeadLetterQueue:
        """The queue; to be closed."""
        return DeadLetterQueue(aws_client(sqs_url, "sqs"), queue_url, self.clock, self.retry)

    def replay(self, source: MessageSource, clock: Clock, run_id: str) -> Replay:
        """One consumer. ``clock``: its own, for waiting until a second look is due."""
        settings = ReplaySettings(
            run_id=run_id,
            intake=IntakeSettings(began_us=clock.time_us()),
            key_attributes=self.target.key,
            stamps=self.stamps,
            bulk_bytes=self.target.budgets.bulk_bytes,
            requests_in_flight=self.target.budgets.requests_in_flight,
            max_receives=_MAX_RECEIVES,
        )
        return Replay(settings, self._ports(source, clock, run_id))

    def _ports(self, source: MessageSource, clock: Clock, run_id: str) -> ReplayPorts:
        progress = ReplayProgress(self.state(f"replay {run_id}"))
        return ReplayPorts(
            source=source,
            understanding=self._understanding(),
            reader=self.reader,
            living=LivingIndices(self.patient, ALIAS, lambda _index: self.builder, self._sender_for, self.clock),
            rejects=progress.reject_log(lambda _index: NoRejects()),
            parking=NothingParked(),
            progress=progress,
            dry_receives=dry_receives(self.state("dry_receives")),
            clock=clock,
        )

    def _understanding(self) -> Understanding:
        described = describe_table(self.table)
        table = TableIdentity(arn=described.arn, key=((self.target.key[0], "S"),))
        ranges = RangeReader(self._stream, self.target.key, self.clock)
        return Understanding(lambda body: read_contents(body, table), _fetch, ranges, self.stamps)

    def _stream(self, stream_arn: str) -> StreamClient:
        return StreamClient(self._streams, stream_arn, self.clock, self.retry)


def _fetch(stored: StoredObject) -> bytes:
    raise RuntimeError(f"{stored} is asked for")
