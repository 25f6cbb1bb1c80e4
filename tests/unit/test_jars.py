"""The jars of the local servers: what the lock says, and nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.local import jars
from tools.local.paths import NotInstalledError

CONTENT = b"a jar"


def a_jar(artifact: str = "server", content: bytes = CONTENT) -> jars.Jar:
    return jars.Jar(
        server="some",
        group="org.example",
        artifact=artifact,
        version="1.0",
        classifier="",
        packaging="jar",
        sha256=hashlib.sha256(content).hexdigest(),
    )


class Registry:
    """Serves the same bytes for every jar, after some failures, and counts."""

    def __init__(self, folder: Path, failures: int = 0, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._folder, self._failures = folder, failures
        self._error = error or ConnectionError("reset")

    def __call__(self, jar: jars.Jar) -> Path:
        self.asked.append(jar.coordinates)
        if len(self.asked) <= self._failures:
            raise self._error
        served = self._folder / f"served-{jar.file_name}"
        served.write_bytes(CONTENT)
        return served


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "jars"


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def sleep(pauses: list[float]) -> Callable[[float], None]:
    return pauses.append


def test_a_missing_jar_is_brought_under_its_maven_name(root: Path, registry: Registry) -> None:
    assert jars.fetch([a_jar()], root, registry) == 1
    assert (root / "some" / "server-1.0.jar").read_bytes() == CONTENT


def test_a_second_fetch_downloads_nothing(root: Path, registry: Registry) -> None:
    wanted = [a_jar("one"), a_jar("two")]
    jars.fetch(wanted, root, registry)
    assert jars.fetch(wanted, root, registry) == 0
    assert len(registry.asked) == 2


def test_a_wrong_sha256_is_refused_and_nothing_is_kept(root: Path, registry: Registry) -> None:
    wanted = a_jar(content=b"another jar")
    with pytest.raises(jars.ChecksumError) as raised:
        jars.fetch([wanted], root, registry)
    assert raised.value.coordinates == "org.example:server:1.0:jar"
    assert raised.value.expected == wanted.sha256
    assert raised.value.actual == hashlib.sha256(CONTENT).hexdigest()
    assert "It was not kept" in str(raised.value)
    assert list((root / "some").iterdir()) == []
    assert registry.asked == [wanted.coordinates], "another try would bring the same file"


def test_a_damaged_jar_is_brought_again(root: Path, registry: Registry) -> None:
    jars.fetch([a_jar()], root, registry)
    (root / "some" / "server-1.0.jar").write_bytes(b"half")
    assert jars.fetch([a_jar()], root, registry) == 1
    assert (root / "some" / "server-1.0.jar").read_bytes() == CONTENT


def test_a_passing_error_is_waited_out(
    root: Path, tmp_path: Path, sleep: Callable[[float], None], pauses: list[float]
) -> None:
    registry = Registry(tmp_path, failures=2)
    assert jars.fetch([a_jar()], root, registry, sleep=sleep) == 1
    assert len(pauses) == 2
    assert max(pauses) <= jars.LONGEST_PAUSE_S


@pytest.mark.parametrize("error", [ConnectionError("reset"), RuntimeError("not found in remote repositories")])
def test_an_error_that_stays_is_told_with_the_coordinates(
    error: Exception, root: Path, tmp_path: Path, sleep: Callable[[float], None]
) -> None:
    registry = Registry(tmp_path, failures=99, error=error)
    with pytest.raises(jars.DownloadError, match=r"org\.example:server:1\.0:jar .* in 5 tries") as raised:
        jars.fetch([a_jar()], root, registry, sleep=sleep)
    assert str(error) in str(raised.value)
    assert not (root / "some" / "server-1.0.jar").exists()


def test_the_lock_names_every_file_once_with_its_sha256() -> None:
    locked = jars.read_lock(jars.LOCK.read_text())
    assert {jar.server for jar in locked} == {"opensearch", "dynamodb-local", "elasticmq"}
    assert len({(jar.server, jar.file_name) for jar in locked}) == len(locked)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in locked)


def test_a_line_with_a_classifier_is_read_back_as_it_was_written() -> None:
    line = f"opensearch io.netty:native:4.2:linux-x86_64:jar {'0' * 64}"
    (jar,) = jars.read_lock(f"# a comment\n\n{line}\n")
    assert jar.file_name == "native-4.2-linux-x86_64.jar"
    assert f"{jar.server} {jar.coordinates} {jar.sha256}" == line


@pytest.mark.parametrize("line", ["opensearch org.example:a:1:jar", "opensearch a:1 00", "nonsense"])
def test_a_line_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"jars\.lock: not `server coordinates sha256`"):
        jars.read_lock(line)


def test_a_class_path_without_its_jars_says_what_to_run(root: Path) -> None:
    with pytest.raises(NotInstalledError, match="make servers"):
        jars.class_path("opensearch", root)
