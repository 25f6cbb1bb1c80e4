"""The quick look before a rollback: as many documents on both sides, nearly."""

from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.opensearch.index_life import count_documents
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.rollback import RollbackPlan

ON_THEIR_WAY = 100
"""Documents that one index may have before the other, while writers are at work."""


class CountsApartError(PermanentError):
    """The previous index has another number of documents than the one in use."""

    def __init__(self, from_index: str, from_count: int, to_index: str, to_count: int, allowed: int) -> None:
        super().__init__(from_index, from_count, to_index, to_count, allowed)
        self.from_index, self.from_count = from_index, from_count
        self.to_index, self.to_count, self.allowed = to_index, to_count, allowed

    def __str__(self) -> str:
        return (
            f"index {self.from_index!r}, which is in use, has {self.from_count:,} documents, the previous one "
            f"{self.to_index!r} has {self.to_count:,}; {self.allowed:,} apart are allowed. The alias was not moved. "
            "Start this DAG again with compare_first: it compares the previous index with the table, and mends it."
        )


@dataclass(frozen=True, kw_only=True)
class RollbackCounts:
    """Documents of both indices, and how far apart they may be."""

    from_index: str
    from_count: int
    to_index: str
    to_count: int
    allowed: int

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.from_index}: {self.from_count:,} documents; {self.to_index}: {self.to_count:,} "
            f"({self.allowed:,} apart are allowed)"
        )


def count_for_rollback(
    cluster: PatientCluster, plan: RollbackPlan, *, refused: int, max_repairs: float
) -> RollbackCounts:
    """Count both indices after a refresh. Reads only.

    ``refused``: documents that the previous index did not take. ``max_repairs``: share of the other's documents.

    Raises:
        CountsApartError: they are further apart than that explains.
        IncompleteCountError, OpenSearchRequestError, ServiceUnavailableError: as ``count_documents``.
    """
    from_count = count_documents(cluster, plan.from_index)
    to_count = count_documents(cluster, plan.to_index)
    allowed = refused + ON_THEIR_WAY + round(max_repairs * from_count)
    counts = RollbackCounts(
        from_index=plan.from_index,
        from_count=from_count,
        to_index=plan.to_index,
        to_count=to_count,
        allowed=allowed,
    )
    if abs(from_count - to_count) > allowed:
        raise CountsApartError(plan.from_index, from_count, plan.to_index, to_count, allowed)
    return counts


def refused_documents(state: FollowState | None, index: str) -> int:
    """How many documents the follower has noted as refused by this index."""
    return 0 if state is None else sum(state.rejects.get(index, {}).values())
