"""The Java servers' jars: a flat list of exact coordinates, each with its sha256.

`python -m tools.local.jars`, run by `make` in the servers' environment (it has jgo),
brings what is missing to build/jars/. Nothing is resolved transitively: the list was
made once by Maven, see `tools/local/lock_jars.py`.
"""

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.local import paths

LOCK = Path(__file__).with_name("jars.lock")
DOWNLOADS_AT_ONCE = 8
TRIES = 5
LONGEST_PAUSE_S = 8.0


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One file of a server's class path (or a native library beside it)."""

    server: str
    group: str
    artifact: str
    version: str
    classifier: str
    packaging: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name that Maven gives the file."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"

    @property
    def coordinates(self) -> str:
        """group:artifact:version[:classifier]:packaging, as the lock spells them."""
        parts = (self.group, self.artifact, self.version, self.classifier, self.packaging)
        return ":".join(part for part in parts if part)


Download = Callable[[Jar], Path]
"""Gets a jar from the registry and returns where it is; raises for want of it."""


class JarError(RuntimeError):
    """A jar could not be brought, or is not what the lock says."""


class ChecksumError(JarError):
    """A downloaded jar is another one than the lock names."""

    def __init__(self, coordinates: str, expected: str, actual: str) -> None:
        super().__init__(coordinates, expected, actual)
        self.coordinates, self.expected, self.actual = coordinates, expected, actual

    def __str__(self) -> str:
        return (
            f"{self.coordinates} has sha256 {self.actual}, {LOCK.name} says {self.expected}. "
            "It was not kept. Either the registry serves another file, or the lock is wrong."
        )


class DownloadError(JarError):
    """A jar could not be downloaded, however often it was tried."""

    def __init__(self, coordinates: str, tries: int, problem: str) -> None:
        super().__init__(coordinates, tries, problem)
        self.coordinates, self.tries, self.problem = coordinates, tries, problem

    def __str__(self) -> str:
        return f"{self.coordinates} could not be downloaded in {self.tries} tries: {self.problem}"


def read_lock(text: str) -> list[Jar]:
    """Parse a lock: `server coordinates sha256` on each line; `#` begins a comment line.

    Raises:
        ValueError: a line has another shape.
    """
    lines = (line.strip() for line in text.splitlines())
    return [_parse(line) for line in lines if line and not line.startswith("#")]


def folder_of(server: str, root: Path = paths.JARS) -> Path:
    """Where a server's jars are."""
    return root / server


def class_path(server: str, root: Path = paths.JARS) -> str:
    """A server's class path, in the lock's order.

    Raises:
        NotInstalledError: a jar has not been brought yet.
    """
    jars = [jar for jar in read_lock(LOCK.read_text()) if jar.server == server and jar.packaging == "jar"]
    files = [folder_of(server, root) / jar.file_name for jar in jars]
    for file in files:
        if not file.exists():
            raise paths.NotInstalledError(file)
    return os.pathsep.join(map(str, files))


def fetch(
    jars: Sequence[Jar],
    root: Path,
    download: Download,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Bring all jars that are not there, several at once, and return how many that were.

    Safe to run again and after a kill: a file has its name only once it is whole and
    checked, and those that are there are not asked for again.

    Raises:
        ChecksumError: a file is not the one that the lock names.
        DownloadError: a file could not be had.
    """
    missing = [jar for jar in jars if not _is_there(jar, root)]
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        futures = [pool.submit(_bring, jar, root, download, sleep) for jar in missing]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(missing)


def _bring(jar: Jar, root: Path, download: Download, sleep: Callable[[float], None]) -> None:
    target = folder_of(jar.server, root) / jar.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    source = _download_patiently(jar, download, sleep)
    shutil.copyfile(source, partial)
    actual = sha256_of(partial)
    if actual != jar.sha256:
        partial.unlink()
        source.unlink()  # else jgo would hand out the same file again
        raise ChecksumError(jar.coordinates, jar.sha256, actual)
    partial.replace(target)


def _download_patiently(jar: Jar, download: Download, sleep: Callable[[float], None]) -> Path:
    problem = "never tried"
    for number in range(TRIES):
        try:
            return download(jar)
        except (OSError, RuntimeError) as error:  # jgo: requests' errors are OSErrors, "not found" is not
            problem = f"{type(error).__name__}: {error}"
        if number + 1 < TRIES:
            sleep(random.uniform(0.5, 1.0) * min(2.0**number, LONGEST_PAUSE_S))
    raise DownloadError(jar.coordinates, TRIES, problem)


def _is_there(jar: Jar, root: Path) -> bool:
    file = folder_of(jar.server, root) / jar.file_name
    return file.exists() and sha256_of(file) == jar.sha256


def sha256_of(file: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _parse(line: str) -> Jar:
    try:
        server, coordinates, sha256 = line.split()
        group, artifact, version, *classifier, packaging = coordinates.split(":")
    except ValueError:
        raise ValueError(f"{LOCK.name}: not `server coordinates sha256`: {line!r}") from None
    return Jar(
        server=server,
        group=group,
        artifact=artifact,
        version=version,
        classifier=classifier[0] if classifier else "",
        packaging=packaging,
        sha256=sha256,
    )


def jgo_download(cache: Path) -> Download:
    """A download by jgo from Maven Central, or from the mirror that the machine's Maven settings name."""
    from jgo.maven import MavenContext

    def download(jar: Jar) -> Path:
        context = MavenContext(repo_cache=cache)
        component = context.project(jar.group, jar.artifact).at_version(jar.version)
        return Path(component.artifact(packaging=jar.packaging, classifier=jar.classifier).resolve())

    return download


def main() -> int:
    """Bring all jars of the lock to build/jars/."""
    jars = read_lock(LOCK.read_text())
    cache = paths.JARS / ".cache"
    began = time.monotonic()
    try:
        brought = fetch(jars, paths.JARS, jgo_download(cache))
    except JarError as error:
        print(error, file=sys.stderr)
        return 1
    shutil.rmtree(cache, ignore_errors=True)
    if brought:
        print(f"{brought} of {len(jars)} jars brought in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
