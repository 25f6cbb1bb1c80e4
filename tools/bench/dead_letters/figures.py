"""From the runs of the replay's part to figures, and which aims are met."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tools.bench.dead_letters.cases import CASES, DYNAMODB_LOCAL, MINISTACK, Case, bare_queue, bare_reads
from tools.bench.dead_letters.course import MeasuredReplay
from tools.bench.results import Aim, header, median, of, ratio
from tools.bench.runs import Contender, Run
from tools.bench.settings import Settings

WANTED_RECORDS_PER_S = 1_000.0
WANTED_OF_BARE_READS = 0.8
_BARE = {
    one.name: one
    for one in (
        *(bare_reads(table) for table in (MINISTACK, DYNAMODB_LOCAL)),
        *(bare_queue(case) for case in CASES if case.has_bare_queue and case.consumers == 1),
    )
}


def figures(settings: Settings, measured: MeasuredReplay) -> dict[str, Any]:
    """Everything that is worth keeping, as JSON."""
    runs = measured.runs
    return {
        **header(settings, measured.loads, measured.opensearch_version),
        "bare": {one.name: _row(runs, one) for one in _BARE.values()},
        "replay": {case.name: _row(runs, case.contender) | _ratios(runs, case) for case in CASES},
        "aims": [asdict(aim) | {"is_met": aim.is_met} for aim in aims(measured)],
        "runs": list(map(asdict, runs)),
    }


def aims(measured: MeasuredReplay) -> list[Aim]:
    """A thousand records a second, or a share of DynamoDB Local's bare reads where those are slow."""
    of_bare = WANTED_OF_BARE_READS * median(of(measured.runs, bare_reads(DYNAMODB_LOCAL).name), _rate)
    return [
        Aim(
            aim=f"records a second: {case.contender.title}",
            value=median(of(measured.runs, case.name), _rate),
            bound=round(min(WANTED_RECORDS_PER_S, of_bare)),
        )
        for case in CASES
    ]


def _rate(run: Run) -> float:
    return run.documents_per_s


def _row(runs: Sequence[Run], contender: Contender) -> dict[str, Any]:
    """CPU seconds per 1,000 records; a server that is both table and queue counts as the table."""
    mine = of(runs, contender.name)
    return {
        "title": contender.title,
        "records_per_s": round(median(mine, _rate)),
        "cpu_s_per_1000": round(median(mine, lambda run: _per_1000(run, run.cpu_s)), 3),
        "table_cpu_s_per_1000": round(median(mine, lambda run: _server(run, "table")), 3),
        "queue_cpu_s_per_1000": round(median(mine, lambda run: _server(run, "queue")), 3),
        "opensearch_cpu_s_per_1000": round(median(mine, lambda run: _server(run, "opensearch")), 3),
        "peak_mb": round(median(mine, lambda run: run.peak_mb)),
    }


def _ratios(runs: Sequence[Run], case: Case) -> dict[str, float | None]:
    """Within each round; no queue by itself was measured beside some cases."""
    queue = ratio(runs, case.name, bare_queue(case).name, _rate) if case.has_bare_queue else None
    return {
        "of_bare_reads": round(ratio(runs, case.name, bare_reads(case.table).name, _rate), 3),
        "of_bare_queue": None if queue is None else round(queue, 3),
    }


def _server(run: Run, server: str) -> float:
    return _per_1000(run, run.servers_cpu_s.get(server, 0.0))


def _per_1000(run: Run, seconds: float) -> float:
    return seconds / run.documents * 1000
