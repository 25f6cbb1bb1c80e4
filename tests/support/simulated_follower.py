"""The package's follower in simulated time; it may be killed, and another one goes on from what was saved."""

import copy
from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.follow.catch_up import CatchUp
from dynamo_opensearch.core.follow.follower import Follower
from dynamo_opensearch.core.follow.settings import FollowPorts, FollowSettings
from dynamo_opensearch.core.follow.state import FollowState
from dynamo_opensearch.core.state.index_store import StateConflictError
from tests.support.fakes import MemorySink
from tests.support.simulated_table import STREAM_ARN
from tests.support.simulated_world import Worker, World

PROCESS = "the follower"
_SETTLED_US = 10_000_000


class SharedDocument:
    """A state document of all workers; each ``store`` notices when another one has saved since it loaded."""

    def __init__(self) -> None:
        self.value: dict[str, Any] | None = None
        self.version = 0

    def store(self) -> "_SharedStore":
        """One worker's way to it."""
        return _SharedStore(self)


class _SharedStore:
    def __init__(self, document: SharedDocument) -> None:
        self._document, self._seen = document, 0

    def load(self) -> dict[str, Any] | None:
        self._seen = self._document.version
        return copy.deepcopy(self._document.value)

    def save(self, value: dict[str, Any]) -> None:
        if self._seen != self._document.version:
            raise StateConflictError("shared")
        self._document.value = copy.deepcopy(value)
        self._document.version += 1
        self._seen = self._document.version


class SimulatedFollower:
    """The one follower of a world. ``sink``: what the indices refused. ``lives``: how often it was started."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._document = SharedDocument()
        self.starts = SharedDocument()
        self.sink = MemorySink()
        self.lives = 0

    @property
    def state(self) -> FollowState | None:
        """What was saved last."""
        saved = self._document.value
        return FollowState.from_json(saved) if saved else None

    def start(self, is_over: Callable[[], bool]) -> None:
        """A new process of it, which ends when nothing more can come and all is done."""
        self.lives += 1
        self._world.simulation.spawn(f"follower {self.lives}", lambda: self._run(is_over), process=PROCESS)

    def die(self, is_over: Callable[[], bool], after_s: float) -> None:
        """Killed now, started again so much later."""
        if self._world.simulation.kill(PROCESS):
            self._world.simulation.sleep(after_s)
            self.start(is_over)

    def catch_up(self, worker: Worker, index: str, write_alias: str) -> Callable[[], int]:
        """What a swap calls: first looks for one index up to the stream's head."""
        state = self.state
        assert state is not None
        return CatchUp(self._settings(), self._ports(worker), index, write_alias, state.seen).drain

    def _run(self, is_over: Callable[[], bool]) -> None:
        worker = self._world.worker(f"follower {self.lives}")
        follower = Follower(self._settings(), self._ports(worker))
        while not (is_over() and self._is_done(follower)):
            step = follower.step()
            if not step.is_fed and is_over():
                return
            self._world.simulation.sleep(0.001 if step.has_work else max(0.05, min(step.wait_s, 1.0)))

    def _is_done(self, follower: Follower) -> bool:
        """Whether every event of the history is done for every index."""
        last_us = max(record.created_s for shard in self._world.stream.shards.values() for record in shard.records)
        state = follower.state
        is_owed = any(one.owed_until_us for one in state.joined.values())
        return state.done_us > last_us * 1_000_000 + _SETTLED_US and not is_owed

    def _settings(self) -> FollowSettings:
        world = self._world
        return FollowSettings(
            alias=world.alias,
            index_base=world.base,
            stream_arn=STREAM_ARN,
            stamps=world.stamps,
            bulk_bytes=20_000,
            requests_in_flight=2,
        )

    def _ports(self, worker: Worker) -> FollowPorts:
        return FollowPorts(
            stream=StreamClient(worker.clients, STREAM_ARN, worker.clock, worker.retry),
            reader=worker.reader,
            patient=worker.patient,
            sender_for=lambda alias, _: worker.sender(alias),
            builder_for=worker.builder_for,
            store=self._document.store(),
            starts=self.starts.store(),
            sink_for=lambda _: self.sink,
            clock=worker.clock,
        )
