"""How far a backfill has got, as its tasks' saved progress says, and how that is shown."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PLAIN_LINE_EVERY_S = 3.0


@dataclass(frozen=True, kw_only=True)
class TaskProgress:
    """One mapped task's."""

    segments: tuple[int, ...]
    segments_done: int
    scanned: int
    items_estimated: int
    state: str

    @classmethod
    def from_store(cls, value: Mapping[str, Any] | None, state: str) -> Self:
        """From what the task keeps under `progress`; a task that has not begun keeps nothing yet."""
        kept = value or {}
        return cls(
            segments=tuple(kept.get("segments", ())),
            segments_done=kept.get("segments_done", 0),
            scanned=kept.get("scanned", 0),
            items_estimated=kept.get("items_estimated", 0),
            state=state,
        )

    @property
    def expected(self) -> int:
        """Items that it will have read at the end: DynamoDB's estimate until it knows better."""
        return self.scanned if self.state == "success" else max(self.items_estimated, self.scanned)

    @property
    def title(self) -> str:
        """Its segments and its state."""
        if not self.segments:
            return f"waiting ({self.state})"
        numbers = f"{self.segments[0]}" if len(self.segments) == 1 else f"{self.segments[0]}-{self.segments[-1]}"
        return f"segment {numbers} ({self.state})"


@dataclass(frozen=True, kw_only=True)
class BackfillProgress:
    """All mapped tasks', `elapsed_s` after the first of them was seen at work."""

    tasks: tuple[TaskProgress, ...]
    elapsed_s: float

    @property
    def scanned(self) -> int:
        """Items read and acknowledged so far."""
        return sum(task.scanned for task in self.tasks)

    @property
    def expected(self) -> int:
        """Items at the end, as far as is known."""
        return sum(task.expected for task in self.tasks)

    @property
    def is_done(self) -> bool:
        """Whether every mapped task has succeeded; the run goes on with refresh and comparison."""
        return bool(self.tasks) and all(task.state == "success" for task in self.tasks)

    @property
    def items_per_s(self) -> float:
        """The average rate so far."""
        return self.scanned / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to the end at that rate; None while there is no rate."""
        return (self.expected - self.scanned) / self.items_per_s if self.items_per_s else None

    def line(self) -> str:
        """All of it in one line."""
        done = sum(task.state == "success" for task in self.tasks)
        left = "" if self.left_s is None else f", {self.left_s:.0f} s left"
        return (
            f"{self.scanned:,} of {self.expected:,} items, {self.items_per_s:,.0f} items/s{left}; "
            f"{done} of {len(self.tasks)} tasks done"
        )


class View(Protocol):
    """Shows a backfill's progress; a context that is entered before the first `show`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, progress: BackfillProgress) -> None:
        """Show where it is now."""
        ...


class PlainView:
    """A line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._next_s = 0.0
        self._was_done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def show(self, progress: BackfillProgress) -> None:
        """Print a line, unless one was printed just now; one at the end, and none after it."""
        is_due = progress.is_done or progress.elapsed_s >= self._next_s
        if progress.expected and is_due and not self._was_done:
            self._next_s = progress.elapsed_s + PLAIN_LINE_EVERY_S
            self._was_done = progress.is_done
            print(f"  {progress.line()}", flush=True)


class RateColumn(ProgressColumn):
    """Items per second, over the last half minute."""

    def render(self, task: Task) -> Text:
        """The rate, empty while it is not known."""
        return Text(f"{task.speed:,.0f} items/s" if task.speed else "")


class BarsView:
    """A bar with rate and time left for each task, and one for all, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._all = self._bars.add_task("all segments", total=None)
        self._each: list[TaskID] = []

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: BackfillProgress) -> None:
        """Move the bars."""
        while len(self._each) < len(progress.tasks):
            self._each.append(self._bars.add_task("waiting", total=None))
        for bar, task in zip(self._each, progress.tasks, strict=True):
            total = task.expected or None
            self._bars.update(bar, description=task.title, completed=task.scanned, total=total)
        self._bars.update(self._all, completed=progress.scanned, total=progress.expected or None)


def view_for(console: Console) -> View:
    """Bars on a terminal, lines elsewhere."""
    return BarsView(console) if console.is_terminal and sys.stdout.isatty() else PlainView()


def gather(kept: Sequence[tuple[Mapping[str, Any] | None, str]], elapsed_s: float) -> BackfillProgress:
    """From the mapped tasks' kept values and states."""
    tasks = tuple(TaskProgress.from_store(value, state) for value, state in kept)
    return BackfillProgress(tasks=tasks, elapsed_s=elapsed_s)
