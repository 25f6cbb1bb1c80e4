"""Where a reconciliation keeps its files: work files, lists of keys, report and page, on an ObjectStoragePath."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from dynamo_opensearch.core.reconcile.found import read_since
from dynamo_opensearch.core.reconcile.report import Night
from dynamo_opensearch.core.reconcile.work_files import WorkFileMissingError
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.object_storage import path_part, reports_path

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
    for folder in _runs(_target_folder(target)):
        if folder.name != kept and (folder / _WORK).exists():
            (folder / _WORK).rmdir(recursive=True)


def write_private(path: ObjectStoragePath, content: bytes) -> None:
    """Store a file that only its writer may read, where files have such rights."""
    _make_folder(path.parent)
    path.write_bytes(content)


class ObjectStorageWorkFiles:
    """Files below one folder, which only the writer may read."""

    def __init__(self, folder: ObjectStoragePath) -> None:
        self.folder = folder

    def put(self, name: str, file: Path) -> None:
        """Store a local file."""
        _make_folder(self.folder)
        with file.open("rb") as local, (self.folder / name).open("wb") as stored:  # type: ignore[no-untyped-call]
            shutil.copyfileobj(local, stored, 1 << 20)

    def get(self, name: str, file: Path) -> None:
        """Bring it into a local file.

        Raises:
            WorkFileMissingError: it is not there.
        """
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
    try:
        with ObjectStoragePath(earlier.differences_file).open("rb") as lines:  # type: ignore[no-untyped-call]
            return read_since(lines)
    except FileNotFoundError:
        return {}
