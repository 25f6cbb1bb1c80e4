"""From runs to figures: medians, ratios within a round, and which aims are met."""

import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tools.bench.course import BARE_SCAN, CONTENDERS, OURS, Measured
from tools.bench.runs import BENCH_VENV, Run
from tools.bench.settings import Settings
from tools.local import paths

_PACKAGES = ("boto3", "opensearch-py", "orjson", "apache-airflow")


@dataclass(frozen=True, kw_only=True)
class Aim:
    """``at_least`` or at most ``bound``."""

    aim: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether it is."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def of(runs: Iterable[Run], contender: str) -> list[Run]:
    """One contender's runs, in order of rounds."""
    return [run for run in runs if run.contender == contender]


def median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """The median of a figure."""
    return statistics.median(figure(run) for run in runs)


def ratio(runs: Sequence[Run], one: str, other: str, figure: Callable[[Run], float]) -> float:
    """The median of the ratios within each round: what disturbs a round disturbs both."""
    pairs = zip(of(runs, one), of(runs, other), strict=True)
    return statistics.median(figure(mine) / figure(theirs) for mine, theirs in pairs)


def _rate(run: Run) -> float:
    return run.documents_per_s


def _cpu(run: Run) -> float:
    return run.cpu_s_per_100k


def _peak(run: Run) -> float:
    return run.peak_mb


def header(settings: Settings, loads: Sequence[float], opensearch_version: str) -> dict[str, Any]:
    """What a part's figures were made with. ``loads``: the machine's, before and after."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "plugins", "tools")),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": psutil.cpu_count(), "loads": [round(load, 1) for load in loads]},
        "versions": _versions() | {"opensearch": opensearch_version},
        "settings": asdict(settings),
    }


def figures(settings: Settings, measured: Measured) -> dict[str, Any]:
    """Everything that is worth keeping, as JSON."""
    return {
        **header(settings, measured.loads, measured.opensearch_version),
        "light_mapping": _table(measured.light),
        "members_mapping": _table(measured.members),
        "emulators": {name: _emulator_figures(runs) for name, runs in measured.emulators.items()},
        "memory": _memory_figures(measured.memory),
        "aims": [asdict(aim) | {"is_met": aim.is_met} for aim in aims(measured)],
        "runs": {
            "light_mapping": [asdict(run) for run in measured.light],
            "members_mapping": [asdict(run) for run in measured.members],
            "emulators": {name: [asdict(run) for run in runs] for name, runs in measured.emulators.items()},
        },
    }


def aims(measured: Measured) -> list[Aim]:
    """The aims, with what was measured."""
    light = measured.light
    ahead = min(ratio(light, "b", "d", _rate), ratio(light, "d", "b", _cpu), ratio(light, "d", "b", _peak))
    memory = _memory_figures(measured.memory)
    return [
        Aim(aim="b's rate at 0.7 of a's", value=ratio(light, "b", "a", _rate), bound=0.7),
        Aim(aim="c's client CPU at 4 times b's", value=ratio(light, "c", "b", _cpu), bound=4.0),
        Aim(aim="b ahead of d in rate, CPU and peak memory (least of the three ratios)", value=ahead, bound=1.0),
        *(
            Aim(aim=f"b's rate at 0.95 of the bare scan of {name}", value=_of_bare_scan(runs), bound=0.95)
            for name, runs in measured.emulators.items()
        ),
        Aim(
            aim="peak memory above an empty task, MB, the larger table",
            value=memory["large"]["above_empty_mb"],
            bound=250.0,
            at_least=False,
        ),
        Aim(
            aim="the same for the larger table: ratio of the peaks",
            value=memory["large"]["peak_mb"] / memory["small"]["peak_mb"],
            bound=1.1,
            at_least=False,
        ),
    ]


def _table(runs: Sequence[Run]) -> dict[str, Any]:
    """By contender; ``of_ceiling`` within each round."""
    return {
        contender.name: {
            "title": contender.title,
            "documents_per_s": round(median(mine, _rate)),
            "of_ceiling": round(ratio(runs, contender.name, "a", _rate), 2),
            "cpu_s_per_100k": round(median(mine, _cpu), 2),
            "cpu_of_b": round(ratio(runs, contender.name, "b", _cpu), 2),
            "peak_mb": round(median(mine, _peak)),
            "opensearch_cpu_s_per_100k": round(median(mine, _opensearch_cpu), 2),
        }
        for contender in CONTENDERS
        if (mine := of(runs, contender.name))
    }


def _opensearch_cpu(run: Run) -> float:
    return run.servers_cpu_s["opensearch"] / run.documents * 100_000


def _source_cpu(run: Run) -> float:
    return run.servers_cpu_s["source"] / run.documents * 100_000


def _counted(runs: Sequence[Run]) -> list[Run]:
    """Without the first pair, which warms the emulator up."""
    return list(runs[2:])


def _of_bare_scan(runs: Sequence[Run]) -> float:
    return ratio(_counted(runs), OURS.name, BARE_SCAN.name, _rate)


def _emulator_figures(runs: Sequence[Run]) -> dict[str, float]:
    counted = _counted(runs)
    scans, copies = of(counted, BARE_SCAN.name), of(counted, OURS.name)
    return {
        "bare_scan_items_per_s": round(median(scans, _rate)),
        "copied_items_per_s": round(median(copies, _rate)),
        "of_bare_scan": round(_of_bare_scan(runs), 2),
        "emulator_cpu_s_per_100k": round(median(copies, _source_cpu), 2),
        "client_cpu_s_per_100k": round(median(copies, _cpu), 2),
        "opensearch_cpu_s_per_100k": round(median(copies, _opensearch_cpu), 2),
    }


def _memory_figures(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    empty, small, large = runs
    return {
        name: {
            "items": run.documents,
            "peak_mb": round(run.peak_mb),
            "above_empty_mb": round(run.peak_mb - empty.peak_mb),
        }
        for name, run in (("empty", empty), ("small", small), ("large", large))
    }


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "awswrangler": _version_in(BENCH_VENV, "awswrangler"),
        "ministack": _version_in(paths.SERVERS_VENV, "ministack"),
    }


def _version_in(environment: Path, package: str) -> str:
    """Of a package in another environment, which only `make bench` needs."""
    if not (environment / "bin" / "python").exists():
        return "not installed"
    script = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.check_output([environment / "bin" / "python", "-c", script], text=True).strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
