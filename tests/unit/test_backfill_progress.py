"""What `make demo` shows of a backfill, from what its tasks keep."""

import io
from typing import Any

import pytest
from rich.console import Console

from tools.local.backfill_progress import BackfillProgress, BarsView, PlainView, TaskProgress, gather


def kept(scanned: int, expected: int = 1_000, segments: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    """What a task keeps under `progress`, as far as the demo reads it."""
    return {
        "segments": list(segments),
        "segments_done": 1,
        "scanned": scanned,
        "items_estimated": expected,
        "report": {"scanned": scanned},
    }


def test_rate_and_time_left_come_from_all_tasks() -> None:
    progress = gather([(kept(250), "running"), (kept(250), "running")], elapsed_s=5.0)
    assert (progress.scanned, progress.expected) == (500, 2_000)
    assert progress.items_per_s == 100.0
    assert progress.left_s == 15.0
    assert progress.line() == "500 of 2,000 items, 100 items/s, 15 s left; 0 of 2 tasks done"


def test_a_finished_task_expects_what_it_read_whatever_the_estimate_was() -> None:
    progress = gather([(kept(900), "success"), (kept(1_200), "running")], elapsed_s=1.0)
    assert progress.expected == 2_100


def test_before_anything_is_kept_there_is_no_rate_and_no_time_left() -> None:
    progress = gather([(None, "queued")], elapsed_s=0.0)
    assert progress.left_s is None
    assert progress.tasks == (TaskProgress(segments=(), segments_done=0, scanned=0, items_estimated=0, state="queued"),)


@pytest.mark.parametrize(
    ("segments", "title"),
    [((), "waiting (running)"), ((3,), "segment 3 (running)"), ((4, 5, 6), "segment 4-6 (running)")],
)
def test_a_task_is_named_by_its_segments(segments: tuple[int, ...], title: str) -> None:
    assert TaskProgress.from_store(kept(1, segments=segments), "running").title == title


def test_lines_are_some_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        for elapsed_s in (1.0, 2.0, 3.0, 4.0, 5.0):
            view.show(gather([(kept(100), "running")], elapsed_s))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.show(gather([(kept(100), "running")], 5.0))
        for elapsed_s in (6.0, 7.0, 20.0):
            view.show(gather([(kept(1_000), "success")], elapsed_s))
    assert [line.split(";")[1] for line in capsys.readouterr().out.splitlines()] == [
        " 0 of 1 tasks done",
        " 1 of 1 tasks done",
    ]


def test_bars_show_each_task_and_all_of_them() -> None:
    out = io.StringIO()
    with BarsView(Console(file=out, force_terminal=True, width=120)) as view:
        view.show(BackfillProgress(tasks=(), elapsed_s=0.0))
        view.show(gather([(kept(400), "running"), (None, "queued")], elapsed_s=2.0))
    assert "segment 0-1 (running)" in out.getvalue()
    assert "400/1000" in out.getvalue()
    assert "all segments" in out.getvalue()
