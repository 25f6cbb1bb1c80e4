"""From the runs of the rebuild's part to figures, and which aims are met."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tools.bench.rebuild.copies import BARE, BY_REINDEX, INTO_NEXT, OWN, SLICES
from tools.bench.rebuild.course import MeasuredRebuild
from tools.bench.rebuild.followers import CASES, READS
from tools.bench.results import Aim, header, median, of, ratio
from tools.bench.runs import Contender, Run
from tools.bench.settings import Settings

WANTED_CHANGES_PER_S = 1_000.0
WANTED_OF_BARE_READS = 0.8
LONGEST_BLOCK_S = 0.5


def figures(settings: Settings, measured: MeasuredRebuild) -> dict[str, Any]:
    """Everything that is worth keeping, as JSON."""
    return {
        **header(settings, measured.loads, measured.opensearch_version),
        "server_copy": {
            contender.name: _copy_row(measured.server_copies, contender, BARE[slices])
            for slices in SLICES
            for contender in (BARE[slices], BY_REINDEX[slices])
        },
        "table_copy": {one.name: _copy_row(measured.table_copies, one, OWN) for one in (OWN, INTO_NEXT)},
        "follower": {
            one.name: _follower_row(measured.follower, one) for one in (READS, *(case.contender for case in CASES))
        },
        "swap": _swap_figures(measured),
        "aims": [asdict(aim) | {"is_met": aim.is_met} for aim in aims(measured)],
        "runs": {
            "server_copies": list(map(asdict, measured.server_copies)),
            "table_copies": list(map(asdict, measured.table_copies)),
            "follower": list(map(asdict, measured.follower)),
            "swaps": list(map(asdict, measured.swaps)),
        },
    }


def aims(measured: MeasuredRebuild) -> list[Aim]:
    """The aims, with what was measured."""
    blocked_s = [run.blocked_s for run in measured.swaps]
    return [
        *(
            Aim(
                aim=f"source=index: time to that of bare _reindex, slices={slices}",
                value=ratio(measured.server_copies, BY_REINDEX[slices].name, BARE[slices].name, _seconds),
                bound=1.15,
                at_least=False,
            )
            for slices in SLICES
        ),
        Aim(
            aim="source=table: time to that of the backfill",
            value=ratio(measured.table_copies, INTO_NEXT.name, OWN.name, _seconds),
            bound=1.1,
            at_least=False,
        ),
        *(_follower_aim(measured.follower, case.contender) for case in CASES),
        Aim(
            aim="write block to unblock, s, median",
            value=statistics.median(blocked_s),
            bound=LONGEST_BLOCK_S,
            at_least=False,
        ),
        Aim(aim="write block to unblock, s, worst", value=max(blocked_s), bound=LONGEST_BLOCK_S, at_least=False),
    ]


def _follower_aim(runs: Sequence[Run], contender: Contender) -> Aim:
    """A thousand changes a second, or a share of the bare reads where those are slow."""
    of_bare = WANTED_OF_BARE_READS * median(of(runs, READS.name), _rate)
    return Aim(
        aim=f"follower, changes a second: {contender.title}",
        value=median(of(runs, contender.name), _rate),
        bound=min(WANTED_CHANGES_PER_S, of_bare),
    )


def _seconds(run: Run) -> float:
    return run.seconds


def _rate(run: Run) -> float:
    return run.documents_per_s


def _copy_row(runs: Sequence[Run], contender: Contender, bare: Contender) -> dict[str, Any]:
    """``of_bare``: the time, within each round."""
    mine = of(runs, contender.name)
    return {
        "title": contender.title,
        "seconds": round(median(mine, _seconds), 2),
        "documents_per_s": round(median(mine, _rate)),
        "of_bare": round(ratio(runs, contender.name, bare.name, _seconds), 2),
        "cpu_s_per_100k": round(median(mine, lambda run: run.cpu_s_per_100k), 2),
        "opensearch_cpu_s_per_100k": round(median(mine, lambda run: _server_cpu(run, "opensearch", 100_000)), 2),
    }


def _follower_row(runs: Sequence[Run], contender: Contender) -> dict[str, Any]:
    """CPU seconds per 1,000 changes."""
    mine = of(runs, contender.name)
    return {
        "title": contender.title,
        "changes_per_s": round(median(mine, _rate)),
        "of_bare": round(ratio(runs, contender.name, READS.name, _rate), 2),
        "cpu_s_per_1000": round(median(mine, lambda run: run.cpu_s / run.documents * 1000), 3),
        "source_cpu_s_per_1000": round(median(mine, lambda run: _server_cpu(run, "source", 1000)), 3),
        "opensearch_cpu_s_per_1000": round(median(mine, lambda run: _server_cpu(run, "opensearch", 1000)), 3),
        "peak_mb": round(median(mine, lambda run: run.peak_mb)),
    }


def _server_cpu(run: Run, server: str, documents: int) -> float:
    return run.servers_cpu_s[server] / run.documents * documents


def _swap_figures(measured: MeasuredRebuild) -> dict[str, Any]:
    runs = measured.swaps
    steps = list(dict.fromkeys(step for run in runs for step in run.steps))
    rows = {"write block to unblock": [run.blocked_s for run in runs]}
    rows |= {step: [run.steps.get(step, 0.0) for run in runs] for step in steps}
    return {
        "swaps": len(runs),
        "caught_up_under_block": statistics.median(run.caught_up_under for run in runs),
        "traffic": measured.traffic,
        "seconds": {step: _distribution(seconds) for step, seconds in rows.items()},
    }


def _distribution(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "least": round(ordered[0], 3),
        "median": round(statistics.median(ordered), 3),
        "nine_of_ten": round(ordered[(9 * len(ordered) - 1) // 10], 3),
        "worst": round(ordered[-1], 3),
    }
