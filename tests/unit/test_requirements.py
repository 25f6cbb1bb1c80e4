"""The requirement files hold together: the same versions for users and tests, hashes where make installs from."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / file).read_text()))


def test_tests_run_with_the_versions_that_users_install() -> None:
    users, developers = pins("requirements.txt"), pins("requirements-dev.txt")
    assert users
    assert {name: developers.get(name) for name in users} == users


@pytest.mark.parametrize("name", ["dev", "servers", "bootstrap", "bench"])
def test_what_make_installs_is_pinned_with_hashes(name: str) -> None:
    text = (ROOT / f"requirements-{name}.txt").read_text()
    assert pins(f"requirements-{name}.txt")
    assert all(line.rstrip().endswith("\\") for line in text.splitlines() if PIN.match(line))
    assert "--hash=sha256:" in text


def test_requirements_for_a_plain_machine_are_what_every_pip_takes() -> None:
    """Pip 23, which Python 3.11 brings, refuses extras such as celery[redis] in a file with hashes."""
    assert "--hash" not in (ROOT / "requirements.txt").read_text()


@pytest.mark.parametrize("file", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_no_requirement_names_an_address(file: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    assert [line for line in lines if "://" in line and not line.startswith("#")] == []
