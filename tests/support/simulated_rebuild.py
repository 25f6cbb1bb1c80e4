"""A rebuild and the ways back in simulated time: the package's own parts, called as its DAGs call them."""

from dataclasses import dataclass
from typing import Any, Literal

from dynamo_opensearch.core.backfill.copy import CopyPorts, CopySettings, copy_segments
from dynamo_opensearch.core.backfill.progress import CopyIdentity
from dynamo_opensearch.core.dynamodb.scan import ScanSettings
from dynamo_opensearch.core.follow.caught_up import caught_up
from dynamo_opensearch.core.follow.starts import note_start
from dynamo_opensearch.core.offer.in_flight import InFlightLimit
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties
from dynamo_opensearch.core.rebuild.deadline import SwapTooSlowError
from dynamo_opensearch.core.rebuild.server_copy import ServerCopyPorts, ServerCopySettings, copy_by_reindex
from dynamo_opensearch.core.rebuild.swap import SwapPorts, swap
from dynamo_opensearch.core.rebuild.swap_plan import SwapPlan
from dynamo_opensearch.core.stream.position import StreamPosition
from tests.support.fakes import MemorySink
from tests.support.simulated_follower import SharedDocument, SimulatedFollower
from tests.support.simulated_threads import SimulatedExecutor
from tests.support.simulated_world import World
from tests.support.simulation import START_US

_TASKS = 3
_READ_UNITS = 400
_STANDSTILL = 0.01
"""Documents a second of real time."""
_ZOMBIES_S = 9.0
_NEXT_TRY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class RebuildRules:
    """``source``: what the new index is filled from. Moments in simulated seconds.

    ``rolls_back_after_s``: None for never; ``returns_after_s``: the rollback of the rollback.
    """

    source: Literal["table", "index"] = "table"
    begins_s: float = 20.0
    copy_takes_s: float = 10.0
    waits_s: float = 5.0
    uses_write_block: bool = True
    rolls_back_after_s: float | None = None
    returns_after_s: float | None = None
    kills_copy_after_s: float | None = None


class Rebuild:
    """From index 1 to index 2, and perhaps back. ``said``: what happened when."""

    def __init__(self, world: World, follower: SimulatedFollower, rules: RebuildRules) -> None:
        self._world, self._follower, self._rules = world, follower, rules
        self._worker = world.worker("the rebuild")
        self._kept, self._block_notes = SharedDocument(), SharedDocument()
        self.is_over = False
        self.said: list[str] = []

    def run(self) -> None:
        """All of it."""
        rules, sleep = self._rules, self._world.simulation.sleep
        sleep(rules.begins_s)
        self._make_next()
        self._wait_for(lambda: caught_up(self._follower.state, self._world.index(2), 0))
        sleep(self._world.stamps.margin_s)
        self._say("copies")
        self._copy()
        self._say("waits")
        sleep(rules.waits_s)
        self._swap(1, 2, f"{self._world.alias}-next", self._start_of(2))
        if rules.rolls_back_after_s is not None:
            sleep(rules.rolls_back_after_s)
            self._swap(2, 1, f"{self._world.alias}-previous", self._where_the_indexer_stands())
            if rules.returns_after_s is not None:
                sleep(rules.returns_after_s)
                self._swap(1, 2, f"{self._world.alias}-previous", self._where_the_indexer_stands())
        self.is_over = True

    def _make_next(self) -> None:
        """The follower begins where the indexer stands: what it did within the last seconds may be under way yet."""
        start = self._where_the_indexer_stands()
        renames = {"renames": {"n": "count"}} if self._rules.source == "table" else {}
        self._world.create_index(2, f"{self._world.alias}-next", renames)
        note_start(self._follower.starts.store(), self._uuid(2), start)
        self._say(f"index 2, followed from {start.not_before_us / 1e6 - START_US / 1e6:.1f}")

    def _where_the_indexer_stands(self) -> StreamPosition:
        stands_s = min(self._world.mapping.stands_at_s(_ZOMBIES_S), START_US / 1e6 + self._world.simulation.now_s)
        return StreamPosition(not_before_us=round(stands_s * 1e6))

    def _start_of(self, number: int) -> StreamPosition:
        """Where the follower began for an index."""
        state = self._follower.state
        joined = state.joined_index(self._world.index(number)) if state else None
        assert joined is not None
        return joined.start

    def _swap(self, from_number: int, to_number: int, marker: str, start_of_replaced: StreamPosition) -> None:
        """The follower feeds what was replaced from ``start_of_replaced`` on, noted before that gets its marker."""
        world = self._world
        to_index = world.index(to_number)
        moment_us = self._worker.clock.time_us()
        self._wait_for(lambda: caught_up(self._follower.state, to_index, moment_us))
        note_start(self._follower.starts.store(), self._uuid(from_number), start_of_replaced)
        plan = SwapPlan(
            alias=world.alias,
            from_index=world.index(from_number),
            to_index=to_index,
            to_marker=marker,
            uses_write_block=self._rules.uses_write_block,
            properties=AliasProperties(),
            run_id="run",
            keep_h=24.0,
        )
        while not self._try_swap(plan):
            self._world.simulation.sleep(_NEXT_TRY_S)

    def _try_swap(self, plan: SwapPlan) -> bool:
        """One try of the task; False where writers would have had to wait for too long."""
        worker = self._worker
        ports = SwapPorts(
            cluster=worker.wire,
            patient=worker.patient,
            catch_up=self._follower.catch_up(worker, plan.to_index, plan.to_marker),
            block_notes=self._block_notes.store(),
            kept=self._kept.store(),
            clock=worker.clock,
        )
        try:
            self._say(str(swap(plan, ports)))
        except SwapTooSlowError as error:
            self._say(str(error))
            return False
        return True

    def _wait_for(self, is_so: Any) -> None:
        while not is_so():
            self._world.simulation.sleep(0.5)

    def _uuid(self, number: int) -> str:
        index = self._world.index(number)
        return str(self._world.call(f"{index}/_settings")[index]["settings"]["index"]["uuid"])

    def _say(self, what: str) -> None:
        self.said.append(f"{self._world.simulation.now_s:.1f}: {what}")

    # Copies

    def _copy(self) -> None:
        if self._rules.source == "index":
            return self._copy_index()
        with SimulatedExecutor(_TASKS, "a copy") as tasks:
            list(tasks.map(self._copy_table, range(_TASKS)))
        return None

    def _copy_table(self, part: int) -> None:
        """The backfill's own, as a task; if it is killed, its next try goes on from what it saved."""
        simulation, document, sink = self._world.simulation, SharedDocument(), MemorySink()
        process = f"copy {part}"
        done: list[bool] = []

        def work() -> None:
            self._copy_segments(part, document, sink)
            done.append(True)

        simulation.spawn(process, work, process=process)
        if self._rules.kills_copy_after_s is not None and part == 0:
            simulation.sleep(self._rules.kills_copy_after_s)
            if not done:
                simulation.kill(process)
                self._say("a copy is killed")
                simulation.spawn(process, work, process=f"{process} again", after_s=2.0)
        self._wait_for(lambda: done)

    def _copy_segments(self, part: int, document: SharedDocument, sink: MemorySink) -> None:
        world, worker = self._world, self._world.worker(f"copy {part}")
        index, limit = world.index(2), InFlightLimit(2)
        builder = worker.builder_for(index)
        settings = CopySettings(
            alias=f"{world.alias}-next",
            index=index,
            segments=range(2 * part, 2 * part + 2),
            scan=ScanSettings(total_segments=2 * _TASKS, limit=20),
            stamps=world.stamps,
            bulk_bytes=4_000,
            requests_in_flight=2,
            read_units_per_s=_READ_UNITS / _TASKS / max(0.5, self._rules.copy_takes_s),
            items_estimated=1_000,
        )
        ports = CopyPorts(
            table=worker.table,
            builder=builder,
            sender=worker.sender(settings.alias, limit),
            limit=limit,
            store=document.store(),
            sink=sink,
            clock=worker.clock,
        )
        identity = CopyIdentity(
            table_id="simulated",
            index_uuid=self._uuid(2),
            rules=builder.fingerprint(),
            segments=settings.segments,
            total_segments=settings.scan.total_segments,
        )
        assert copy_segments(settings, ports, identity).is_complete

    def _copy_index(self) -> None:
        """A real ``_reindex``, which looks at the old index now and writes most of it later.

        It is throttled to a stand after its first batches, and let go when the time has come.
        """
        world, worker = self._world, self._worker
        ends_s = world.simulation.now_s + self._rules.copy_takes_s
        settings = ServerCopySettings(
            run_id="run",
            from_index=world.index(1),
            from_uuid=self._uuid(1),
            to_index=world.index(2),
            to_uuid=self._uuid(2),
            alias=world.alias,
            marker=f"{world.alias}-next",
            slices=_TASKS,
            bulk_bytes=1,
            look_s=1.0,
        )
        ports = ServerCopyPorts(
            cluster=worker.wire,
            patient=worker.patient,
            store=SharedDocument().store(),
            clock=worker.clock,
            wish=lambda: _STANDSTILL if world.simulation.now_s < ends_s else None,
        )
        self._say(str(copy_by_reindex(settings, ports)))
