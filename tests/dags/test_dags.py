"""The DAGs as Airflow reads them: ids, order, parameters and documentation."""

import copy
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import boto3.session
import opensearchpy
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("backfill", "cutover", "dlq_replay", "preflight", "reconcile", "reindex", "rollback_index", "rollback_service")
BY_ITSELF = {"members_reconcile"}
OF_ALL_TARGETS = {"sync_follow", "sync_index_cleanup"}
WAITS_FOR_A_PERSON = {"approve", "approve_indexer", "approve_api"}
DECIDES = (
    "{{ 'report' if (ti.xcom_pull(task_ids='report') or {}).get('verdict') "
    "in ('approximate', 'in motion') else 'gate' }}"
)
HEADINGS = [
    "What it is for",
    "When it runs",
    "Parameters",
    "What it locks",
    "When it fails",
    "How to undo it",
]


@pytest.fixture(scope="module")
def backfill(bag: DagBag) -> DAG:
    dag: DAG = bag.dags["members_backfill"]
    return dag


def every_dag(file: Path) -> Iterator[DAG]:
    """What a DAG file makes, read by no more than Python."""
    found = {id(value): value for value in runpy.run_path(str(file)).values() if isinstance(value, DAG)}
    return iter(found.values())


def test_all_files_are_imported_without_an_error(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_the_dags_are_those_that_others_rely_on_and_the_hidden_sample_has_none(bag: DagBag) -> None:
    assert set(bag.dags) == {
        "members_backfill",
        "members_cutover",
        "members_dlq_replay",
        "members_preflight",
        "members_reconcile",
        "members_reindex",
        "members_rollback_index",
        "members_rollback_service",
        "sync_follow",
        "sync_index_cleanup",
    }


def test_one_run_at_a_time_and_none_for_the_past(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_a_dag_that_runs_by_hand_has_no_schedule_and_refuses_scheduled_runs(bag: DagBag) -> None:
    for dag in (dag for name, dag in bag.dags.items() if name not in OF_ALL_TARGETS | BY_ITSELF):
        assert not dag.schedule
        assert {str(getattr(one, "value", one)) for one in dag.allowed_run_types or ()} == {
            "manual",
            "operator_triggered",
            "asset_triggered",
        }


def test_every_dag_is_documented_under_the_same_headings(bag: DagBag) -> None:
    for dag in bag.dags.values():
        lines = (dag.doc_md or "").splitlines()
        assert [line.removeprefix("### ") for line in lines if line.startswith("### ")] == HEADINGS


def test_every_dag_has_an_owner_tags_and_retries(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert "dynamo-opensearch" in dag.tags
        owner = "airflow" if dag.dag_id in OF_ALL_TARGETS else "search"
        for task in dag.tasks:
            assert task.owner == owner
            assert task.retries is not None
            assert task.retries > 0
            assert (task.execution_timeout is None) == (task.task_id in WAITS_FOR_A_PERSON)


def test_what_waits_for_a_person_has_a_time_limit_of_its_own(bag: DagBag) -> None:
    found = [task for dag in bag.dags.values() for task in dag.tasks if task.task_id in WAITS_FOR_A_PERSON]
    assert found
    for task in found:
        approval: Any = task
        assert approval.response_timeout == timedelta(hours=24)


def test_the_order_of_a_backfill(backfill: DAG) -> None:
    upstream = {task.task_id: task.upstream_task_ids for task in backfill.tasks}
    assert upstream == {
        "plan": set(),
        "prepare_index": {"plan"},
        "copy": {"plan", "prepare_index"},
        "restore_settings": {"prepare_index", "copy"},
        "check_rejects": {"copy", "restore_settings"},
        "compare": {"check_rejects"},
        "verify": {"plan", "copy", "compare"},
        "confirm": {"verify"},
    }


def test_a_backfill_compares_keys_at_the_runs_own_pace_and_a_rebuild_content(bag: DagBag, backfill: DAG) -> None:
    compare: Any = backfill.get_task("compare")
    assert (compare.depth, compare.read_units_per_s) == ("keys", "{{ params.read_units_per_s }}")
    for task_id in ("compare", "compare_after"):
        assert cast("Any", bag.dags["members_reindex"].get_task(task_id)).depth == "content"


def test_the_index_asset_has_its_event_when_both_sides_were_compared(backfill: DAG) -> None:
    assert [task.task_id for task in backfill.tasks if task.outlets] == ["verify"]


def test_what_the_ending_of_a_backfill_needs_must_have_succeeded(backfill: DAG) -> None:
    for task_id in ("check_rejects", "compare", "verify"):
        assert backfill.get_task(task_id).trigger_rule == TriggerRule.ALL_SUCCESS


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("backfill", ("{{ 'plan' if params.dry_run else 'verify' }}",)),
        ("reindex", ("compare_after", "release")),
        ("rollback_index", ("compare_after", "release")),
        ("reconcile", ("report", DECIDES)),
    ],
)
def test_the_leaf_runs_whatever_happened_and_fails_the_run_unless_the_work_is_done(
    bag: DagBag, name: str, needs: tuple[str, ...]
) -> None:
    dag = bag.dags[f"members_{name}"]
    assert [task.task_id for task in dag.leaves] == ["confirm"]
    confirm: Any = dag.get_task("confirm")
    assert confirm.is_teardown
    assert confirm.on_failure_fail_dagrun
    assert confirm.needs == needs
    assert not [task for task in confirm.upstream_list if task.is_setup], "it would be skipped together with its setup"


def test_restoring_the_settings_is_the_teardown_of_preparing_and_hides_no_failure(backfill: DAG) -> None:
    restore = backfill.get_task("restore_settings")
    assert restore.is_teardown
    assert not restore.on_failure_fail_dagrun
    assert backfill.get_task("prepare_index").is_setup


def test_segments_are_mapped_and_few_at_a_time(backfill: DAG) -> None:
    copy = backfill.get_task("copy")
    assert copy.is_mapped
    assert copy.max_active_tis_per_dagrun == 2


def validated(dag: DAG, name: str, value: Any) -> Any:
    """What a run would get; the DAG itself stays as it is."""
    return copy.deepcopy(dag.params.get_param(name)).resolve(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", 0),
        ("segments", -1),
        ("segments", 2_000_000),
        ("segments", 1.5),
        ("segments", "many"),
        ("read_units_per_s", 0),
        ("read_units_per_s", "fast"),
        ("index", ""),
        ("index", "Members"),
        ("index", "../members"),
        ("index", "*"),
        ("dry_run", "yes"),
        ("dry_run", None),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(backfill: DAG, name: str, value: Any) -> None:
    with pytest.raises(ParamValidationError):
        validated(backfill, name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", None),
        ("segments", 1),
        ("segments", 1_000_000),
        ("read_units_per_s", None),
        ("read_units_per_s", 0.5),
        ("index", None),
        ("index", "members-v2"),
        ("dry_run", True),
    ],
)
def test_a_parameter_within_its_bounds_is_taken(backfill: DAG, name: str, value: Any) -> None:
    assert validated(backfill, name, value) == value


def test_every_parameter_has_a_type_and_a_description(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["type"], name
            assert param.description, name


def test_a_run_writes_unless_it_is_asked_for_a_dry_run(backfill: DAG) -> None:
    assert {name: backfill.params[name] for name in backfill.params} == {
        "segments": None,
        "read_units_per_s": None,
        "index": None,
        "dry_run": False,
    }


@pytest.mark.parametrize("file", sorted((ROOT / "dags").glob("*.py")), ids=lambda path: path.name)
def test_reading_a_dag_file_connects_to_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a client or a connection at import")

    monkeypatch.setattr(boto3.session.Session, "client", refuse)
    monkeypatch.setattr(opensearchpy.OpenSearch, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    runpy.run_path(str(file))


def write_targets(include: Path, *names: str, mapping: str = "members.json") -> None:
    text = (ROOT / "include" / "targets" / "members.yaml").read_text()
    (include / "targets").mkdir(parents=True, exist_ok=True)
    (include / "mappings").mkdir(exist_ok=True)
    (include / "mappings" / mapping).write_bytes((ROOT / "include" / "mappings" / "members.json").read_bytes())
    for name in names:
        written = text.replace("name: members", f"name: {name}").replace("members-live", f"{name}-live")
        (include / "targets" / f"{name}.yaml").write_text(written)


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path))
    return tmp_path


def test_a_broken_file_costs_only_its_own_dags_and_every_mistake_is_listed(include: Path) -> None:
    write_targets(include, "first", "second", "third")
    (include / "targets" / "second.yaml").write_text("name: Second\nsegments: 1\ntable: [\n")
    broken = (include / "targets" / "third.yaml").read_text()
    broken = broken.replace("key: [memberId]", "key: []").replace("indexer_writes: versioned", "indexer_writes: maybe")
    (include / "targets" / "third.yaml").write_text(broken + "colour: blue\n")
    bag = DagBag(str(ROOT / "dags"))
    assert set(bag.dags) == {f"first_{kind}" for kind in KINDS} | OF_ALL_TARGETS
    ((file, error),) = bag.import_errors.items()
    assert Path(file).name == "target_errors.py"
    text = str(error)
    for part in ("second.yaml: (file)", "third.yaml: key", "third.yaml: indexer_writes", "third.yaml: colour"):
        assert part in text


def test_a_missing_include_folder_is_one_import_error_that_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMO_OPENSEARCH_INCLUDE", str(tmp_path / "nowhere"))
    bag = DagBag(str(ROOT / "dags"))
    assert set(bag.dags) == OF_ALL_TARGETS, "they say so when they run"
    ((file, error),) = bag.import_errors.items()
    assert Path(file).name == "target_errors.py"
    assert "DYNAMO_OPENSEARCH_INCLUDE" in str(error)


def test_fifty_targets_are_read_in_under_five_seconds(include: Path) -> None:
    names = [f"target_{number:02}" for number in range(50)]
    write_targets(include, *names)
    for kind in KINDS:
        began = time.process_time()
        dags = list(every_dag(ROOT / "dags" / f"{kind}.py"))
        seconds = time.process_time() - began
        assert {dag.dag_id for dag in dags} == {f"{name}_{kind}" for name in names}
        assert seconds < 5, f"{kind}: {seconds:.1f} s"


def test_a_hidden_target_has_dags_once_it_is_enabled(include: Path) -> None:
    (include / "targets").mkdir()
    (include / "mappings").mkdir()
    (include / "mappings" / "orders.json").write_bytes((ROOT / "include" / "mappings" / "orders.json").read_bytes())
    hidden = (ROOT / "include" / "targets" / "orders.yaml").read_text()
    for text, expected in ((hidden, []), (hidden.replace("enabled: false", "enabled: true"), ["orders_backfill"])):
        (include / "targets" / "orders.yaml").write_text(text)
        assert [dag.dag_id for dag in every_dag(ROOT / "dags" / "backfill.py")] == expected


WITHOUT_AIRFLOW = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import dynamo_opensearch.core as core
names = [one.name for one in pkgutil.walk_packages(core.__path__, core.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_the_core_is_imported_where_there_is_no_airflow() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_AIRFLOW],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_a_replay_starts_on_a_filling_queue_where_the_target_file_says_so(include: Path) -> None:
    write_targets(include, "first", "second")
    path = include / "targets" / "second.yaml"
    text = path.read_text().replace("queue: members-indexer-dlq", "queue: members-indexer-dlq\n      replay_at: 100")
    path.write_text(text)
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert not bag.dags["first_dlq_replay"].schedule
    (asset,) = cast("list[Any]", bag.dags["second_dlq_replay"].schedule)
    assert [watcher.trigger.replay_at for watcher in asset.watchers] == [100]
