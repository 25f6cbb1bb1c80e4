"""Pools, locks and conditions for code that runs in a simulation: whoever waits for them gives its turn away."""

import math
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

import pytest

from tests.support.simulation import Task, current_task

PACKAGE = "dynamo_opensearch"


class SimulatedCondition:
    """threading.Condition, as far as this package uses it; also a lock, which its owner may take again."""

    def __init__(self, lock: object = None) -> None:
        self._for_lock: deque[Task] = deque()
        self._for_change: deque[Task] = deque()
        self._owner: Task | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = current_task()
        while self._owner is not None and self._owner is not task:
            if not blocking:
                return False
            self._for_lock.append(task)
            task.simulation.park()
        self._owner = task
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            _wake(self._for_lock)

    def wait_for(self, is_so: Callable[[], object]) -> object:
        while not (result := is_so()):
            task, depth = current_task(), self._depth
            self._for_change.append(task)
            self._owner, self._depth = None, 0
            _wake(self._for_lock)
            task.simulation.park()
            self.acquire()
            self._depth = depth
        return result

    def notify(self, n: int = 1) -> None:
        """Wakes all: each looks again, as ``wait_for`` does."""
        _wake(self._for_change)

    def notify_all(self) -> None:
        _wake(self._for_change)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _wake(waiting: deque[Task]) -> None:
    while waiting:
        task = waiting.popleft()
        task.simulation.wake(task)


class SimulatedEvent:
    """threading.Event; ``wait`` without a timeout only."""

    def __init__(self) -> None:
        self._is_set = False
        self._condition = SimulatedCondition()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._condition.notify_all()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is None, "no code of this package waits so"
        with self._condition:
            self._condition.wait_for(lambda: self._is_set)
        return True


class SimulatedFuture:
    """What SimulatedExecutor.submit returns."""

    def __init__(self) -> None:
        self._condition = SimulatedCondition()
        self._is_done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return self._is_done

    def cancel(self) -> bool:
        """What is submitted runs."""
        return False

    def result(self) -> Any:
        with self._condition:
            self._condition.wait_for(lambda: self._is_done)
        if self._error is not None:
            raise self._error
        return self._result

    def settle(self, result: Any, error: BaseException | None) -> None:
        self._is_done, self._result, self._error = True, result, error
        self._condition.notify_all()


def simulated_wait(
    futures: Iterable[SimulatedFuture], timeout: float | None = None, return_when: str = FIRST_COMPLETED
) -> tuple[set[SimulatedFuture], set[SimulatedFuture]]:
    """concurrent.futures.wait for the first; looks again and again."""
    assert return_when == FIRST_COMPLETED, "no code of this package waits otherwise"
    left, simulation = list(futures), current_task().simulation
    ends_s = math.inf if timeout is None else simulation.now_s + timeout
    while not any(one.done() for one in left) and simulation.now_s < ends_s:
        simulation.sleep(0.01)
    return {one for one in left if one.done()}, {one for one in left if not one.done()}


_Job = tuple[SimulatedFuture, Callable[[], Any]]


class SimulatedExecutor:
    """ThreadPoolExecutor whose threads are tasks of the submitting task's simulation and process."""

    def __init__(self, max_workers: int = 4, thread_name_prefix: str = "pool") -> None:
        self._most, self._name = max_workers, thread_name_prefix
        self._jobs: deque[_Job] = deque()
        self._working = 0
        self._changed = SimulatedCondition()

    def submit(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> SimulatedFuture:
        future = SimulatedFuture()
        self._jobs.append((future, lambda: function(*arguments, **named)))
        if self._working < self._most:
            self._working += 1
            current_task().simulation.spawn(self._name, self._work)
        return future

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        futures = [self.submit(function, *each) for each in zip(*arguments, strict=False)]
        return iter([future.result() for future in futures])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        while cancel_futures and self._jobs:
            self._jobs.popleft()[0].settle(None, CancelledError())
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: not self._working)

    def _work(self) -> None:
        while self._jobs:
            future, job = self._jobs.popleft()
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - belongs to whoever asks for the result
                future.settle(None, error)
            else:
                future.settle(result, None)
        self._working -= 1
        self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


class SimulatedThread:
    """threading.Thread: a task of the starting task's process."""

    def __init__(
        self, target: Callable[..., object], name: str = "thread", args: tuple[Any, ...] = (), **_: Any
    ) -> None:
        self._work, self._name = lambda: target(*args), name

    def start(self) -> None:
        current_task().simulation.spawn(self._name, self._work)


class SimulatedQueue:
    """queue.SimpleQueue."""

    def __init__(self) -> None:
        self._held: deque[Any] = deque()
        self._waiting: deque[Task] = deque()

    def put(self, value: Any) -> None:
        self._held.append(value)
        _wake(self._waiting)

    def get(self, timeout: float | None = None) -> Any:
        task = current_task()
        simulation = task.simulation
        ends_s = None if timeout is None else simulation.now_s + timeout
        while not self._held:
            self._waiting.append(task)
            if ends_s is None:
                simulation.park()
            elif simulation.now_s < ends_s:
                simulation.sleep(ends_s - simulation.now_s)
            else:
                raise queue.Empty
        return self._held.popleft()


_QUEUE = SimpleNamespace(SimpleQueue=SimulatedQueue, Empty=queue.Empty)
_THREADING = SimpleNamespace(
    Thread=SimulatedThread,
    Lock=SimulatedCondition,
    RLock=SimulatedCondition,
    Condition=SimulatedCondition,
    Event=SimulatedEvent,
    local=threading.local,
    get_ident=threading.get_ident,
)


@contextmanager
def simulated_threads() -> Iterator[None]:
    """While this lasts, every module of the package that is loaded makes its pools and locks of these."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if not name.startswith(PACKAGE):
                continue
            if getattr(module, "ThreadPoolExecutor", None) is ThreadPoolExecutor:
                patch.setattr(module, "ThreadPoolExecutor", SimulatedExecutor)
            if getattr(module, "wait", None) is wait:
                patch.setattr(module, "wait", simulated_wait)
            if getattr(module, "threading", None) is threading:
                patch.setattr(module, "threading", _THREADING)
            if getattr(module, "queue", None) is queue:
                patch.setattr(module, "queue", _QUEUE)
        yield
