"""What a follower is told, what it works with, and what it answers after a step."""

from collections.abc import Callable
from dataclasses import dataclass

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.offer.refresher import BuilderForIndex
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.stamps import StampRule
from dynamo_opensearch.core.state.store import StateStore

SenderFor = Callable[[str, bool], Sender]
"""What writes through an alias; the flag says that the indexer writes to the index behind it, too."""


@dataclass(frozen=True, kw_only=True)
class FollowSettings:
    """``most_pending``: events that are not done, beyond which reading pauses. ``keys_per_pass`` bounds one step.

    ``silent_after_s``: without a record for so long, the follower may be gone for a while.

    Memory: ``most_pending`` events of some 200 bytes, and for each request in flight ``bulk_bytes`` or 100 items.
    """

    alias: str
    index_base: str
    stream_arn: str
    stamps: StampRule
    bulk_bytes: int
    requests_in_flight: int
    most_pending: int = 100_000
    keys_per_pass: int = 2_000
    save_every_s: float = 1.0
    plan_every_s: float = 2.0
    longest_quiet_s: float = 10.0
    silent_after_s: float = 5.0

    def due_us(self, created_us: int) -> int:
        """After which moment a read must begin to end an event of this time (both in microseconds since 1970)."""
        return self.stamps.done_after_us(created_us)


@dataclass(frozen=True, kw_only=True)
class FollowPorts:
    """What a follower works with. ``store``: ``follow|<alias>``; ``starts``: ``starts|<alias>``."""

    stream: StreamClient
    reader: KeyedReader
    patient: PatientCluster
    sender_for: SenderFor
    builder_for: BuilderForIndex
    store: StateStore
    starts: StateStore
    sink_for: Callable[[str], RejectSink]
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class FollowStep:
    """What is to be done after a step.

    ``is_fed``: False when there is nothing to feed: the follower is done. ``has_work``: step again at once; else after
    ``wait_s``. ``quiet_s``: how long the follower may be gone, its process too, if the stream stays silent; None while
    it had better stay.
    """

    is_fed: bool
    has_work: bool = False
    wait_s: float = 0.0
    quiet_s: float | None = None
