"""Going back to the index that a rebuild replaced: looked at before, swapped like a rebuild, roles reversed."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import ValidationError

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.errors import PermanentError, SyncError
from dynamo_opensearch.core.opensearch.alias import TargetAliases, index_behind, read_target_aliases, write_aliases
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.opensearch.server_version import check_server
from dynamo_opensearch.core.rebuild.kept import HOUR_US, KeptNote, load_kept
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.rebuild.write_block import IndexBlockedError, check_not_blocked
from dynamo_opensearch.core.state.store import StateStore
from dynamo_opensearch.core.targets.model import Target


class RollbackRefusedError(PermanentError):
    """There is nothing to go back to, or it is not fit."""

    def __init__(self, alias: str, problems: tuple[str, ...]) -> None:
        super().__init__(alias, problems)
        self.alias, self.problems = alias, problems

    def __str__(self) -> str:
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return (
            f"alias {self.alias!r} cannot be rolled back, nothing was changed. Problems: {len(self.problems)}\n"
            f"{lines}\nCorrect what can be corrected, then start this DAG again; or rebuild with the old mapping file."
        )


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """From ``from_index``, which is behind the alias now, back to ``to_index``. Times in microseconds since 1970.

    ``kept_until_us``: when clean-up may delete ``to_index``; None where nothing is noted. ``warnings``: what the one
    who decides should know; none of them stops the rollback.
    """

    target: str
    alias: str
    from_index: str
    from_uuid: str
    to_index: str
    to_uuid: str
    properties: AliasProperties
    uses_write_block: bool
    keep_previous_h: float
    began_us: int
    kept_until_us: int | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def marker(self) -> str:
        """What ``to_index`` is written through until it is behind the alias again."""
        return write_aliases(self.alias)[2]

    def swap_plan(self, run_id: str) -> SwapPlan:
        """How the alias is moved; the replaced index is the kept one afterwards."""
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
        return asdict(self) | {"properties": self.properties.to_json(), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The reverse of ``to_json``; what a newer version has added is left out."""
        known = {one.name: value[one.name] for one in fields(cls) if one.name in value}
        known["properties"] = AliasProperties.from_json(value["properties"])
        return cls(**{**known, "warnings": tuple(value["warnings"])})

    def __str__(self) -> str:
        lines = [
            f"alias {self.alias!r} goes back from {self.from_index!r} to {self.to_index!r}",
            f"{self.to_index!r} {self._kept()}; {self.from_index!r} is kept for {self.keep_previous_h:g} h afterwards",
            *(f"warning: {one}" for one in self.warnings),
        ]
        return f"rollback of target {self.target!r}\n" + "\n".join(f"  - {line}" for line in lines)

    def _kept(self) -> str:
        if self.kept_until_us is None:
            return "is kept, nobody noted until when"
        return (
            f"is kept for another {(self.kept_until_us - self.began_us) / HOUR_US:.1f} h ({_utc(self.kept_until_us)})"
        )


@dataclass(frozen=True, kw_only=True)
class RollbackPorts:
    """What planning looks at. The state documents ``kept|<alias>``, ``swap|<alias>`` and ``follow|<alias>``."""

    cluster: PatientCluster
    kept: StateStore
    block_notes: StateStore
    follow: StateStore
    clock: Clock


def plan_rollback(target: Target, ports: RollbackPorts) -> RollbackPlan:
    """Look at both indices. Reads only; an index that is being built does not matter.

    Raises:
        RollbackRefusedError: with everything that was found.
        AliasIsIndexError, AliasAmbiguousError, AliasUnfitError: the alias itself is not fit.
        ServerUnfitError: too old a server.
    """
    check_server(ports.cluster)
    index_behind(ports.cluster, target.alias, target.index_base)  # for its refusals
    seen = read_target_aliases(ports.cluster, target.alias)
    if len(seen.live) != 1 or len(seen.previous) != 1:
        raise RollbackRefusedError(target.alias, (_nowhere(target.alias, seen),))
    (from_index, properties), (to_index, marker) = *seen.live.items(), *seen.previous.items()
    from_state, to_state = read_index(ports.cluster, from_index), read_index(ports.cluster, to_index)
    note = load_kept(ports.kept)
    problems = [
        *_blocks(ports, from_index, to_index),
        *_unfit(to_state, note, properties, marker),
        *_unreadable_rules(target, to_state),
    ]
    if problems:
        raise RollbackRefusedError(target.alias, tuple(problems))
    kept = note.kept_as(to_state.uuid)
    now_us = ports.clock.time_us()
    return RollbackPlan(
        target=target.name,
        alias=target.alias,
        from_index=from_index,
        from_uuid=from_state.uuid,
        to_index=to_index,
        to_uuid=to_state.uuid,
        properties=properties,
        uses_write_block=target.swap_write_block,
        keep_previous_h=target.budgets.keep_previous_h,
        began_us=now_us,
        kept_until_us=kept.until_us if kept else None,
        warnings=(
            *_rule_warnings(target, to_state),
            *((f"{to_index!r} is past its time: clean-up may delete it",) if kept and kept.until_us < now_us else ()),
            *_follower_warnings(ports.follow.load(), to_state, now_us),
        ),
    )


def _nowhere(alias: str, seen: TargetAliases) -> str:
    _, _, marker = write_aliases(alias)
    if not seen.live:
        return f"no index is behind alias {alias!r}"
    if not seen.previous:
        return f"no index carries {marker!r}: none was replaced, or clean-up has deleted it; a rebuild is the way back"
    return f"{marker!r} is on {len(seen.previous)} indices: {', '.join(seen.previous)}; remove it from all but one"


def _blocks(ports: RollbackPorts, *indices: str) -> Iterator[str]:
    for index in indices:
        try:
            check_not_blocked(ports.cluster, index, ports.block_notes)
        except IndexBlockedError as error:
            yield f"index {index!r} is blocked ({', '.join(error.blocks)})"


def _unfit(state: IndexState, note: KeptNote, properties: AliasProperties, marker: AliasProperties) -> Iterator[str]:
    if state.settings.get("index.verified_before_close") == "true":
        yield f"index {state.index!r} is closed: open it with POST {state.index}/_open"
    if note.kept and note.kept.index == state.index and note.kept.uuid != state.uuid:
        yield f"index {state.index!r} is not the one that was replaced: it was deleted and made anew since"
    if properties.index_routing != marker.index_routing:
        yield (
            f"the alias has index_routing {properties.index_routing!r}, {state.index!r} was written with "
            f"{marker.index_routing!r}: its documents would not be found by id"
        )


def _unreadable_rules(target: Target, state: IndexState) -> Iterator[str]:
    try:
        _builder(target, state)
    except (SyncError, ValidationError) as error:
        why = str(error) if isinstance(error, SyncError) else "they are of another version of this package"
        yield f"the field rules noted in index {state.index!r} cannot be used: {why}"


def _builder(target: Target, state: IndexState) -> DocumentBuilder:
    return DocumentBuilder(target.key, state.field_rules or target.documents)


def _rule_warnings(target: Target, state: IndexState) -> Iterator[str]:
    noted = state.note.get("rules_fingerprint")
    if noted is None:
        yield f"index {state.index!r} has no note of this package: its documents are made by the target's rules now"
    elif noted != _builder(target, state).fingerprint():
        yield f"the transform was changed since index {state.index!r} was made: its documents may differ from new ones"


def _follower_warnings(follow: Mapping[str, Any] | None, state: IndexState, now_us: int) -> Iterator[str]:
    if not follow or state.uuid not in follow.get("joined", {}):
        yield f"the follower has not fed index {state.index!r} yet: it is as old as its swap"
        return
    behind_s = (now_us - int(follow.get("head_us", 0))) / 1e6
    if behind_s > 60:
        reached = f"{behind_s:,.0f} s ago" if follow.get("head_us") else "never yet"
        yield f"the follower reached the head of the stream {reached}: the rollback waits for it"
    if gaps := follow.get("gaps", ()):
        yield (
            f"the stream lost records before the follower read them ({len(gaps)} gaps, the last noted "
            f"{_utc(gaps[-1]['at_us'])}): compare afterwards"
        )
    for reason, count in sorted(follow.get("rejects", {}).get(state.index, {}).items()):
        yield f"index {state.index!r} refused {count:,} documents of the follower, so lacks that change: {reason}"


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
