"""Deleting what rebuilds have left, when its time is over.

An index is deleted only when it carries no alias but the marker, is named ``<base>-v<number>`` in full, is past its
time, and no live run holds the target. It is noted as leaving, then its marker is removed, which only one can do, and
only an index without any alias is deleted: whoever comes between, the index that readers see stays.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.opensearch.alias import aliases_on, read_target_aliases, write_aliases
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_life import delete_index
from dynamo_opensearch.core.opensearch.index_state import IndexState, read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.kept import (
    HOUR_US,
    KeptIndex,
    forget,
    load_kept,
    note_kept,
    note_leaving,
    note_not_leaving,
)
from dynamo_opensearch.core.rebuild.write_block import BlockPorts, put_write_block_back
from dynamo_opensearch.core.state.holder import CLEAN_UP, TargetHold
from dynamo_opensearch.core.state.store import StateStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CleanUpSettings:
    """One target. ``keep_h``: hours for what nobody has noted a time for."""

    alias: str
    index_base: str
    keep_h: float

    def is_ours(self, index: str) -> bool:
        """Whether it is named as this package names the target's indices."""
        return re.fullmatch(rf"{re.escape(self.index_base)}-v\d+", index) is not None


@dataclass(frozen=True, kw_only=True)
class CleanUpPorts:
    """``is_rebuild_finished``: of a rebuild's run id, whether that run has ended; False where it is not known.

    ``kept`` and ``block_notes``: the documents ``kept|<alias>`` and ``swap|<alias>``.
    """

    cluster: Cluster
    patient: PatientCluster
    hold: TargetHold
    kept: StateStore
    block_notes: StateStore
    is_rebuild_finished: Callable[[str], bool]
    clock: Clock


@dataclass(kw_only=True)
class CleanUpReport:
    """What became of each index. ``left``: index and why. ``held_by``: who held the target; then nothing was done."""

    alias: str
    held_by: str | None = None
    unblocked: str | None = None
    kept: list[KeptIndex] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"the target is held, nothing was done: {self.held_by}"] if self.held_by else []
        lines += [f"a write block that a swap left on {self.unblocked!r} is taken away"] if self.unblocked else []
        lines += [f"{one.index!r} is kept until {_utc(one.until_us)}" for one in self.kept]
        lines += [f"{index!r} is deleted" for index in self.deleted]
        lines += [f"{index!r} is left: {why}" for index, why in self.left.items()]
        return f"clean-up of alias {self.alias!r}: " + ("; ".join(lines) or "nothing to do")


def clean_up(settings: CleanUpSettings, dag_id: str, run_id: str, ports: CleanUpPorts) -> CleanUpReport:
    """Delete what is past its time. Safe to run again, and to be killed at any request: the next run finishes it.

    A target that another run holds is left for the next time.

    Raises:
        ServiceUnavailableError, AccessDeniedError: OpenSearch does not answer, or refuses.
        BlockNotRemovedError: a write block that a swap left could not be taken away.
    """
    report = CleanUpReport(alias=settings.alias)
    if not ports.hold.take_if_free(dag_id, run_id, CLEAN_UP):
        report.held_by = str(ports.hold.holder() or "a run that let go just now")
        return report
    try:
        blocks = BlockPorts(cluster=ports.cluster, notes=ports.block_notes, clock=ports.clock)
        report.unblocked = put_write_block_back(blocks)
        _Work(settings, ports, report).run()
    finally:
        ports.hold.release(dag_id, run_id)
    log.info("%s", report)
    return report


class _Work:
    """One clean-up of one target."""

    def __init__(self, settings: CleanUpSettings, ports: CleanUpPorts, report: CleanUpReport) -> None:
        self._settings, self._ports, self._report = settings, ports, report
        self._now_us = ports.clock.time_us()

    def run(self) -> None:
        for one in load_kept(self._ports.kept).leaving:
            self._leaving(one)
        seen = read_target_aliases(self._ports.patient, self._settings.alias)
        if len(seen.previous) == 1:
            self._previous(read_index(self._ports.patient, *seen.previous))
        else:  # a swap leaves one at most
            why = "several indices carry the marker of the previous one: remove it from all but one by POST _aliases"
            self._report.left |= dict.fromkeys(seen.previous, why)
        for index in seen.next:
            self._next(read_index(self._ports.patient, index))

    def _leaving(self, noted: KeptIndex) -> None:
        """Without a marker: dropped by a later swap, or a deletion that was interrupted."""
        state = _read_or_none(self._ports.patient, noted.index)
        if state is None or state.uuid != noted.uuid:
            forget(self._ports.kept, noted.uuid)
        elif aliases_on(self._ports.patient, noted.index):
            note_not_leaving(self._ports.kept, noted.uuid)
        elif self._is_due(noted) and self._is_deletable(noted.index, None):
            self._delete(noted)

    def _previous(self, state: IndexState) -> None:
        noted = load_kept(self._ports.kept).kept_as(state.uuid)
        if noted is None:  # the swap's process was killed before it noted: its time begins now
            noted = KeptIndex.of(state.index, state.uuid, self._settings.keep_h, self._ports.clock)
            note_kept(self._ports.kept, noted)
        self._remove_if_due(noted, write_aliases(self._settings.alias)[2])

    def _next(self, state: IndexState) -> None:
        """An index that a rebuild left: since nobody holds the target, no rebuild is at work on it."""
        run_id, created_us = state.note.get("run_id"), state.note.get("created_us")
        if run_id is None or created_us is None:
            self._report.left[state.index] = "it has no note of a rebuild, so somebody else made it"
        elif not self._ports.is_rebuild_finished(run_id):
            self._report.left[state.index] = f"run {run_id!r}, which made it, is not known to have ended"
        else:
            until_us = created_us + round(self._settings.keep_h * HOUR_US)
            noted = KeptIndex(index=state.index, uuid=state.uuid, since_us=created_us, until_us=until_us)
            self._remove_if_due(noted, write_aliases(self._settings.alias)[1])

    def _remove_if_due(self, noted: KeptIndex, marker: str) -> None:
        if not self._is_due(noted) or not self._is_deletable(noted.index, marker):
            return
        note_leaving(self._ports.kept, noted)
        _remove_marker(self._ports.patient, noted.index, marker)
        if others := sorted(aliases_on(self._ports.patient, noted.index)):
            note_not_leaving(self._ports.kept, noted.uuid)
            self._report.left[noted.index] = f"another run was faster: it carries {', '.join(others)} now"
        else:
            self._delete(noted)

    def _is_due(self, noted: KeptIndex) -> bool:
        if noted.until_us > self._now_us:
            self._report.kept.append(noted)
            return False
        return True

    def _is_deletable(self, index: str, marker: str | None) -> bool:
        others = sorted(set(aliases_on(self._ports.patient, index)) - {marker})
        if others:
            self._report.left[index] = f"it carries {', '.join(others)} as well"
        elif not self._settings.is_ours(index):
            self._report.left[index] = (
                f"it is not named {self._settings.index_base}-v and a number, so it was not made by this package; "
                "delete it by hand when nobody needs it"
            )
        return index not in self._report.left

    def _delete(self, noted: KeptIndex) -> None:
        state = _read_or_none(self._ports.patient, noted.index)
        if state is not None and state.uuid == noted.uuid:
            delete_index(self._ports.patient, noted.index)
            self._report.deleted.append(noted.index)
        forget(self._ports.kept, noted.uuid)


def _remove_marker(patient: PatientCluster, index: str, marker: str) -> None:
    """A 404 says that it is gone: by an earlier try of ours, or another run. What the index carries tells."""
    remove = {"remove": {"index": index, "alias": marker, "must_exist": True}}
    try:
        patient.request("POST", "/_aliases", body={"actions": [remove]})
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise


def _read_or_none(patient: PatientCluster, index: str) -> IndexState | None:
    try:
        return read_index(patient, index)
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        return None


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
