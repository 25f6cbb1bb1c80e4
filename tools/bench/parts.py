"""The parts of the benchmark: `fill` (a first fill, beside other ways to do it), `rebuild`, `replay`, `reconcile`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tools.bench import course, results, table
from tools.bench.course import Say
from tools.bench.dead_letters import course as replay_course
from tools.bench.dead_letters import figures as replay_figures
from tools.bench.dead_letters import grids as replay_grids
from tools.bench.rebuild import course as rebuild_course
from tools.bench.rebuild import figures as rebuild_figures
from tools.bench.rebuild import grids as rebuild_grids
from tools.bench.reconcile import course as reconcile_course
from tools.bench.reconcile import figures as reconcile_figures
from tools.bench.reconcile import grids as reconcile_grids
from tools.bench.settings import Settings
from tools.bench.table import Grid
from tools.local import paths

RESULTS = paths.BUILD / "bench.json"


@dataclass(frozen=True, kw_only=True)
class Part:
    """``measure`` returns the figures as JSON, ``grids`` makes tables of them."""

    measure: Callable[[Settings, Say], dict[str, Any]]
    grids: Callable[[dict[str, Any]], list[Grid]]


def _fill(settings: Settings, say: Say) -> dict[str, Any]:
    return results.figures(settings, course.measure(settings, say))


def _rebuild(settings: Settings, say: Say) -> dict[str, Any]:
    return rebuild_figures.figures(settings, rebuild_course.measure(settings, say))


def _replay(settings: Settings, say: Say) -> dict[str, Any]:
    return replay_figures.figures(settings, replay_course.measure(settings, say))


def _reconcile(settings: Settings, say: Say) -> dict[str, Any]:
    return reconcile_figures.figures(settings, reconcile_course.measure(settings, say))


PARTS = {
    "fill": Part(measure=_fill, grids=table.grids),
    "rebuild": Part(measure=_rebuild, grids=rebuild_grids.grids),
    "replay": Part(measure=_replay, grids=replay_grids.grids),
    "reconcile": Part(measure=_reconcile, grids=reconcile_grids.grids),
}


def read_results() -> dict[str, Any]:
    """The figures of the last run of each part; of no others, whatever stands in the file."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {name: kept[name] for name in PARTS if name in kept}


def keep_results(name: str, figures: dict[str, Any]) -> None:
    """Replace those of one part."""
    RESULTS.write_text(json.dumps(read_results() | {name: figures}, indent=2) + "\n")
