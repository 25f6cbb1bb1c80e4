"""The swap: one ``_aliases`` request, under a short write block, after which readers see another index.

The markers are the token. The request removes ``to_marker`` from the new index and the alias from the old one, both
with ``must_exist``: of two swaps, or a swap and a clean-up, OpenSearch carries out one whole and refuses the other
whole. An answer that was lost is resolved by looking at the aliases.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import PassingError
from dynamo_opensearch.core.opensearch.alias import TargetAliases, read_target_aliases
from dynamo_opensearch.core.opensearch.cluster import PASSING_STATUSES, Cluster
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.deadline import Deadline
from dynamo_opensearch.core.rebuild.kept import KeptIndex, load_kept, note_kept, note_leaving
from dynamo_opensearch.core.rebuild.merge_wait import put_merge_wait_back, short_merge_wait
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.rebuild.write_block import (
    Blocked,
    BlockPorts,
    check_not_blocked,
    put_write_block_back,
    write_blocked,
)
from dynamo_opensearch.core.state.store import StateStore

log = logging.getLogger(__name__)

_READY_WITHIN_S = 10.0
_ALIASES_TIMEOUT_S = 5
"""An ``_aliases`` request that OpenSearch has not begun by then is dropped by it, whether or not we still wait."""


class RefreshIncompleteError(PassingError):
    """Some shards of the new index do not answer."""

    def __init__(self, index: str, problem: str) -> None:
        super().__init__(index, problem)
        self.index, self.problem = index, problem

    def __str__(self) -> str:
        return f"index {self.index!r} is not fit for readers ({self.problem}). The alias stays; the task tries again."


@dataclass(frozen=True, kw_only=True)
class SwapPorts:
    """``cluster`` sends once. ``catch_up`` brings the new index to the stream's head and returns how many keys it took.

    ``block_notes``: the document ``swap|<alias>``; ``kept``: ``kept|<alias>``.
    """

    cluster: Cluster
    patient: PatientCluster
    catch_up: Callable[[], int]
    block_notes: StateStore
    kept: StateStore
    clock: Clock

    @property
    def blocking(self) -> BlockPorts:
        """What the write block needs."""
        return BlockPorts(cluster=self.cluster, notes=self.block_notes, clock=self.clock)


@dataclass(frozen=True, kw_only=True)
class SwapReport:
    """``blocked_s``: seconds that writes waited. ``caught_up``: keys taken before the block and under it.

    ``dropped``: indices that had been kept until now; clean-up deletes them when their time is over.
    """

    alias: str
    from_index: str
    to_index: str
    blocked_s: float = 0.0
    caught_up: tuple[int, int] = (0, 0)
    dropped: tuple[str, ...] = ()
    was_done_before: bool = False

    def to_json(self) -> dict[str, Any]:
        """For XCom."""
        return asdict(self)

    def __str__(self) -> str:
        if self.was_done_before:
            return f"alias {self.alias!r} leads to {self.to_index!r} already: an earlier try moved it"
        return (
            f"alias {self.alias!r} leads to {self.to_index!r} now, {self.from_index!r} is kept; writes waited "
            f"{self.blocked_s:.2f} s; {self.caught_up[0]:,} keys caught up before, {self.caught_up[1]:,} meanwhile"
            f"{'; not kept any more: ' + ', '.join(self.dropped) if self.dropped else ''}"
        )


def swap(plan: SwapPlan, ports: SwapPorts) -> SwapReport:
    """Let the alias lead to another index, with no moment in which readers miss anything. Safe to run again.

    Every way out takes the write block away. Errors leave the alias where it was, but for one of waiting
    (``SwapTooSlowError``, ``ServiceUnavailableError``), after which only the next try knows.

    Raises:
        SwapLostError: another run moved the alias or took a marker. Nothing was changed.
        AliasRoutingChangedError, IndexBlockedError: not as planned. Nothing was changed.
        SwapTooSlowError, RefreshIncompleteError, ServiceUnavailableError: try again.
        BlockNotRemovedError: the write block is still there.
    """
    seen = read_target_aliases(ports.patient, plan.alias)
    if plan.is_done(seen):
        return _done_before(plan, seen, ports)
    plan.check_possible(seen)
    put_write_block_back(ports.blocking)  # of a run that was killed; its note is about to be written over
    check_not_blocked(ports.patient, plan.from_index, ports.block_notes)
    with short_merge_wait(ports.patient, plan.to_index):
        before = ports.catch_up()
        # What takes long of it; under the block little is left to do.
        _make_visible(plan, ports.patient, _READY_WITHIN_S, ports.clock)
        for index in plan.dropped(seen):
            _note_dropped(index, plan, ports)
        with _block_of(plan, ports) as blocked:
            under = blocked.deadline.bound(ports.catch_up, "catching up")
            left_s = blocked.deadline.left_s("refresh")
            _make_visible(plan, blocked.deadline.patient(ports.cluster), left_s, ports.clock)
            dropped = _move_alias(plan, blocked.deadline, ports)
    _note_kept(plan, ports)
    report = SwapReport(
        alias=plan.alias,
        from_index=plan.from_index,
        to_index=plan.to_index,
        blocked_s=blocked.seconds,
        caught_up=(before, under),
        dropped=tuple(dropped),
    )
    log.info("%s", report)
    return report


def _done_before(plan: SwapPlan, seen: TargetAliases, ports: SwapPorts) -> SwapReport:
    """What a try that was killed after the switch may have left undone."""
    put_write_block_back(ports.blocking, plan.run_id)
    put_merge_wait_back(ports.patient, plan.to_index)
    if plan.from_index in seen.previous:
        _note_kept(plan, ports)
    return SwapReport(alias=plan.alias, from_index=plan.from_index, to_index=plan.to_index, was_done_before=True)


def _block_of(plan: SwapPlan, ports: SwapPorts) -> AbstractContextManager[Blocked]:
    if plan.uses_write_block:
        return write_blocked(plan.from_index, plan.run_id, plan.block_limit_s, ports.blocking)
    return nullcontext(Blocked(Deadline(ports.clock, plan.block_limit_s)))


def _make_visible(plan: SwapPlan, patient: PatientCluster, limit_s: float, clock: Clock) -> None:
    """A refresh of the new index, all of whose primary shards are there. One that is gone is told as lost at once."""
    backoff = Backoff(RetryPolicy(first_wait_s=0.05, longest_wait_s=1.0, give_up_after_s=limit_s), clock)
    while problem := _refresh(plan.to_index, patient, limit_s):
        seen = read_target_aliases(patient, plan.alias)
        if not plan.is_done(seen):
            plan.check_possible(seen)
        if not backoff.wait():
            raise RefreshIncompleteError(plan.to_index, problem)


def _refresh(index: str, patient: PatientCluster, timeout_s: float) -> str:
    """What is wrong, if anything."""
    try:
        patient.request("GET", f"/_cluster/health/{index}", params={"wait_for_status": "yellow", "timeout": "0s"})
        answer = patient.request("POST", f"/{index}/_refresh", timeout_s=timeout_s)
    except OpenSearchRequestError as error:
        if error.status == 408:
            return "its health is red"
        if error.status == 404:
            return "it is gone"
        raise
    failed = answer["_shards"]["failed"]
    return f"{failed} shard(s) did not answer a refresh" if failed else ""


def _move_alias(plan: SwapPlan, deadline: Deadline, ports: SwapPorts) -> list[str]:
    """The one request; sent again only when the aliases are seen to be as before. Returns what was dropped."""
    patient = deadline.patient(ports.cluster)
    backoff = Backoff(RetryPolicy(first_wait_s=0.05, longest_wait_s=1.0), ports.clock)
    dropped: list[str] = []
    while True:
        seen = read_target_aliases(patient, plan.alias)
        if plan.is_done(seen):
            return dropped
        plan.check_possible(seen)
        dropped = plan.dropped(seen)
        if _send(plan.actions(seen), ports.cluster, deadline):
            return dropped
        backoff.wait()


def _send(actions: list[dict[str, Any]], cluster: Cluster, deadline: Deadline) -> bool:
    """Whether it is known to be carried out."""
    left_s = deadline.left_s("moving the alias")
    wait = f"{max(1, min(_ALIASES_TIMEOUT_S, int(left_s)))}s"
    params = {"cluster_manager_timeout": wait, "timeout": wait}
    try:
        answer = cluster.request("POST", "/_aliases", params=params, body={"actions": actions}, timeout_s=left_s)
        return bool(answer["acknowledged"])
    except ConnectionLostError as error:
        log.info("POST _aliases: %s; looking at the aliases", error.problem)
    except OpenSearchRequestError as error:
        if error.status != 404 and error.status not in PASSING_STATUSES:
            raise
        log.info("POST _aliases: %s %s; looking at the aliases", error.status, error.summary)
    return False


def _note_dropped(index: str, plan: SwapPlan, ports: SwapPorts) -> None:
    """Before its marker goes: no name leads to it afterwards. It is kept as long as was promised."""
    try:
        uuid = read_index(ports.patient, index).uuid
    except OpenSearchRequestError as error:
        if error.status != 404:
            raise
        return  # clean-up was faster
    noted = load_kept(ports.kept).kept_as(uuid)
    note_leaving(ports.kept, noted or KeptIndex.of(index, uuid, plan.keep_h, ports.clock))


def _note_kept(plan: SwapPlan, ports: SwapPorts) -> None:
    uuid = read_index(ports.patient, plan.from_index).uuid
    note_kept(ports.kept, KeptIndex.of(plan.from_index, uuid, plan.keep_h, ports.clock))
