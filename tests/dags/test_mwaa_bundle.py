"""The bundle for Amazon's managed Airflow holds what the service takes, and the same bytes each time."""

import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.mwaa_bundle import ROOT, Bundle, make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "mwaa")


def names(bundle: Bundle) -> list[str]:
    with zipfile.ZipFile(bundle.plugins) as archive:
        return archive.namelist()


def test_it_has_the_three_parts_and_nothing_else(bundle: Bundle) -> None:
    assert sorted(path.name for path in bundle.folder.iterdir()) == ["dags", "plugins.zip", "requirements.txt"]
    assert [path.name for path in sorted((bundle.folder / "dags").iterdir())] == [
        path.name for path in sorted((ROOT / "dags").glob("*.py"))
    ]


def test_targets_and_mappings_are_inside_the_package(bundle: Bundle) -> None:
    include = [
        path.relative_to(ROOT / "include").as_posix() for path in (ROOT / "include").rglob("*") if path.is_file()
    ]
    assert include
    assert {f"dynamo_opensearch/include/{name}" for name in include} <= set(names(bundle))


def test_every_module_of_plugins_is_inside_and_nothing_that_was_built(bundle: Bundle) -> None:
    modules = {path.relative_to(ROOT / "plugins").as_posix() for path in (ROOT / "plugins").rglob("*.py")}
    assert modules <= set(names(bundle))
    assert ".airflowignore" in names(bundle)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names(bundle))
    assert not [name for name in names(bundle) if "__pycache__" in name or name.endswith((".pyc", ".toml"))]


def test_nothing_of_tools_or_tests_is_inside(bundle: Bundle) -> None:
    assert not [name for name in names(bundle) if name.startswith(("tools", "tests"))]


def test_two_bundles_are_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    again = make_bundle(tmp_path / "again")
    assert again.plugins.read_bytes() == bundle.plugins.read_bytes()


def test_making_it_again_leaves_nothing_old_behind(bundle: Bundle) -> None:
    (bundle.folder / "dags" / "gone.py").write_text("raise RuntimeError")
    make_bundle(bundle.folder)
    assert not (bundle.folder / "dags" / "gone.py").exists()


def test_the_lock_of_the_managed_airflow_covers_what_the_bundle_asks_for(bundle: Bundle) -> None:
    lock = (Path(__file__).parent / "airflow-3.2.1.txt").read_text().splitlines()
    pins = dict(line.split(" ")[0].split("==") for line in lock if "==" in line and not line.startswith((" ", "#")))
    wanted = [
        Requirement(line) for line in bundle.requirements.read_text().splitlines() if line and not line.startswith("#")
    ]
    assert wanted
    for requirement in wanted:
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_what_is_added_to_airflow_is_what_the_project_declares(bundle: Bundle) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    added = [line for line in bundle.requirements.read_text().splitlines() if line and not line.startswith("#")]
    assert set(added) <= set(declared)
