"""Counts that add up: what became of the documents that were offered."""

from dataclasses import dataclass, field, fields
from typing import Self

from dynamo_opensearch.core.errors import PermanentError


class ReportError(PermanentError):
    """Counts do not add up, which is a fault of this package."""

    def __init__(self, offered: int, accounted: int) -> None:
        super().__init__(offered, accounted)
        self.offered, self.accounted = offered, accounted

    def __str__(self) -> str:
        return f"{self.offered} documents were offered, {self.accounted} are accounted for. Please report this fault."


@dataclass(frozen=True, kw_only=True)
class OfferReport:
    """``offered == indexed + deleted + stale + rejected``, counted from OpenSearch's answers.

    Below that, the effort: documents sent again (``resent``), read again because they had grown too old
    (``reread``), and those that an index other than the intended one took (``strayed``; they were read and offered
    again by that index's rules).
    """

    offered: int = 0
    indexed: int = 0
    deleted: int = 0
    stale: int = 0
    rejected: int = 0
    resent: int = 0
    reread: int = 0
    strayed: int = 0

    def __post_init__(self) -> None:
        accounted = self.indexed + self.deleted + self.stale + self.rejected
        if self.offered != accounted:
            raise ReportError(self.offered, accounted)

    def __add__(self, other: "OfferReport") -> "OfferReport":
        return OfferReport(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})


@dataclass(frozen=True, kw_only=True)
class CopyReport:
    """A copy: ``scanned == skipped + offer.offered``. ``read_units`` as DynamoDB answered; ``seconds`` of work."""

    scanned: int = 0
    skipped: int = 0
    pages: int = 0
    read_units: float = 0.0
    seconds: float = 0.0
    throttled: int = 0
    offer: OfferReport = field(default_factory=OfferReport)

    def __post_init__(self) -> None:
        if self.scanned != self.skipped + self.offer.offered:
            raise ReportError(self.scanned, self.skipped + self.offer.offered)

    def __add__(self, other: "CopyReport") -> "CopyReport":
        return CopyReport(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def items_per_s(self) -> float:
        """Items read per second of one task's work."""
        return self.scanned / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        offer = self.offer
        return (
            f"{self.scanned:,} items read in {self.seconds:,.1f} s ({self.items_per_s:,.0f}/s), {self.pages:,} pages, "
            f"{self.read_units:,.1f} read units; {offer.indexed:,} indexed, {offer.deleted:,} deleted, "
            f"{offer.stale:,} stale, {offer.rejected:,} rejected, {self.skipped:,} not of this target"
        )

    def to_json(self) -> dict[str, int | float]:
        """One flat object for XCom and the state store."""
        flat = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "offer"}
        return flat | {one.name: getattr(self.offer, one.name) for one in fields(self.offer)}

    @classmethod
    def from_json(cls, flat: dict[str, int | float]) -> Self:
        """The reverse of ``to_json``.

        Raises:
            ReportError: the counts do not add up.
        """
        offer_names = {one.name for one in fields(OfferReport)}
        own_names = {one.name for one in fields(cls)} - {"offer"}
        offer = OfferReport(**{name: int(flat[name]) for name in offer_names if name in flat})
        return cls(**{name: flat[name] for name in own_names if name in flat}, offer=offer)  # type: ignore[arg-type]
