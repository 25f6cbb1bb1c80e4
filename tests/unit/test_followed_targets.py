"""Which targets need a follower, asked again and again while their files are edited."""

from pathlib import Path

import pytest
import yaml

from dynamo_opensearch.wiring.followed_targets import FollowedTargets
from dynamo_opensearch.wiring.target_connections import TargetConnections


def write(include: Path, alias: str, *, enabled: bool = True) -> None:
    target = {
        "name": "members",
        "table": "members",
        "key": ["memberId"],
        "alias": alias,
        "mapping": "members.json",
        "indexer_writes": "versioned",
        "enabled": enabled,
        "environments": {"local": {}},
    }
    (include / "targets" / "members.yaml").write_text(yaml.safe_dump(target))


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("targets", "mappings"):
        (tmp_path / name).mkdir()
    (tmp_path / "mappings" / "members.json").write_text('{"settings": {}, "mappings": {}}')
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TargetConnections]:
    """The connections by which it was asked."""
    found: list[TargetConnections] = []

    def needs(self: FollowedTargets, name: str) -> bool:
        found.append(self._of(name))
        return True

    monkeypatch.setattr(FollowedTargets, "_needs_following", needs)
    return found


def test_connections_are_kept_while_the_file_is_as_it_was(include: Path, asked: list[TargetConnections]) -> None:
    write(include, "members-live")
    targets = FollowedTargets()
    assert targets.needed() == targets.needed() == ["members"]
    assert asked[0] is asked[1]


def test_a_file_that_was_edited_is_asked_about_as_it_is_now(include: Path, asked: list[TargetConnections]) -> None:
    write(include, "members-live")
    targets = FollowedTargets()
    targets.needed()
    write(include, "people-live")
    targets.needed()
    assert [one.target.alias for one in asked] == ["members-live", "people-live"]


def test_a_target_that_was_switched_off_is_not_asked_about(include: Path, asked: list[TargetConnections]) -> None:
    write(include, "members-live")
    targets = FollowedTargets()
    targets.needed()
    write(include, "members-live", enabled=False)
    assert targets.needed() == []
    assert len(asked) == 1
