"""What a comparison found, in numbers that add up. No values, and document ids as samples only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from dynamo_opensearch.core.compare.join import Found
from dynamo_opensearch.core.compare.table_side import Depth
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.reports import OfferReport


class ComparisonCountError(PermanentError):
    """Counts of a comparison do not add up, which is a fault of this package."""

    def __init__(self, what: str, count: int, accounted: int) -> None:
        super().__init__(what, count, accounted)
        self.what, self.count, self.accounted = what, count, accounted

    def __str__(self) -> str:
        return f"comparison: {self.count} {self.what}, {self.accounted} are accounted for. Please report this fault."


@dataclass(frozen=True, kw_only=True)
class ComparisonReport:
    """Both sides at the first reading (``found``), and what became of what differed then.

    At the first reading:
    ``table_count == found.equal + found.missing + found.stale + found.refused`` (items that belong);
    ``index_count == found.equal + found.orphaned + found.stale + found.refused_with_document`` (documents).

    Afterwards, by what the last look saw:
    ``found.suspects == missing + orphaned + stale + refused_later + in_motion + mended``.

    ``in_motion``: came right by itself, or was written while it was looked at. ``unsettled``: of ``missing``,
    ``orphaned`` and ``stale``, those counted as first found, since there were too many to look at again or the key
    cannot be told. ``refused``: items that the rules make no document of. ``rejected``: of what was offered last,
    what OpenSearch refused. ``differing_fields``: how many stale documents begin to differ in which field.
    ``samples``: a few ids of differences by kind; they and the fields tell of mended ones, too, as ``mended_kinds``
    does by number. ``skipped``: items that do not belong. ``seconds``: of the whole.
    """

    index: str
    depth: Depth
    table_count: int
    index_count: int
    skipped: int
    found: Found
    missing: int
    orphaned: int
    stale: int
    refused_later: int
    in_motion: int
    mended: int
    unsettled: int
    rejected: int
    offers: OfferReport
    read_units: float
    seconds: float
    samples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    differing_fields: Mapping[str, int] = field(default_factory=dict)
    mended_kinds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = self.found
        after = self.missing + self.orphaned + self.stale + self.refused_later + self.in_motion + self.mended
        _check("items", self.table_count, found.equal + found.missing + found.stale + found.refused)
        _check("documents", self.index_count, found.equal + found.orphaned + found.stale + found.refused_with_document)
        _check("suspects", found.suspects, after)

    @property
    def equal(self) -> int:
        """Items whose documents were equal at the first reading."""
        return self.found.equal

    @property
    def refused(self) -> int:
        """Items that belong and of which the rules make no document."""
        return self.found.refused + self.refused_later

    @property
    def differences(self) -> int:
        """What is not equal and stands still, refused items among it."""
        return self.missing + self.orphaned + self.stale + self.refused

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but what is in motion."""
        return self.differences == 0

    @property
    def is_settled(self) -> bool:
        """Whether every difference was looked at again; else some may only be late."""
        return self.unsettled == 0

    def to_json(self) -> dict[str, Any]:
        """For XCom and the state store; with what follows from the numbers."""
        derived = {name: getattr(self, name) for name in ("equal", "refused", "differences", "is_equal", "is_settled")}
        return asdict(self) | {"samples": {kind: list(ids) for kind, ids in self.samples.items()}} | derived

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``.

        Raises:
            ComparisonCountError: the counts do not add up.
        """
        own = {name: content[name] for name in cls.__dataclass_fields__}
        samples = {kind: tuple(ids) for kind, ids in own.pop("samples").items()}
        found, offers = Found(**own.pop("found")), OfferReport(**own.pop("offers"))
        return cls(**own, found=found, offers=offers, samples=samples)

    def __str__(self) -> str:
        settled = "" if self.is_settled else f" ({self.unsettled:,} of them not looked at again)"
        verdict = "equal" if self.is_equal else f"{self.differences:,} differences{settled}"
        rows = [
            ("items in the table that belong", self.table_count),
            ("documents in the index", self.index_count),
            ("equal", self.equal),
            ("missing in the index", self.missing),
            ("orphaned in the index", self.orphaned),
            ("stale", self.stale),
            ("items that the rules refuse", self.refused),
            ("in motion", self.in_motion),
            ("mended", self.mended),
            ("refused by OpenSearch when offered", self.rejected),
            ("items that do not belong", self.skipped),
        ]
        lines = [f"{self.index}, {self.depth}: {verdict}"]
        lines += [f"  {what:<36}{count:>14,}" for what, count in rows]
        lines += [f"  first differing field {name!r}: {count:,}" for name, count in self.differing_fields.items()]
        lines.append(f"  {self.read_units:,.1f} read units, {self.seconds:,.1f} s")
        return "\n".join(lines)


def _check(what: str, count: int, accounted: int) -> None:
    if count != accounted:
        raise ComparisonCountError(what, count, accounted)
