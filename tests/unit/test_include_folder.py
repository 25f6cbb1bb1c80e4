"""Where targets and mappings are looked for."""

from pathlib import Path

import pytest

from dynamo_opensearch.core.targets.include_folder import IncludeFolderError, environment_name, include_folder

ROOT = Path(__file__).parents[2]


def test_the_projects_own_folder_is_found_without_a_word() -> None:
    assert include_folder({}) == ROOT / "include"


def test_the_named_folder_comes_first_and_nothing_else_is_tried(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    assert include_folder({"DYNAMO_OPENSEARCH_INCLUDE": str(tmp_path)}) == tmp_path
    with pytest.raises(IncludeFolderError, match="Set DYNAMO_OPENSEARCH_INCLUDE"):
        include_folder({"DYNAMO_OPENSEARCH_INCLUDE": str(tmp_path / "absent")})


def test_the_environment_is_local_where_nothing_is_said() -> None:
    assert environment_name({}) == "local"
    assert environment_name({"DYNAMO_OPENSEARCH_ENVIRONMENT": "production"}) == "production"
