"""What a finished copy by ``_reindex`` says of itself, held against what was counted before it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES
from dynamo_opensearch.core.opensearch.errors import ErrorSummary, summarise
from dynamo_opensearch.core.opensearch.reindex_tasks import ENDS, TaskView
from dynamo_opensearch.core.rebuild.server_copy_errors import (
    ServerCopyCanceledError,
    ServerCopyIncompleteError,
    ServerCopyRefusedError,
)


@dataclass(frozen=True, kw_only=True)
class ServerCopyReport:
    """``total == created + updated + stale + deleted + noops``, from OpenSearch's answer.

    ``stale``: the new index had something newer, from the follower. ``counted``: documents of the old index before the
    copy, after a refresh. ``seconds`` by OpenSearch; ``starts``: how often it had to be begun.
    """

    total: int
    created: int
    updated: int
    stale: int
    deleted: int = 0
    noops: int = 0
    batches: int = 0
    counted: int = 0
    seconds: float = 0.0
    throttled_s: float = 0.0
    starts: int = 1

    def to_json(self) -> dict[str, int | float]:
        """For XCom."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``."""
        return cls(**value)

    def __str__(self) -> str:
        rate = self.total / self.seconds if self.seconds else 0.0
        return (
            f"{self.total:,} documents read by _reindex in {self.seconds:,.1f} s ({rate:,.0f}/s; throttled for "
            f"{self.throttled_s:,.1f} s), {self.counted:,} counted before; {self.created:,} created, {self.updated:,} "
            f"updated, {self.stale:,} newer in the new index; started {self.starts} time(s)"
        )


def is_success(view: TaskView) -> bool:
    """Whether it ended by itself, with nothing refused."""
    response = view.response
    return (
        view.is_completed
        and view.error is None
        and response is not None
        and not (response.get("canceled") or response.get("timed_out") or response.get("failures"))
    )


def is_passing(view: TaskView) -> bool:
    """Whether beginning anew may end otherwise: a node or shard went away, or a scroll of a lost one was asked for."""
    if view.error is not None:
        return True
    failures = _failures(view)
    return bool(failures) and all(
        _is_search(one) or int(one.get("status", 500)) in PASSING_STATUSES for one in failures
    )


def reasons(view: TaskView) -> dict[str, int]:
    """What went wrong, by count, without values."""
    if view.error is not None:
        return {str(_summary(view.error)): 1}
    return dict(Counter(str(_summary(one.get("cause") or one.get("reason") or {})) for one in _failures(view)))


def check_ended_well(view: TaskView, from_index: str, to_index: str) -> None:
    """Raises for a copy that somebody cancelled, or that the new index refused."""
    response = view.response or {}
    if response.get("canceled"):
        raise ServerCopyCanceledError(to_index, str(response["canceled"]))
    if response.get("timed_out"):
        raise ServerCopyIncompleteError(from_index, int(response.get("total", 0)), view.counts["total"], "timed out")
    if not is_success(view):
        copied = sum(int(response.get(name, 0)) for name in ("created", "updated"))
        raise ServerCopyRefusedError(from_index, to_index, reasons(view), copied)


def report_of(view: TaskView, from_index: str, counted: int, deleted_meanwhile: int, starts: int) -> ServerCopyReport:
    """The report of a copy that ended well.

    ``counted`` documents could be searched before it began, and each of them was in the copy's snapshots unless it
    was deleted before those were taken. Each of those deletions is one of the ``deleted_meanwhile`` that the old
    index's shards carried out from before the count until all snapshots were taken. So a total below the difference
    means that documents were not seen. (Counting again afterwards would not do: documents may be deleted and others
    created in between.)

    Raises:
        ServerCopyIncompleteError: fewer documents than that, or counts that do not add up.
    """
    response: Mapping[str, Any] = view.response or {}
    total = int(response.get("total", 0))
    ended = sum(int(response.get(name, 0)) for name in ENDS)
    if total != ended:
        raise ServerCopyIncompleteError(from_index, ended, total, "what it had found when it began")
    if total < counted - deleted_meanwhile:
        what = f"counted before, less {deleted_meanwhile} deleted meanwhile"
        raise ServerCopyIncompleteError(from_index, total, counted - deleted_meanwhile, what)
    return ServerCopyReport(
        total=total,
        created=int(response.get("created", 0)),
        updated=int(response.get("updated", 0)),
        stale=int(response.get("version_conflicts", 0)),
        deleted=int(response.get("deleted", 0)),
        noops=int(response.get("noops", 0)),
        batches=int(response.get("batches", 0)),
        counted=counted,
        seconds=int(response.get("took", 0)) / 1e3,
        throttled_s=int(response.get("throttled_millis", 0)) / 1e3,
        starts=starts,
    )


def _failures(view: TaskView) -> list[Mapping[str, Any]]:
    found: Iterable[Mapping[str, Any]] = (view.response or {}).get("failures", [])
    return list(found)


def _is_search(failure: Mapping[str, Any]) -> bool:
    """A failure of reading names a shard or node; one of writing names a document."""
    return "id" not in failure


def _summary(cause: Any) -> ErrorSummary:
    if not isinstance(cause, Mapping):
        return ErrorSummary("unknown")
    return summarise(str(cause.get("type", "unknown")), str(cause.get("reason", "")))
