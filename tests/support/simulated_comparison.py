"""The package's comparison of an index with the simulated table, mending what differs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from dynamo_opensearch.core.compare.comparison import ComparisonPorts, ComparisonSettings, compare
from dynamo_opensearch.core.compare.mending import Mender
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.offer.rejects import Reject
from tests.support.simulated_world import World


def compare_and_mend(world: World, alias: str) -> ComparisonReport:
    """Every key and all content of the index behind an alias; what differs is offered through it. For a task."""
    worker = world.worker(f"comparison of {alias}")
    ((index, _),) = world.call(f"_alias/{alias}").items()
    builder = worker.builder_for(index)
    settings = ComparisonSettings(index=index, depth="content", total_segments=2, max_mends=world.hazards.history.keys)
    with tempfile.TemporaryDirectory() as scratch:
        ports = ComparisonPorts(
            table=worker.table,
            reader=worker.reader,
            patient=worker.patient,
            builder=builder,
            clock=worker.clock,
            scratch=Path(scratch),
            offer=Mender(worker.refresher, worker.sender(alias), builder, index, _refuse_none).offer,
        )
        return compare(settings, ports)


def _refuse_none(rejects: Sequence[Reject]) -> None:
    raise AssertionError(f"{len(rejects)} documents were refused")
