"""The way of a change from the table to the index, tried on an item of its own: written, changed, removed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.cutover.canary.item import Canary
from dynamo_opensearch.core.cutover.canary.table import CanaryTable
from dynamo_opensearch.core.documents.builder import Document
from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.offer.destination import AliasLostError
from dynamo_opensearch.core.opensearch.patient import PatientCluster

POLL_S = 0.5
MOST_NAMES = 10


class CanaryLostError(PermanentError):
    """A change of the canary did not get to the index in time. ``look_at``: the parts on its way, by their names."""

    def __init__(self, hop: str, alias: str, waited_s: float, seen: str, look_at: str) -> None:
        super().__init__(hop, alias, waited_s, seen, look_at)
        self.hop, self.alias, self.waited_s, self.seen, self.look_at = hop, alias, waited_s, seen, look_at

    def __str__(self) -> str:
        return (
            f"the canary was {self.hop} in the table, and {self.waited_s:.0f} s later alias {self.alias!r} does not "
            f"show it: {self.seen}. {self.look_at} Once that is mended, clear this task: it begins anew. If the "
            "indexer is only late, it goes on."
        )


class CanaryLeftError(PassingError):
    """The canary's document is in the index, and its item is not in the table."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"the canary's document is still behind alias {self.alias!r}, though its item was removed and a delete was "
            "offered. The task tries again."
        )


class CanaryIndex:
    """One canary's document, as readers of the alias get it by its id: real-time, without a refresh."""

    def __init__(self, cluster: PatientCluster, alias: str) -> None:
        self._cluster, self._alias = cluster, alias

    def problem(self, wanted: Document) -> str | None:
        """Why the document there is not the wanted one; None where it is. More fields than wanted are no problem.

        Raises:
            AliasLostError: nothing is behind the alias.
            AccessDeniedError, ServiceUnavailableError: OpenSearch does not tell.
        """
        found = self._document(wanted)
        if found is None:
            return "there is no such document"
        content: dict[str, Any] = orjson.loads(wanted.source or b"{}")
        other = sorted(name for name, value in content.items() if name not in found or found[name] != value)
        if not other:
            return None
        more = f" and {len(other) - MOST_NAMES} more" if len(other) > MOST_NAMES else ""
        return f"its document is there, with other values in {', '.join(other[:MOST_NAMES])}{more}"

    def left(self, document: Document) -> str | None:
        """That a document of this id is there; None where none is.

        Raises:
            AliasLostError, AccessDeniedError, ServiceUnavailableError: as ``problem``.
        """
        return None if self._document(document) is None else "its document is there"

    def _document(self, document: Document) -> dict[str, Any] | None:
        wanted = {"_id": document.id} | ({"routing": document.routing} if document.routing else {})
        answer = self._cluster.request("POST", f"/{quote(self._alias)}/_mget", body={"docs": [wanted]})
        (found,) = answer["docs"]
        if "error" in found:
            raise AliasLostError(self._alias)
        return dict(found.get("_source") or {}) if found["found"] else None


@dataclass(frozen=True, kw_only=True)
class CanaryPorts:
    """What a canary flies through. ``look_at``: where to look when a change is lost; asked only then."""

    table: CanaryTable
    index: CanaryIndex
    look_at: Callable[[], str]
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class CanaryReport:
    """Seconds from each change in the table until readers of the alias had it."""

    written_s: float
    changed_s: float
    removed_s: float

    def to_json(self) -> dict[str, float]:
        """For XCom."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"the indexer brought a new item into the index after {self.written_s:.1f} s, its change after "
            f"{self.changed_s:.1f} s, and its removal after {self.removed_s:.1f} s"
        )


class _Hop(NamedTuple):
    """A change in the table, what is wrong while the index does not show it, and what else may be the reason."""

    name: str
    change: Callable[[], object]
    problem: Callable[[], str | None]
    meddled: Callable[[], str | None]


def fly_canary(
    canary: Canary, documents: tuple[Document, Document], alias: str, wait_s: float, ports: CanaryPorts
) -> CanaryReport:
    """Write the item, change it and remove it; each time wait, ``wait_s`` at most, until the alias shows it.

    ``documents``: those of its two states.

    Safe to run again, also after a kill at any point: it begins anew with what an earlier try left.

    Raises:
        CanaryLostError: a change did not arrive.
        CanaryTakenError, CanaryRefusedError: the item cannot be written.
        AliasLostError, AccessDeniedError, ServiceUnavailableError: as table and index.
    """
    table, index, (first, second) = ports.table, ports.index, documents
    hops = (
        _Hop("written", table.put_first, lambda: index.problem(first), lambda: table.meddled(canary.first)),
        _Hop("changed", table.put_second, lambda: index.problem(second), lambda: table.meddled(canary.second)),
        _Hop("removed", table.remove, lambda: index.left(first), lambda: None),
    )
    return CanaryReport(**{f"{hop.name}_s": _arrived(hop, alias, wait_s, ports) for hop in hops})


def remove_canary(
    document: Document, alias: str, table: CanaryTable, index: CanaryIndex | None, offer: Callable[[], object]
) -> tuple[bool, bool]:
    """Remove the item and, where the indexer has left it, the document; whether each was there. Safe to run again.

    ``index`` is None where nothing is behind the alias. ``offer`` offers to the living indices what the table has now.

    Raises:
        CanaryTakenError: what stands under its key is not the canary.
        CanaryLeftError: the document is still there.
        AccessDeniedError, ServiceUnavailableError: as table and index.
    """
    was_there = table.remove()
    if index is None or index.left(document) is None:
        return was_there, False
    offer()
    if index.left(document) is not None:
        raise CanaryLeftError(alias)
    return was_there, True


def _arrived(hop: _Hop, alias: str, wait_s: float, ports: CanaryPorts) -> float:
    """Seconds until the alias shows the change."""
    hop.change()
    began_s = ports.clock.monotonic_s()
    while (seen := hop.problem()) is not None:
        waited_s = ports.clock.monotonic_s() - began_s
        if waited_s >= wait_s:
            meddled = hop.meddled()
            raise CanaryLostError(
                hop.name, alias, waited_s, f"{seen}, and {meddled}" if meddled else seen, ports.look_at()
            )
        ports.clock.sleep(POLL_S)
    return ports.clock.monotonic_s() - began_s
