"""`make mwaa-bundle`: what Amazon's managed Airflow takes, in build/mwaa.

The service knows three things: a folder of DAGs, one plugins.zip and one requirements file. So include/ goes into
the package inside plugins.zip, where `include_folder` looks last. The same files give the same bytes.
"""

import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "build" / "mwaa"
PACKAGE = "dynamo_opensearch"
TIMESTAMP = (2020, 1, 1, 0, 0, 0)
"""Of every file in the archive."""
_LEFT_OUT = ("__pycache__", "ruff.toml", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Bundle:
    """What was made, and how many files each part holds."""

    folder: Path
    dag_files: int
    plugin_files: int

    @property
    def plugins(self) -> Path:
        """The archive of plugins/ and include/."""
        return self.folder / "plugins.zip"

    @property
    def requirements(self) -> Path:
        """What the service installs on top of its Airflow."""
        return self.folder / "requirements.txt"


def make_bundle(folder: Path = BUNDLE, root: Path = ROOT) -> Bundle:
    """Make the bundle anew; what was in the folder before is gone. Safe to run again."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "dags").mkdir(parents=True)
    dags = sorted((root / "dags").glob("*.py"))
    for dag in dags:
        shutil.copyfile(dag, folder / "dags" / dag.name)
    shutil.copyfile(root / "requirements-runtime.txt", folder / "requirements.txt")
    members = sorted(_archive_members(root))
    with zipfile.ZipFile(folder / "plugins.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members:
            _add(archive, name, path)
    return Bundle(folder, len(dags), len(members))


def _archive_members(root: Path) -> Iterator[tuple[str, Path]]:
    for path in _files(root / "plugins"):
        yield path.relative_to(root / "plugins").as_posix(), path
    for path in _files(root / "include"):
        yield f"{PACKAGE}/include/{path.relative_to(root / 'include').as_posix()}", path


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not set(path.parts) & set(_LEFT_OUT))


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = zipfile.ZipInfo(name, TIMESTAMP)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, path.read_bytes())


def main() -> int:
    """Make the bundle and say what is in it."""
    bundle = make_bundle()
    print(f"{bundle.folder.relative_to(ROOT)}/")
    print(f"  dags/             {bundle.dag_files} files")
    print(f"  plugins.zip       {bundle.plugin_files} files, {bundle.plugins.stat().st_size:,} bytes")
    print("  requirements.txt  what the environment installs on top of Airflow")
    return 0


if __name__ == "__main__":
    sys.exit(main())
