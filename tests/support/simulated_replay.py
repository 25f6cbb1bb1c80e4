"""The package's replay of dead letters in simulated time: one run after the other, by consumers that may be killed."""

from collections.abc import Callable
from functools import partial

from dynamo_opensearch.core.dead_letters.messages import StoredObject
from dynamo_opensearch.core.dead_letters.ranges.reader import RangeReader
from dynamo_opensearch.core.dead_letters.replay.consumer import Replay, ReplayPorts, ReplaySettings
from dynamo_opensearch.core.dead_letters.replay.intake import IntakeSettings
from dynamo_opensearch.core.dead_letters.replay.progress import ReplayProgress
from dynamo_opensearch.core.dead_letters.shapes.bodies import read_contents
from dynamo_opensearch.core.dead_letters.understanding import Understanding
from dynamo_opensearch.core.dynamodb.stream_client import StreamClient
from dynamo_opensearch.core.look.living import LivingIndices
from dynamo_opensearch.core.stamps import StampRule
from tests.support.dead_letter_stores import MemoryParking
from tests.support.fakes import MemorySink, MemoryStore
from tests.support.simulated_letters import TABLE_IDENTITY
from tests.support.simulated_world import KEY, Worker, World

_OTHERS_S = 20.0


class LooksOnce(StampRule):
    """Without the second look: an event is done as soon as one look at its key was acknowledged."""

    def done_after_us(self, event_us: int) -> int:
        return 0


class SimulatedReplay:
    """The replays of a world. ``parking``, ``sink``: what could not be replayed. ``lives``: processes so far."""

    def __init__(self, world: World) -> None:
        self._world, self._queue = world, world.letters.queue
        self._rules = world.hazards.replay
        self._stamps = world.stamps if self._rules.looks_twice else LooksOnce()
        self._progress: list[ReplayProgress] = []
        self.parking, self.sink = MemoryParking(), MemorySink()
        self.lives = 0

    @property
    def is_over(self) -> bool:
        """Whether no dead letter is left."""
        return not self._queue.stored

    @property
    def looks(self) -> int:
        """Of all processes, as far as they could say so."""
        return sum(progress.report.looks for progress in self._progress)

    def start(self, is_over: Callable[[], bool]) -> None:
        """Consumers, each a process of its own, which end when no more dead letters can come and none is left."""
        for _ in range(self._rules.consumers):
            self._start(is_over)

    def die(self, is_over: Callable[[], bool], after_s: float) -> None:
        """The consumer that was started last is killed now; another one is started so much later."""
        if self._world.simulation.kill(f"replay {self.lives}"):
            self._world.simulation.sleep(after_s)
            self._start(is_over)

    def _start(self, is_over: Callable[[], bool]) -> None:
        self.lives += 1
        name = f"replay {self.lives}"
        self._world.simulation.spawn(name, partial(self._run, name, is_over), process=name)

    def _run(self, name: str, is_over: Callable[[], bool]) -> None:
        worker = self._world.worker(name)
        while not (is_over() and self.is_over):
            self._replay(name, worker)
            self._world.simulation.sleep(0.5)

    def _replay(self, name: str, worker: Worker) -> None:
        is_going_on = True
        source = self._queue.consumer(lambda: is_going_on and self._world.simulation.is_alive(name))
        progress = ReplayProgress(MemoryStore())
        self._progress.append(progress)
        ports = ReplayPorts(
            source=source,
            understanding=self._understanding(worker),
            reader=worker.reader,
            living=LivingIndices(
                worker.patient,
                self._world.alias,
                worker.builder_for,
                lambda alias, _: worker.sender(alias),
                worker.clock,
            ),
            rejects=progress.reject_log(lambda _: self.sink),
            parking=self.parking,
            progress=progress,
            dry_receives=lambda _: 0,
            clock=worker.clock,
        )
        Replay(self._settings(worker), ports).run()
        is_going_on = False

    def _settings(self, worker: Worker) -> ReplaySettings:
        return ReplaySettings(
            run_id="run",
            intake=IntakeSettings(began_us=worker.clock.time_us(), others_s=_OTHERS_S),
            key_attributes=KEY,
            stamps=self._stamps,
            bulk_bytes=20_000,
            requests_in_flight=2,
            most_held=200,
            messages_per_pass=50,
            keys_per_pass=100,
        )

    def _understanding(self, worker: Worker) -> Understanding:
        ranges = RangeReader(
            lambda arn: StreamClient(worker.clients, arn, worker.clock, worker.retry), KEY, worker.clock
        )
        return Understanding(lambda body: read_contents(body, TABLE_IDENTITY), _no_object, ranges, self._stamps)


def _no_object(stored: StoredObject) -> bytes:
    raise AssertionError("no dead letter of a simulation lies in S3")
