"""A replay of dead letters, wired to a target's servers."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import cast

from dynamo_opensearch.core.dead_letters.messages import Contents, KeyType, MessageSource, TableIdentity
from dynamo_opensearch.core.dead_letters.parking import Parking
from dynamo_opensearch.core.dead_letters.ranges.reader import RangeReader
from dynamo_opensearch.core.dead_letters.replay.consumer import ReplayPorts, ReplaySettings
from dynamo_opensearch.core.dead_letters.replay.dry_receives import dry_receives
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.peek import Peek, PeekPorts
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.samples import dead_letter_samples
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.stored_messages import read_rejects
from dynamo_opensearch.core.dead_letters.stored_objects import StoredObjects
from dynamo_opensearch.core.dead_letters.understanding import Understanding
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.dynamodb.table_description import check_key, describe_table
from dynamo_opensearch.core.look.living import LivingIndices, NoLivingIndexError
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.offer.rejects import RejectSink
from dynamo_opensearch.core.offer.sender import Sender
from dynamo_opensearch.core.opensearch.alias import index_behind
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.rebuild.mapping_check import CheckPorts, MappingCheck, check_new_mapping
from dynamo_opensearch.core.rebuild.samples import SampleSource
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.wiring.following import stream_client
from dynamo_opensearch.wiring.target_connections import TargetConnections


def replay_settings(
    connections: TargetConnections, run_id: str, intake: IntakeSettings, *, max_receives: int | None
) -> ReplaySettings:
    """What the target allows a replay."""
    target = connections.target
    return ReplaySettings(
        run_id=run_id,
        intake=intake,
        key_attributes=target.key,
        stamps=connections.stamps,
        bulk_bytes=target.budgets.bulk_bytes,
        requests_in_flight=target.budgets.requests_in_flight,
        max_receives=max_receives,
    )


def replay_ports(
    connections: TargetConnections,
    source: MessageSource,
    understanding: Understanding,
    progress: StateStore,
    sink_for: Callable[[str], RejectSink],
    parking: Parking | None,
) -> ReplayPorts:
    """What a consumer works with. ``sink_for``: where the documents go that an index refuses."""
    kept = ReplayProgress(progress)
    return ReplayPorts(
        source=source,
        understanding=understanding,
        reader=keyed_reader(connections),
        living=living_indices(connections),
        rejects=kept.reject_log(sink_for),
        parking=parking,
        progress=kept,
        dry_receives=dry_receives(connections.state("dry_receives")),
        clock=connections.clock,
    )


def peek_ports(connections: TargetConnections, source: MessageSource, understanding: Understanding) -> PeekPorts:
    """What looking at dead letters works with."""
    return PeekPorts(
        source=source,
        understanding=understanding,
        dry_receives=connections.state("dry_receives"),
        clock=connections.clock,
    )


def check_mapping_on_dead_letters(connections: TargetConnections, file: str, peek: Peek) -> MappingCheck:
    """What a mapping file would refuse of the items that dead letters are about. Only a scratch index comes and goes.

    Raises:
        MappingFileError, MappingRefusedError: the file cannot be used.
        NoLivingIndexError: there is no index to hold it against.
        SyncError: as the queue, the stream and the table.
    """
    target, patient = connections.target, connections.patient
    index = index_behind(patient, target.alias, target.index_base)
    if index is None:
        raise NoLivingIndexError(target.alias)
    current = read_index(patient, index)
    samples = dead_letter_samples(peek, keyed_reader(connections))
    ports = CheckPorts(cluster=patient, clock=connections.clock)
    return check_new_mapping(target, connections.mapping(file), current, connections.builder, samples, ports)


def samples_of(connections: TargetConnections, queue: MessageSource, most: int) -> Iterator[SampleSource]:
    """The items that up to ``most`` messages are about; all messages are given back in the end."""
    intake = IntakeSettings(began_us=connections.clock.time_us(), most=most, others_s=0.0)
    peek = Peek(intake, peek_ports(connections, queue, understand_messages(connections)))
    return dead_letter_samples(peek, keyed_reader(connections))


def keyed_reader(connections: TargetConnections) -> KeyedReader:
    """The table's items by key."""
    return KeyedReader(connections.table, connections.target.key, connections.clock, connections.retry)


def living_indices(connections: TargetConnections) -> LivingIndices:
    """All that is to be written to."""
    limit = InFlightLimit(connections.target.budgets.requests_in_flight)

    def sender_for(write_alias: str, is_fed_by_indexer: bool) -> Sender:
        return connections.sender(write_alias, limit, is_fed_by_indexer=is_fed_by_indexer)

    return LivingIndices(
        connections.patient, connections.target.alias, connections.builder_for, sender_for, connections.clock
    )


def understand_messages(connections: TargetConnections) -> Understanding:
    """Of messages as a queue or the parking place has them."""
    table = table_identity(connections)
    return _understanding(connections, lambda body: read_contents(body, table))


def understand_rejects(connections: TargetConnections) -> Understanding:
    """Of reject files."""
    table, stamps = table_identity(connections), connections.stamps
    return _understanding(connections, lambda body: read_rejects(body, table, stamps))


def table_identity(connections: TargetConnections) -> TableIdentity:
    """Whose dead letters they are.

    Raises:
        TableKeyError: the target's key is not the table's.
    """
    described = describe_table(connections.table)
    check_key(described, connections.target.key)
    types = cast("tuple[KeyType, ...]", described.key_types)
    return TableIdentity(arn=described.arn, key=tuple(zip(described.key, types, strict=True)))


def _understanding(connections: TargetConnections, read: Callable[[str | bytes], Contents]) -> Understanding:
    ranges = RangeReader(lambda arn: stream_client(connections, arn), connections.target.key, connections.clock)

    @cache
    def objects() -> StoredObjects:
        return StoredObjects(connections.dynamodb.s3_client(), connections.clock, connections.retry)

    return Understanding(read, lambda one: objects().fetch(one), ranges, connections.stamps)
