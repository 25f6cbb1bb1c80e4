"""`make indexer-zip`: the reference indexer as Lambda takes it, in build/indexer/.

Inside are the modules that the handler imports, the transforms that target files name, include/, and the clients in
the versions of requirements.txt, as wheels for the function's platform. boto3 is the runtime's own. The same input
gives the same bytes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.local.paths import BUILD, ROOT

FOLDER = BUILD / "indexer"
HANDLER = "dynamo_opensearch.indexer.handler"
PACKAGE = "dynamo_opensearch"
TIMESTAMP = (2020, 1, 1, 0, 0, 0)
"""Entries carry this time, so that the same files give the same archive."""

REQUIREMENTS = ("opensearch-py", "orjson", "pydantic", "pyyaml")
BROUGHT_BY_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath")
NOT_NEEDED = ("opensearch-protobufs",)
"""Brings gRPC, 40 MB; opensearch-py imports it nowhere."""

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {"x86_64": "x86_64-manylinux2014", "arm64": "aarch64-manylinux2014"}
"""Lambda's names to uv's; these wheels run on all of Lambda's runtimes."""
_LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|bin)/|^\.lock$|\.dist-info/(RECORD|INSTALLER|REQUESTED|uv_\w+\.json|direct_url\.json)$"
)
"""What differs from machine to machine, or is of no use there."""

_LIST_MODULES = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] == "{package}":
        print(module.__file__)
"""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Lambda's runtime: ``python`` such as 3.13, ``architecture`` as Lambda calls it."""

    python: str = "3.13"
    architecture: str = "x86_64"

    def __str__(self) -> str:
        return f"python{self.python}, {self.architecture}"


def make_zip(runtime: Runtime, folder: Path = FOLDER, root: Path = ROOT) -> Path:
    """Make the archive anew. Safe to run again.

    Raises:
        subprocess.CalledProcessError: a wheel is not to be had, or the handler cannot be imported.
    """
    dependencies = folder / f"dependencies-{runtime.python}-{runtime.architecture}"
    shutil.rmtree(dependencies, ignore_errors=True)
    dependencies.mkdir(parents=True)
    _install(runtime, dependencies, root)
    archive = folder / f"indexer-python{runtime.python}-{runtime.architecture}.zip"
    members = {**_dependency_files(dependencies), **_own_files(root)}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name in sorted(members):
            _add(written, name, members[name])
    shutil.rmtree(dependencies)
    return archive


def _install(runtime: Runtime, dependencies: Path, root: Path) -> None:
    """Wheels only, in the versions that everything else here uses."""
    left_out = "".join(f"{name} ; python_version < '0'\n" for name in NOT_NEEDED)
    overrides = dependencies.with_suffix(".overrides")
    overrides.write_text(left_out)
    command = (
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--target", str(dependencies)),
        *("--python-version", runtime.python, "--python-platform", PLATFORMS[runtime.architecture]),
        *("--only-binary", ":all:", "--link-mode", "copy", "--constraint", str(root / "requirements.txt")),
        *("--override", str(overrides), *REQUIREMENTS),
    )
    cache = {"UV_CACHE_DIR": str(BUILD / "cache" / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    try:
        subprocess.run(command, check=True, env={**cache, **os.environ})
    finally:
        overrides.unlink()


def _dependency_files(dependencies: Path) -> dict[str, Path]:
    files = {path.relative_to(dependencies).as_posix(): path for path in dependencies.rglob("*") if path.is_file()}
    return {name: path for name, path in files.items() if not _LEFT_OUT.search(name)}


def _own_files(root: Path) -> Mapping[str, Path]:
    """Modules of the package by what the handler and the transforms really import, and include/."""
    plugins, include = root / "plugins", root / "include"
    modules = [HANDLER, *sorted(set(_transform_modules(include)))]
    done = subprocess.run(
        (sys.executable, "-c", _LIST_MODULES.format(package=PACKAGE), *modules),
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(plugins), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    own = {Path(line).relative_to(plugins).as_posix(): Path(line) for line in done.stdout.split("\n") if line}
    data = (path for path in include.rglob("*") if path.is_file() and path.suffix in (".yaml", ".json"))
    return own | {f"{PACKAGE}/include/{path.relative_to(include).as_posix()}": path for path in data}


def _transform_modules(include: Path) -> Iterator[str]:
    for path in sorted((include / "targets").glob("*.yaml")):
        documents = yaml.safe_load(path.read_text(encoding="utf-8")).get("documents") or {}
        if transform := documents.get("transform"):
            yield transform.partition(":")[0]


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = zipfile.ZipInfo(name, TIMESTAMP)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, path.read_bytes())


def main() -> int:
    """Make the archive that the command line asks for, and say what it is."""
    parser = argparse.ArgumentParser(description="The reference indexer as a Lambda archive, in build/indexer/.")
    parser.add_argument("--python", choices=PYTHONS, default="3.13")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="x86_64")
    chosen = parser.parse_args()
    runtime = Runtime(python=chosen.python, architecture=chosen.architecture)
    archive = make_zip(runtime)
    print(f"{archive.relative_to(ROOT)}  {archive.stat().st_size:,} bytes, for {runtime}")
    print(f"  handler  {HANDLER}.handler")
    return 0


if __name__ == "__main__":
    sys.exit(main())
