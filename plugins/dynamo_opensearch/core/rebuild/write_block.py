"""The write block of a swap: noted before it is put, bounded in time, and taken away whatever happens.

A block outlives the process that put it, and while it is there the indexer fails. So a state document,
``swap|<alias>``, says which index carries a block of ours: the teardown, the next swap and the hourly clean-up take it
away by that.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PassingError, PermanentError, SyncError
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.deadline import Deadline
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.state.updating import update

log = logging.getLogger(__name__)

UNBLOCK_RETRY = RetryPolicy(longest_wait_s=5.0, give_up_after_s=300.0)
"""Longer than OpenSearch takes to start again: a block that stays is worse than a task that waits."""

BLOCKS = ("write", "read_only", "read_only_allow_delete", "read", "metadata")


class IndexBlockedError(PermanentError):
    """The index carries a block that is not ours."""

    def __init__(self, index: str, blocks: tuple[str, ...]) -> None:
        super().__init__(index, blocks)
        self.index, self.blocks = index, blocks

    def __str__(self) -> str:
        return (
            f"index {self.index!r} is blocked ({', '.join(f'index.blocks.{one}' for one in self.blocks)}) by somebody "
            "else: a swap would fail or take that block away. Nothing was changed. Find out why it is there (a full "
            "disk sets read_only_allow_delete), remove it with PUT "
            f"{self.index}/_settings, then start this DAG again."
        )


class BlockNotRemovedError(PassingError):
    """The write block could not be taken away: the indexer cannot write."""

    def __init__(self, index: str, problem: str) -> None:
        super().__init__(index, problem)
        self.index, self.problem = index, problem

    def __str__(self) -> str:
        return (
            f"the write block on index {self.index!r} could not be taken away ({self.problem}): the indexer cannot "
            "write to it until it is. The task tries again, and so do the teardown and the hourly clean-up; by hand: "
            f"curl -X PUT $OPENSEARCH/{self.index}/_settings -H 'Content-Type: application/json' "
            "-d '{\"index.blocks.write\": null}'"
        )


@dataclass(frozen=True, kw_only=True)
class BlockNote:
    """A block of ours. ``since_us``: microseconds since 1970, when it was about to be put."""

    index: str
    uuid: str
    run_id: str
    since_us: int


@dataclass(frozen=True, kw_only=True)
class BlockPorts:
    """``notes``: the document ``swap|<alias>``; ``cluster`` sends once."""

    cluster: Cluster
    notes: StateStore
    clock: Clock

    @property
    def unblocking(self) -> PatientCluster:
        """Patience that outlasts a restart of OpenSearch."""
        return PatientCluster(self.cluster, self.clock, UNBLOCK_RETRY)


@dataclass
class Blocked:
    """A block that is there, or was. ``seconds``: how long, once it is gone."""

    deadline: Deadline
    seconds: float = 0.0


def check_not_blocked(patient: PatientCluster, index: str, notes: StateStore | None = None) -> None:
    """Refuse an index with a block, unless it is a write block that ``notes`` say is ours. Reads only.

    Raises:
        IndexBlockedError: it has one.
    """
    try:
        state = read_index(patient, index)
    except OpenSearchRequestError as error:
        if error.error_type != "cluster_block_exception":
            raise
        raise IndexBlockedError(index, ("metadata",)) from error  # it does not let its settings be read
    blocks = tuple(one for one in BLOCKS if state.settings.get(f"index.blocks.{one}") == "true")
    noted = _load(notes) if notes else None
    if blocks == ("write",) and noted is not None and noted.uuid == state.uuid:
        return
    if blocks:
        raise IndexBlockedError(index, blocks)


@contextmanager
def write_blocked(index: str, run_id: str, limit_s: float, ports: BlockPorts) -> Iterator[Blocked]:
    """Writes to the index wait, and those under way have ended, while the body runs; then the block goes.

    ``limit_s`` bounds the time: requests of the body take theirs from ``Blocked.deadline``.

    Raises:
        SwapTooSlowError, ServiceUnavailableError: the block did not come in time.
        BlockNotRemovedError: it is still there. Tells how to remove it.
    """
    uuid = read_index(ports.unblocking, index).uuid
    note = asdict(BlockNote(index=index, uuid=uuid, run_id=run_id, since_us=ports.clock.time_us()))
    update(ports.notes, lambda _: note)
    began_s = ports.clock.monotonic_s()
    blocked = Blocked(Deadline(ports.clock, limit_s))
    try:
        _block(index, blocked.deadline, ports.cluster)
        yield blocked
    finally:
        _unblock(index, ports.unblocking)
        blocked.seconds = ports.clock.monotonic_s() - began_s
        _clear(ports.notes, note)


def put_write_block_back(ports: BlockPorts, run_id: str | None = None) -> str | None:
    """Take away a write block that a swap noted as ours; returns its index. Safe to run again, and when there is none.

    ``run_id``: only that run's, so that the teardown of a run that was pre-empted leaves its successor's; None: any.

    Raises:
        BlockNotRemovedError: it is still there. Tells how to remove it.
    """
    note = _load(ports.notes)
    if note is None or run_id not in (None, note.run_id):
        return None
    if _uuid_of(note.index, ports.unblocking) == note.uuid:
        _unblock(note.index, ports.unblocking)
        log.info("the write block of run %s on index %s is taken away", note.run_id, note.index)
    _clear(ports.notes, asdict(note))
    return note.index


def _load(notes: StateStore) -> BlockNote | None:
    value = notes.load()
    return BlockNote(**value) if value else None


def _clear(notes: StateStore, note: dict[str, Any]) -> None:
    """Another swap may have noted its own by now."""
    update(notes, lambda value: {} if value == note else value)


def _block(index: str, deadline: Deadline, cluster: Cluster) -> None:
    """OpenSearch answers once the writes under way have ended, but only to the request that sets the block."""
    patient = deadline.patient(cluster)
    while not _is_blocked_by(patient.request("PUT", f"/{index}/_block/write", timeout_s=deadline.left_s()), index):
        _set_write_block(patient, index, None)


def _is_blocked_by(answer: dict[str, Any], index: str) -> bool:
    return any(one.get("name") == index and one.get("blocked") for one in answer.get("indices", []))


def _unblock(index: str, patient: PatientCluster) -> None:
    try:
        _set_write_block(patient, index, None)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise BlockNotRemovedError(index, f"{error.status} {error.summary}") from error
    except SyncError as error:
        raise BlockNotRemovedError(index, type(error).__name__) from error


def _set_write_block(patient: PatientCluster, index: str, value: bool | None) -> None:
    patient.request("PUT", f"/{index}/_settings", body={"index.blocks.write": value})


def _uuid_of(index: str, patient: PatientCluster) -> str | None:
    try:
        return read_index(patient, index).uuid
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        return None
