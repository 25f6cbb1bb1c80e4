"""The follower of a target, wired to its servers."""

from collections.abc import Callable

from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.dynamodb.table_description import describe_table
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.follow.caught_up import caught_up
from dynamo_opensearch.core.follow.follower import Follower
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.state.updating import update
from dynamo_opensearch.core.stream.activity import StreamActivity
from dynamo_opensearch.wiring.target_connections import TargetConnections

LONGEST_QUIET_S = 600.0
"""The trigger that waits meanwhile sees a record, a moved marker, and whoever asks for a moment."""

SinkFor = Callable[[str], RejectSink]
"""Where the documents go that an index refuses; the argument is its name."""


class NoStreamError(PermanentError):
    """The target's table has no stream, and an index needs one to be kept fresh."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table

    def __str__(self) -> str:
        return (
            f"table {self.table!r} has no stream, so no index can be kept fresh: aws dynamodb update-table "
            f"--table-name {self.table} --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES. "
            "What was written while it was off is not in it: rebuild afterwards."
        )


def follow_state(connections: TargetConnections) -> FollowState | None:
    """What the target's follower saved last."""
    saved = connections.state("follow").load()
    return None if saved is None else FollowState.from_json(saved)


def follower_lag(connections: TargetConnections, index: str, moment_us: int) -> str | None:
    """Why the follower has not brought an index to a moment (microseconds since 1970); None when it has.

    A moment of 0 asks for no more than that the index was taken on, one margin ago.
    """
    state = follow_state(connections)
    check = caught_up(state, index, moment_us)
    if not check.is_caught_up:
        return check.reason
    joined = state.joined_index(index) if state else None
    if joined is not None and connections.clock.time_us() < joined.joined_us + connections.stamps.margin_s * 1e6:
        return f"the follower feeds {index!r} since less than a margin of {connections.stamps.margin_s:g} s"
    return None


def ask_for(connections: TargetConnections, moment_us: int) -> None:
    """Say that somebody waits for the follower to come to a moment: it may be away while the stream is silent."""
    update(connections.state("asked"), lambda value: {"moment_us": max(moment_us, value.get("moment_us", 0))})


def is_asked_for(connections: TargetConnections) -> bool:
    """Whether somebody waits for a moment that the follower has not come to."""
    asked, state = connections.state("asked").load(), follow_state(connections)
    return asked is not None and (state is None or state.head_us < asked["moment_us"])


def stream_arn(connections: TargetConnections) -> str:
    """The table's stream.

    Raises:
        NoStreamError: it has none.
    """
    arn = describe_table(connections.table).stream_arn
    if arn is None:
        raise NoStreamError(connections.target.table)
    return arn


def stream_client(connections: TargetConnections, arn: str) -> StreamClient:
    """The stream through the target's AWS connection."""
    return StreamClient(connections.dynamodb.streams_client(), arn, connections.clock, connections.retry)


def stream_activity(connections: TargetConnections) -> StreamActivity | None:
    """What tells whether anything happened since the follower looked last; None while there is no follower."""
    state = follow_state(connections)
    if state is None:
        return None
    stream = stream_client(connections, state.stream_arn)
    return StreamActivity(stream, state.seen, connections.clock, connections.stamps.stream_rounding_s)


def make_follower(connections: TargetConnections, sink_for: SinkFor) -> Follower:
    """The target's follower, from where it was saved last.

    Raises:
        NoStreamError: the table has no stream.
    """
    arn = stream_arn(connections)
    return Follower(follow_settings(connections, arn), follow_ports(connections, arn, sink_for))


def follow_settings(connections: TargetConnections, arn: str) -> FollowSettings:
    """What the target says of following."""
    target = connections.target
    return FollowSettings(
        alias=target.alias,
        index_base=target.index_base,
        stream_arn=arn,
        stamps=connections.stamps,
        bulk_bytes=target.budgets.bulk_bytes,
        requests_in_flight=target.budgets.requests_in_flight,
        longest_quiet_s=LONGEST_QUIET_S,
    )


def follow_ports(connections: TargetConnections, arn: str, sink_for: SinkFor) -> FollowPorts:
    """What a follower works with."""
    target = connections.target
    limit = InFlightLimit(target.budgets.requests_in_flight)

    def sender_for(write_alias: str, is_fed_by_indexer: bool) -> Sender:
        return connections.sender(write_alias, limit, is_fed_by_indexer=is_fed_by_indexer)

    return FollowPorts(
        stream=stream_client(connections, arn),
        reader=KeyedReader(connections.table, target.key, connections.clock, connections.retry),
        patient=connections.patient,
        sender_for=sender_for,
        builder_for=connections.builder_for,
        store=connections.state("follow"),
        starts=connections.state("starts"),
        sink_for=sink_for,
        clock=connections.clock,
    )
