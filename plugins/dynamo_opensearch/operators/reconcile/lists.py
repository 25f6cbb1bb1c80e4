"""Lists of the keys that differ: one for each run, and what the next run takes from it."""

from collections.abc import Callable
from pathlib import Path

from dynamo_opensearch.core.reconcile.found import read_since
from dynamo_opensearch.core.reconcile.report import Night
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.object_storage import refusals_named, stored_at
from dynamo_opensearch.operators.reconcile.files import DIFFERENCES, ObjectStorageWorkFiles, run_folder


def list_keeper(target: Target, run_id: str) -> Callable[[Path], None]:
    """What stores the run's list of keys that differ, for people and for the next run."""
    stored = ObjectStorageWorkFiles(run_folder(target, run_id))
    return lambda file: stored.put(DIFFERENCES, file)


def list_of_differences(target: Target, run_id: str) -> str:
    """Where that list is."""
    return str(run_folder(target, run_id) / DIFFERENCES)


def known_since_us(earlier: Night | None) -> dict[str, int]:
    """By id, since when it is on the list of an earlier run; nothing where there is no list any more."""
    if earlier is None or earlier.differences_file is None:
        return {}
    file = stored_at(earlier.differences_file)
    with refusals_named(file):
        try:
            with file.open("rb") as lines:  # type: ignore[no-untyped-call]
                return read_since(lines)
        except FileNotFoundError:
            return {}
