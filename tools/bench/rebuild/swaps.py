"""How long writers wait while an alias goes to another index and back, under traffic, and for what."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.follow.catch_up import CatchUp
from dynamo_opensearch.core.follow.caught_up import caught_up
from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.swap import SwapPorts, swap
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.stream.position import StreamPosition
from tools.bench.rebuild.wired import NEXT, PREVIOUS, Wired
from tools.bench.target_index import ALIAS
from tools.local import http, members

_FOLLOWER_WITHIN_S = 120.0
_POLL_S = 0.2
_BEGIN_BEFORE_US = 30_000_000
"""The bench's indexer is never as far behind as this."""


class FollowerLateError(RuntimeError):
    """The follower did not come to where a swap may begin."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"after {_FOLLOWER_WITHIN_S:.0f} s: {self.reason}"


class DifferenceError(RuntimeError):
    """After the swaps an index was not as the table."""

    def __init__(self, index: str, different: int) -> None:
        super().__init__(index, different)
        self.index, self.different = index, different

    def __str__(self) -> str:
        return f"{self.different} documents of {self.index} are not as the table has them"


@dataclass(frozen=True, kw_only=True)
class SwapRun:
    """One swap. ``blocked_s``: from the write block to its end; ``steps``: where these seconds went."""

    blocked_s: float
    caught_up_before: int
    caught_up_under: int
    steps: dict[str, float] = field(default_factory=dict)


class TimedCluster:
    """A cluster that tells how long each step under the block took."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._is_blocked = False
        self.steps: dict[str, float] = {}

    def request(self, method: str, path: str, **more: Any) -> Any:
        """As the cluster's own."""
        step = step_of(method, path)
        self._is_blocked |= step == "block"
        try:
            with self.timed(step):
                return self._cluster.request(method, path, **more)
        finally:
            self._is_blocked &= step != "unblock"

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Count what the body takes, if writes are blocked meanwhile."""
        began_s, counts = time.monotonic(), self._is_blocked
        try:
            yield
        finally:
            if counts:
                self.steps[step] = self.steps.get(step, 0.0) + time.monotonic() - began_s

    def catching_up(self, catch_up: Callable[[], int]) -> Callable[[], int]:
        """The same, timed."""

        def timed() -> int:
            with self.timed("catch up"):
                return catch_up()

        return timed


def step_of(method: str, path: str) -> str:
    """What a request of a swap is for."""
    if path.endswith("/_block/write"):
        return "block"
    if method == "PUT" and path.endswith("/_settings"):
        return "unblock"
    if path == "/_aliases":
        return "move the alias"
    if path.endswith("/_refresh"):
        return "refresh"
    return "health" if path.startswith("/_cluster/health") else "look"


def swap_there_and_back(wired: Wired, indices: tuple[str, str], times: int) -> Iterator[SwapRun]:
    """Swap so often; the first index is behind the alias and the second behind the marker of the next one.

    Raises:
        FollowerLateError: it did not get to where the next swap may begin.
    """
    live, other = indices
    for number in range(times):
        wait_for_follower(wired, other, wired.clock.time_us())
        plan = SwapPlan(
            alias=ALIAS,
            from_index=live,
            to_index=other,
            to_marker=PREVIOUS if number else NEXT,
            uses_write_block=True,
            properties=AliasProperties(),
            run_id=f"bench {number}",
            keep_h=24.0,
        )
        yield _swap(wired, plan)
        live, other = other, live


def _swap(wired: Wired, plan: SwapPlan) -> SwapRun:
    """As the task of a rebuild or a rollback does it."""
    replaced = read_index(wired.patient, plan.from_index)
    start = StreamPosition(not_before_us=wired.clock.time_us() - _BEGIN_BEFORE_US)
    note_start(wired.state("starts"), replaced.uuid, start)
    timed = TimedCluster(wired.cluster)
    report = swap(plan, _ports(wired, plan, timed))
    before, under = report.caught_up
    return SwapRun(blocked_s=report.blocked_s, caught_up_before=before, caught_up_under=under, steps=timed.steps)


def _ports(wired: Wired, plan: SwapPlan, timed: TimedCluster) -> SwapPorts:
    state = wired.follow_state()
    assert state is not None
    catch_up = CatchUp(wired.follow_settings(), wired.follow_ports(), plan.to_index, plan.to_marker, state.seen)
    patient = PatientCluster(timed, wired.clock, wired.retry)
    return SwapPorts(
        cluster=timed,
        patient=patient,
        catch_up=timed.catching_up(catch_up.drain),
        block_notes=wired.state("swap", patient),
        kept=wired.state("kept", patient),
        clock=wired.clock,
    )


def wait_for_follower(wired: Wired, index: str, moment_us: int) -> None:
    """Until it has looked at all that was changed before the moment.

    Raises:
        FollowerLateError: it took too long.
    """
    ends_s = time.monotonic() + _FOLLOWER_WITHIN_S
    while not (check := caught_up(wired.follow_state(), index, moment_us)):
        if time.monotonic() > ends_s:
            raise FollowerLateError(check.reason)
        time.sleep(_POLL_S)


def wait_until_done(wired: Wired, moment_us: int) -> None:
    """Until the follower has made all looks that changes before the moment need.

    Raises:
        FollowerLateError: it took too long.
    """
    ends_s = time.monotonic() + _FOLLOWER_WITHIN_S
    while (state := wired.follow_state()) is None or state.done_us < moment_us:
        if time.monotonic() > ends_s:
            raise FollowerLateError("changes are not done that were made before the writer stopped")
        time.sleep(_POLL_S)


def check_equal(client: Any, url: str, index: str, keys: int) -> None:
    """The members that were changed, in an index and in the table, by what a change changes.

    Raises:
        DifferenceError: they differ.
    """
    ids = [members.member_id(number) for number in range(keys)]
    pages = client.get_paginator("scan").paginate(TableName=members.TABLE, ConsistentRead=True)
    wanted = {item[members.HASH_KEY]["S"]: item["points"]["N"] for page in pages for item in page["Items"]}
    http.call(f"{url}/{index}/_refresh", method="POST", timeout_s=60)
    answer = http.call(f"{url}/{index}/_mget?_source=points", method="POST", body={"ids": ids}, timeout_s=60)
    found = {one["_id"]: str(one["_source"]["points"]) for one in answer["docs"] if one["found"]}
    if different := len(wanted.items() ^ found.items()):
        raise DifferenceError(index, different)
