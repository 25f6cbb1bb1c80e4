"""Where a reconciliation keeps its files, on an ObjectStoragePath: work files, report and page.

The API server imports it for the page, so no engine and no client comes with it.
"""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.object_storage import path_part, refusals_named, reports_path

REPORT, PAGE, DIFFERENCES = "report.json", "page.html", "differences.ndjson"
_WORK = "work"


def run_folder(target: Target, run_id: str) -> ObjectStoragePath:
    """The folder of one run, below the environment's ``reports``."""
    return _target_folder(target) / path_part(run_id)


def work_files(target: Target, run_id: str) -> "ObjectStorageWorkFiles":
    """The files that the run's tasks hand to each other."""
    return ObjectStorageWorkFiles(run_folder(target, run_id) / _WORK)


def forget_work_files(target: Target, *, but: str | None = None) -> None:
    """Remove the work files of the target's runs, those of the run ``but`` excepted. Safe to run again."""
    kept = None if but is None else path_part(but)
    with refusals_named(_target_folder(target)):
        for folder in _runs(_target_folder(target)):
            if folder.name != kept and (folder / _WORK).exists():
                (folder / _WORK).rmdir(recursive=True)


def forget_old_runs(target: Target, kept_runs: Collection[str]) -> None:
    """Remove the folders of all runs but these. Safe to run again."""
    kept = {path_part(run_id) for run_id in kept_runs}
    with refusals_named(_target_folder(target)):
        for folder in _runs(_target_folder(target)):
            if folder.name not in kept:
                folder.rmdir(recursive=True)


def write_private(path: ObjectStoragePath, content: bytes) -> None:
    """Store a file that only its writer may read, where files have such rights."""
    with refusals_named(path):
        _make_folder(path.parent)
        path.write_bytes(content)


class ObjectStorageWorkFiles:
    """Files below one folder, which only the writer may read."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def put(self, name: str, file: Path) -> None:
        """Store a local file."""
        with refusals_named(self.folder):
            _make_folder(self.folder)
            with file.open("rb") as local, (self.folder / name).open("wb") as stored:  # type: ignore[no-untyped-call]
                shutil.copyfileobj(local, stored, 1 << 20)

    def get(self, name: str, file: Path) -> None:
        """Bring it into a local file.

        Raises:
            WorkFileMissingError: it is not there.
        """
        with refusals_named(self.folder):
            try:
                with (self.folder / name).open("rb") as stored, file.open("wb") as local:  # type: ignore[no-untyped-call]
                    shutil.copyfileobj(stored, local, 1 << 20)
            except FileNotFoundError as error:
                raise WorkFileMissingError(name, str(self.folder)) from error


def _target_folder(target: Target) -> ObjectStoragePath:
    return reports_path(target.environments[environment_name()].reports) / "reconcile" / target.name


def _runs(folder: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    return iter(()) if not folder.exists() else iter(list(folder.iterdir()))


def _make_folder(folder: ObjectStoragePath) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.protocol == "file":
        Path(folder.path).chmod(0o700)
