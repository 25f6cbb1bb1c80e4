"""Where a reconciliation keeps its files: for its owner only, the work of one run at a time, lists of earlier ones."""

from pathlib import Path
from typing import Any

import pytest

from dynamo_opensearch.core.compare.join import Kind, Suspect
from dynamo_opensearch.core.reconcile.found import FoundWriter
from dynamo_opensearch.core.reconcile.work_files import FOUND, WorkFileMissingError, side_name, suspects_name
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.reconcile.files import (
    DIFFERENCES,
    REPORT,
    forget_old_runs,
    forget_work_files,
    run_folder,
    work_files,
    write_private,
)
from dynamo_opensearch.operators.reconcile.lists import known_since_us, list_keeper, list_of_differences
from dynamo_opensearch.wiring.target_connections import load_target
from tests.support.fakes import NOW_US
from tests.support.reconciliations import night

RUN = "scheduled__2026-06-07T00:30:00+00:00"
IN_PATHS = "scheduled__2026-06-07T00_30_00+00_00"


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return load_target("members")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / "local"
    file.write_bytes(b"rows")
    return file


def is_private(folder: Path) -> bool:
    return folder.stat().st_mode & 0o077 == 0


def test_a_run_has_a_folder_of_its_own_below_the_reports(target: Target, tmp_path: Path) -> None:
    assert str(run_folder(target, RUN)) == f"file://{tmp_path}/reports/reconcile/members/{IN_PATHS}"
    other = target.model_copy(update={"name": "orders"})
    assert run_folder(other, RUN).parent.name == "orders"


def test_the_environments_reports_are_where_it_lies(target: Target, tmp_path: Path) -> None:
    place = target.model_copy(update={"environments": {"local": Environment(reports=f"file://{tmp_path}/elsewhere")}})
    assert str(run_folder(place, "r")) == f"file://{tmp_path}/elsewhere/reconcile/members/r"


@pytest.mark.parametrize("run_id", ["../../escape", "a/b", "a b", "manual__x:y"])
def test_no_run_id_leads_out_of_the_targets_folder(target: Target, tmp_path: Path, run_id: str) -> None:
    folder = Path(run_folder(target, run_id).path)
    assert (tmp_path / "reports" / "reconcile" / "members").resolve() in folder.resolve().parents


def test_what_is_stored_comes_back_whole_and_storing_again_replaces_it(target: Target, tmp_path: Path) -> None:
    files = work_files(target, RUN)
    local, back = tmp_path / "local", tmp_path / "back"
    for content in (b"x" * 3_000_000, b"short", b""):
        local.write_bytes(content)
        files.put("name.parquet", local)
        files.get("name.parquet", back)
        assert back.read_bytes() == content


def test_only_the_writer_may_look_at_work_files_and_at_what_is_written(
    target: Target, tmp_path: Path, local: Path
) -> None:
    work_files(target, RUN).put("name", local)
    folder = tmp_path / "reports" / "reconcile" / "members" / IN_PATHS
    assert is_private(folder / "work")
    write_private(run_folder(target, RUN) / "report.json", b"{}")
    assert is_private(folder)
    list_keeper(target, "other")(local)
    assert is_private(folder.parent / "other")


def test_a_file_that_is_not_there_says_where_it_was_looked_for(target: Target, tmp_path: Path) -> None:
    back = tmp_path / "back"
    with pytest.raises(WorkFileMissingError, match=f"found.parquet is not in file://.*{IN_PATHS[:9]}.*/work") as raised:
        work_files(target, RUN).get(FOUND, back)
    assert isinstance(raised.value.__cause__, FileNotFoundError)
    assert raised.value.is_permanent
    assert not back.exists()


def test_names_of_files_sort_and_never_meet() -> None:
    names = [side_name(side, part, number) for side in ("table", "index") for part in range(12) for number in range(12)]
    names += [suspects_name(number) for number in range(12)] + [FOUND]
    assert len(set(names)) == len(names)
    assert suspects_name(9) < suspects_name(10)


# The work of one run at a time


def test_the_work_of_other_runs_is_removed_and_their_reports_stay(target: Target, tmp_path: Path, local: Path) -> None:
    for run_id in ("first", RUN, "third"):
        work_files(target, run_id).put("name", local)
        write_private(run_folder(target, run_id) / "report.json", b"{}")
        list_keeper(target, run_id)(local)
    for _ in range(2):
        forget_work_files(target, but=RUN)
        left = sorted(
            str(path.relative_to(tmp_path / "reports")) for path in (tmp_path / "reports").rglob("*") if path.is_file()
        )
        assert [name for name in left if "/work/" in name] == [f"reconcile/members/{IN_PATHS}/work/name"]
        assert sum(name.endswith("report.json") for name in left) == 3
        assert sum(name.endswith(DIFFERENCES) for name in left) == 3


def test_the_work_of_another_target_stays(target: Target, tmp_path: Path, local: Path) -> None:
    other = target.model_copy(update={"name": "orders"})
    work_files(other, "first").put("name", local)
    forget_work_files(target)
    assert (tmp_path / "reports/reconcile/orders/first/work/name").exists()


def test_without_any_run_there_is_nothing_to_remove(target: Target, tmp_path: Path) -> None:
    forget_work_files(target, but=RUN)
    assert not (tmp_path / "reports").exists()
    (tmp_path / "reports/reconcile/members").mkdir(parents=True)
    (tmp_path / "reports/reconcile/members/notes.txt").write_text("of somebody")
    forget_work_files(target)
    assert (tmp_path / "reports/reconcile/members/notes.txt").exists()


# Lists of earlier runs


def keep_list(target: Target, run_id: str, folder: Path, *names: str) -> str:
    lines = folder / "lines"
    with FoundWriter(folder / "parquet", lines, {}, NOW_US) as writer:
        for name in names:
            writer.add(Suspect(name, None, Kind.MISSING, None), None)
    list_keeper(target, run_id)(lines)
    return list_of_differences(target, run_id)


def test_the_list_of_an_earlier_run_is_found_by_where_the_history_has_it(target: Target, tmp_path: Path) -> None:
    place = keep_list(target, RUN, tmp_path, "a", "b|c\n")
    assert place.endswith(f"{IN_PATHS}/differences.ndjson")
    assert known_since_us(night(differences_file=place)) == {"a": NOW_US, "b|c\n": NOW_US}


def test_its_place_leads_there_whatever_the_environments_reports_are_later(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = keep_list(target, RUN, tmp_path, "a")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "moved"))
    assert known_since_us(night(differences_file=place)) == {"a": NOW_US}


@pytest.mark.parametrize("earlier", [None, night(), night(differences_file="file:///nowhere/differences.ndjson")])
def test_without_a_list_nothing_is_known(earlier: Any) -> None:
    assert known_since_us(earlier) == {}


def test_the_folders_of_runs_that_the_history_has_forgotten_go(target: Target) -> None:
    for run_id in ("manual__1", "manual__2", "manual__3"):
        write_private(run_folder(target, run_id) / REPORT, b"{}")

    forget_old_runs(target, {"manual__2", "manual__9"})

    assert [folder.name for folder in run_folder(target, "manual__2").parent.iterdir()] == ["manual__2"]
