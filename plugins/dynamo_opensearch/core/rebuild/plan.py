"""What a rebuild will do: all that its tasks agree on."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan

Source = Literal["table", "index"]


@dataclass(frozen=True, kw_only=True)
class RebuildWishes:
    """What the one who triggers a run may say; None leaves it to the target."""

    source: Source = "table"
    keep_previous_h: float | None = None


@dataclass(frozen=True, kw_only=True)
class RebuildPlan:
    """A new index for ``alias`` in place of ``from_index``. Times in microseconds since 1970.

    ``marker`` is the alias through which ``to_index`` is written to while it is built. ``resumes``: it is there, made
    by a run that did not end, and is filled again from the beginning. ``replaces_next``: an index of an earlier run
    that carries the marker and is of no use to this one; it is removed. ``follow_from_us``: from where the follower
    begins at the latest; 0 is the stream's horizon. ``properties``: the alias's filter, routing and is_write_index,
    kept by the swap. ``mapping_changes`` and ``warnings`` are for the one who reads the log.
    """

    target: str
    source: Source
    table: str
    table_id: str
    stream_arn: str
    items_estimated: int
    size_bytes: int
    alias: str
    marker: str
    from_index: str
    from_uuid: str
    to_index: str
    mapping_file: str
    mapping_fingerprint: str
    rules_fingerprint: str
    resumes: bool
    resumes_uuid: str | None = None
    replaces_next: str | None = None
    replaces_uuid: str | None = None
    follow_from_us: int
    began_us: int
    keep_previous_h: float
    uses_write_block: bool
    properties: AliasProperties = field(default_factory=AliasProperties)
    server_version: str = ""
    samples: int = 0
    mapping_changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def swap_plan(self, run_id: str) -> SwapPlan:
        """What the swap of this rebuild is to do."""
        return SwapPlan(
            alias=self.alias,
            from_index=self.from_index,
            to_index=self.to_index,
            to_marker=self.marker,
            uses_write_block=self.uses_write_block,
            properties=self.properties,
            run_id=run_id,
            keep_h=self.keep_previous_h,
        )

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self) | {"properties": self.properties.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The reverse of ``to_json``; what a newer version has added is left out."""
        names = {one.name for one in fields(cls)}
        known = {name: one for name, one in value.items() if name in names}
        known["properties"] = AliasProperties.from_json(value["properties"])
        known |= {name: tuple(value.get(name, ())) for name in ("mapping_changes", "warnings")}
        return cls(**known)

    def __str__(self) -> str:
        changes = [f"mapping, {change}" for change in self.mapping_changes] or ["mapping: no field changes"]
        lines = [self._copy(), self._next(), self._follower(), self._swap(), *changes, *self.warnings]
        return f"rebuild of target {self.target!r} on OpenSearch {self.server_version}\n" + "\n".join(
            f"  - {line}" for line in lines
        )

    def _copy(self) -> str:
        source = (
            f"table {self.table!r} (about {self.items_estimated:,} items, {self.size_bytes / 1e6:,.1f} MB)"
            if self.source == "table"
            else f"index {self.from_index!r} by _reindex"
        )
        return f"{source} is copied to index {self.to_index!r}, made by {self.mapping_file!r}"

    def _next(self) -> str:
        if self.resumes:
            return f"{self.to_index!r} is there from a run that did not end: it is kept, and copied to once more"
        if self.replaces_next is not None:
            return f"{self.replaces_next!r}, left by a run that this one cannot go on for, is removed first"
        return f"{self.to_index!r} is new"

    def _follower(self) -> str:
        if not self.follow_from_us:
            return "the follower begins at the stream's horizon, up to 24 h back: no metric says how far the indexer is"
        behind_s = (self.began_us - self.follow_from_us) / 1e6
        return f"the follower begins {behind_s:,.0f} s before this plan, where the indexer stands at the latest"

    def _swap(self) -> str:
        block = "with" if self.uses_write_block else "without"
        return (
            f"alias {self.alias!r} is swapped from {self.from_index!r} {block} a write block; "
            f"that one is kept for {self.keep_previous_h:g} h"
        )
