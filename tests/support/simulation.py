"""Simulated time for real code: tasks are threads of which exactly one runs, and time passes only when all wait.

A task gives the turn away where it sleeps, waits for a lock, or ends; the one that is due next gets it. Who is next
depends on simulated times alone, so that the same tasks with the same chances run in the same order every time.
Code under test gets ``SimulatedClock``; its pools, locks and conditions are exchanged by
``tests.support.simulated_threads``.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

START_US = 1_800_000_000_000_000
"""The wall clock at second 0 of a simulation."""


class Killed(BaseException):
    """Ends a task wherever it waits."""


class SimulationStuckError(AssertionError):
    """Tasks wait for each other, or one works on without ever waiting."""


@dataclass(eq=False)
class Task:
    """One thread of a simulation. ``process``: what is killed together."""

    name: str
    process: str
    simulation: "Simulation"
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    visit: int = 0
    """Counts its waits, so that a place in the queue which is out of date is known as such."""
    is_killed: bool = False
    is_over: bool = False


_running = threading.local()


def current_task() -> Task:
    """The task of this thread.

    Raises:
        SimulationStuckError: this is a thread that the simulation does not know, which would not wait for its turn.
    """
    task: Task | None = getattr(_running, "task", None)
    if task is None:
        raise SimulationStuckError(f"thread {threading.current_thread().name!r} is not one of a simulation")
    return task


class Simulation:
    """Runs tasks until none is left."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._queue: list[tuple[float, int, Task, int]] = []
        self._order = itertools.count()
        self._tasks: dict[Task, None] = {}
        self._all_wait = threading.Semaphore(0)
        self._failure: BaseException | None = None

    def spawn(self, name: str, work: Callable[[], object], *, after_s: float = 0.0, process: str | None = None) -> Task:
        """Have ``work`` done by a task of its own, from so many seconds on, in the caller's process by default."""
        parent: Task | None = getattr(_running, "task", None)
        task = Task(name, process or (parent.process if parent else name), self)
        task.is_killed = parent is not None and parent.is_killed
        self._tasks[task] = None
        threading.Thread(target=self._run_task, args=(task, work), name=name, daemon=True).start()
        self.wake(task, after_s)
        return task

    def run(self, wall_limit_s: float = 120.0) -> None:
        """Let all tasks run to their end.

        Raises:
            SimulationStuckError: some wait for what never comes, or ``wall_limit_s`` real seconds have passed.
            Whatever a task raised first.
        """
        self._pass_on()
        in_time = self._all_wait.acquire(timeout=wall_limit_s)
        waiting = sorted(task.name for task in self._tasks)
        if self._failure is not None:
            raise self._failure
        if not in_time or waiting:
            self._end_all()
            what = "wait for ever" if in_time else f"were not done after {wall_limit_s:.0f} s"
            raise SimulationStuckError(f"at second {self.now_s:.2f}: {waiting} {what}")

    def sleep(self, seconds: float) -> None:
        """Give the turn away for so long."""
        task = current_task()
        self._check_alive(task)
        self.wake(task, max(0.0, seconds))
        self._wait(task)

    def park(self) -> None:
        """Give the turn away until another task calls ``wake``."""
        task = current_task()
        self._check_alive(task)
        task.visit += 1
        self._wait(task)

    def wake(self, task: Task, after_s: float = 0.0) -> None:
        """Give a waiting task its turn in so many seconds, whatever it waits for."""
        task.visit += 1
        heapq.heappush(self._queue, (self.now_s + after_s, next(self._order), task, task.visit))

    def kill(self, process: str) -> bool:
        """End all tasks of a process where they wait; False if there was none. What they wait for never happens."""
        victims = [task for task in self._tasks if task.process == process]
        for task in victims:
            task.is_killed = True
            self.wake(task)
        return bool(victims)

    def is_alive(self, process: str) -> bool:
        """Whether a task of it is left."""
        return any(task.process == process and not task.is_killed for task in self._tasks)

    def _run_task(self, task: Task, work: Callable[[], object]) -> None:
        _running.task = task
        task.turn.acquire()
        try:
            if not task.is_killed:
                work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by run()
            self._failure = self._failure or error
            self._end_all()
        finally:
            task.is_over = True
            self._tasks.pop(task, None)
            self._pass_on()

    def _wait(self, task: Task) -> None:
        self._pass_on()
        task.turn.acquire()
        self._check_alive(task)

    def _check_alive(self, task: Task) -> None:
        if task.is_killed:
            raise Killed

    def _pass_on(self) -> None:
        while self._queue:
            at_s, _, task, visit = heapq.heappop(self._queue)
            if task.is_over or task.visit != visit:
                continue
            self.now_s = max(self.now_s, at_s)
            task.turn.release()
            return
        self._all_wait.release()

    def _end_all(self) -> None:
        for task in self._tasks:
            task.is_killed = True
            self.wake(task)


class SimulatedClock:
    """The clock of one worker: ``skew_s`` ahead of the true time."""

    def __init__(self, simulation: Simulation, skew_s: float = 0.0) -> None:
        self._simulation, self.skew_s = simulation, skew_s

    def time_us(self) -> int:
        return START_US + round((self._simulation.now_s + self.skew_s) * 1e6)

    def monotonic_s(self) -> float:
        return 1_000.0 + self._simulation.now_s

    def sleep(self, seconds: float) -> None:
        self._simulation.sleep(seconds)
