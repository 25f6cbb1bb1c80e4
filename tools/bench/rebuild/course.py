"""The course of the rebuild's part: both copies, the follower, the swaps."""

from dataclasses import dataclass, field
from typing import Any

import psutil

from tools.bench import sources
from tools.bench.course import OPENSEARCH_HEAP, Say
from tools.bench.rebuild.copies import server_copies, table_copies
from tools.bench.rebuild.followers import followed
from tools.bench.rebuild.ground import Ground
from tools.bench.rebuild.swapping import swapped
from tools.bench.rebuild.swaps import SwapRun
from tools.bench.runs import Run
from tools.bench.settings import Settings
from tools.local import http, opensearch


@dataclass(frozen=True, kw_only=True)
class MeasuredRebuild:
    """All runs, in order of rounds. ``traffic``: what went on beside the swaps."""

    server_copies: list[Run] = field(default_factory=list)
    table_copies: list[Run] = field(default_factory=list)
    follower: list[Run] = field(default_factory=list)
    swaps: list[SwapRun] = field(default_factory=list)
    traffic: dict[str, Any] = field(default_factory=dict)
    opensearch_version: str = ""
    loads: list[float] = field(default_factory=list)


def measure(settings: Settings, say: Say) -> MeasuredRebuild:
    """Everything, in about ten minutes.

    Raises:
        CountError, ContenderError, FollowerLateError, DifferenceError, ServerError, NotInstalledError: what was
            measured would not be worth showing.
    """
    load_before = psutil.getloadavg()[0]
    pages = sources.recording(settings.items)
    bodies = sources.bulk_bodies(pages)
    with opensearch.started(sources.FOLDER / "opensearch", heap=OPENSEARCH_HEAP) as server:
        ground = Ground(settings, say, server, pages, bodies)
        copies, from_table, follower = list(server_copies(ground)), list(table_copies(ground)), list(followed(ground))
        swaps = swapped(ground)
        return MeasuredRebuild(
            server_copies=copies,
            table_copies=from_table,
            follower=follower,
            swaps=swaps.swaps,
            traffic=swaps.traffic,
            opensearch_version=http.call(server.url)["version"]["number"],
            loads=[load_before, psutil.getloadavg()[0]],
        )
