"""Contender: this package's copy by ``_reindex``, as the task of ``source=index`` makes it."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.rebuild.server_copy import ServerCopyPorts, ServerCopySettings, copy_by_reindex
from tools.bench.contender import Work, contend_with
from tools.bench.ours import MemoryStore
from tools.bench.rebuild.wired import NEXT, Wired
from tools.bench.target_index import ALIAS


@dataclass(frozen=True, kw_only=True)
class ServerCopyTask:
    """From which index to which, and in how many slices, or ``auto``."""

    opensearch: str
    from_index: str
    to_index: str
    slices: int | str


def prepare(said: dict[str, Any]) -> Work:
    """Build what the task builds."""
    task = ServerCopyTask(**said)
    wired = Wired("http://127.0.0.1:1", task.opensearch)  # no table is asked
    settings = ServerCopySettings(
        run_id="bench",
        from_index=task.from_index,
        from_uuid=read_index(wired.patient, task.from_index).uuid,
        to_index=task.to_index,
        to_uuid=read_index(wired.patient, task.to_index).uuid,
        alias=ALIAS,
        marker=NEXT,
        slices=task.slices,
        bulk_bytes=wired.target.budgets.bulk_bytes,
    )
    ports = ServerCopyPorts(
        cluster=wired.cluster, patient=wired.patient, store=MemoryStore(), clock=wired.clock, wish=lambda: None
    )
    return lambda: copy_by_reindex(settings, ports).total


if __name__ == "__main__":
    contend_with(prepare)
