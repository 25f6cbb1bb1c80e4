"""The end of a run: its report in all places, the gate, and the alarm."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import BaseNotifier

from dynamo_opensearch.core.dead_letters.messages import Message
from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from dynamo_opensearch.core.reconcile.causes import Surroundings
from dynamo_opensearch.core.reconcile.gate import SidesDifferError
from dynamo_opensearch.core.reconcile.history import load_nights
from dynamo_opensearch.core.stream.changes import StreamChanges
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Notifier
from dynamo_opensearch.operators.dead_letter_files import parking_of
from dynamo_opensearch.operators.reconcile import comparing
from dynamo_opensearch.operators.reconcile.alarm import reconciliation_alarm
from dynamo_opensearch.operators.reconcile.report import JudgeReconciliationOperator
from dynamo_opensearch.wiring import reconciling
from tests.support.adapters import FakeInstance
from tests.support.fakes import NOW_US
from tests.support.followed import NEXT, PREVIOUS
from tests.support.reconciled import ALIAS, INDEX, MemoryRig
from tests.support.reconciled_target import RigConnections, Run, connect_rig
from tests.support.reconciliations import comparison, counted, report

HOUR_US = 3_600_000_000


@pytest.fixture
def rig() -> MemoryRig:
    made = MemoryRig()
    made.fill([f"k{number:03}" for number in range(200)])
    return made


@pytest.fixture
def connections(rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RigConnections:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings())
    monkeypatch.setattr(reconciling, "_changes_counter", lambda *_: lambda since_us: StreamChanges)
    return connect_rig(monkeypatch, rig)


def run_folder(tmp_path: Path, run: Run) -> Path:
    (folder,) = (tmp_path / "reports" / "reconcile" / "members").glob(run.instance.run_id)
    return folder


# The report


@pytest.mark.parametrize("depth", ["approximate", "count", "keys", "content"])
def test_the_report_is_returned_written_and_kept_at_every_depth(
    connections: RigConnections, tmp_path: Path, depth: str
) -> None:
    run = Run()
    told = run.go(depth)
    folder = run_folder(tmp_path, run)
    assert json.loads((folder / "report.json").read_bytes()) == told
    assert folder.stat().st_mode & 0o077 == 0
    (kept,) = load_nights(connections.state("reconciliations"))
    assert (kept.run_id, kept.depth, kept.verdict, kept.index_count) == (
        run.instance.run_id,
        depth,
        told["verdict"],
        200,
    )
    assert told["ended_us"] >= told["began_us"] == NOW_US
    assert (kept.differences_file is None) == (depth in ("approximate", "count"))


def test_the_lists_place_is_kept_for_the_next_run(connections: RigConnections, tmp_path: Path) -> None:
    run = Run()
    run.go("keys")
    (kept,) = load_nights(connections.state("reconciliations"))
    assert kept.differences_file == f"file://{run_folder(tmp_path, run)}/differences.ndjson"


def test_a_report_that_is_written_again_is_kept_once(connections: RigConnections) -> None:
    run = Run()
    first = run.go("content")
    second = run.report()
    assert first == second | {"ended_us": first["ended_us"], "seconds": first["seconds"]}
    assert len(load_nights(connections.state("reconciliations"))) == 1


def test_drift_and_causes_are_logged(
    connections: RigConnections, rig: MemoryRig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Run("first").go("count")
    rig.clock.pass_s(86_400)
    rig.items.put("new")
    monkeypatch.setattr(comparing, "look_around", lambda *_: Surroundings(lag_s=500))
    capsys.readouterr()
    Run("second").go("count")
    logged = capsys.readouterr().out
    assert "h ago: items +1, documents +0, differences +1 (then equal)" in logged
    assert "the indexer is 500 s behind" in logged
    assert "different: 1 differences" in logged


def test_an_alias_that_was_moved_meanwhile_leaves_no_verdict(connections: RigConnections, rig: MemoryRig) -> None:
    rig.drop("k001")
    rig.cluster.create("members-v2", NEXT)
    run = Run()
    run.start("keys")
    run.read_and_join()
    run.settle()
    run.ask()
    run.repair()
    rig.cluster.aliases = {INDEX: {PREVIOUS}, "members-v2": {ALIAS}}
    told = run.report()
    assert (told["verdict"], told["moved_to"], told["differences"]) == ("in motion", "members-v2", 1)
    run.judge()
    assert "gate" in run.skipped


def test_an_alias_that_was_taken_away_meanwhile_costs_the_verdict_and_not_the_report(
    connections: RigConnections, rig: MemoryRig
) -> None:
    run = Run()
    run.start("count")
    run.count()
    rig.cluster.aliases = {INDEX: set()}
    told = run.report()
    assert (told["verdict"], told["moved_to"]) == ("in motion", "nothing")


# Parked dead letters


def park(connections: RigConnections, name: str, sent_us: int) -> None:
    message = Message(id=name, body="b", receives=1, sent_us=sent_us, first_received_us=sent_us)
    parked = ParkedMessage(message=message, kind="lost by the stream", reason="r", parked_us=sent_us, run_id="replay")
    parking_of(connections).put(parked)


@pytest.mark.parametrize(
    ("depth", "repair", "left"),
    [
        ("content", "apply", ["new.json"]),
        ("content", "none", ["new.json", "old.json"]),
        ("keys", "apply", ["new.json", "old.json"]),
    ],
)
def test_a_content_run_with_repair_clears_what_was_parked_before_it_began(
    connections: RigConnections, depth: str, repair: str, left: list[str]
) -> None:
    park(connections, "old", NOW_US - HOUR_US)
    park(connections, "new", NOW_US)
    told = Run().go(depth, repair)
    assert list(parking_of(connections).names()) == left
    assert told["cleared"] == 2 - len(left)


def test_nothing_is_cleared_while_another_index_lives(connections: RigConnections, rig: MemoryRig) -> None:
    rig.cluster.create("members-v0", PREVIOUS)
    park(connections, "old", NOW_US - HOUR_US)
    assert Run().go("content", "apply")["cleared"] == 0
    assert list(parking_of(connections).names()) == ["old.json"]


def test_nothing_is_cleared_while_a_difference_is_left(connections: RigConnections, rig: MemoryRig) -> None:
    rig.drop("k001")
    rig.cluster.refused = {INDEX: {"k001"}}
    park(connections, "old", NOW_US - HOUR_US)
    assert Run().go("content", "apply")["cleared"] == 0
    assert list(parking_of(connections).names()) == ["old.json"]


# The gate


def judge(one: Any, run: Run | None = None) -> Run:
    run = run or Run()
    gate = JudgeReconciliationOperator(task_id="gate", target="members", report=one.to_json(), outlets=[run.asset])
    gate.execute(run.context)
    return run


def test_equal_sides_are_an_event_of_the_asset_with_the_figures(connections: RigConnections) -> None:
    run = judge(report(comparison=comparison(mended=4)))
    assert run.event.extra == {
        "run_id": run.instance.run_id,
        "depth": "content",
        "table_count": 104,
        "index_count": 100,
        "mended": 4,
    }


def test_sides_that_differ_fail_the_task_for_good_and_make_no_event(
    connections: RigConnections, tmp_path: Path
) -> None:
    run = Run()
    with pytest.raises(AirflowFailException, match="differ by 2") as raised:
        judge(report(comparison=comparison(missing=2)), run)
    assert isinstance(raised.value.__cause__, SidesDifferError)
    assert f"{tmp_path}/reports/reconcile/members/{run.instance.run_id}/page.html" in str(raised.value)
    assert run.event.extra == {}


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (counted(100, 97, 3), "no more than was written meanwhile: depth keys would tell"),
        (counted(100, 97, depth="approximate"), "hours old, so they are no verdict"),
        (report(moved_to="members-v2"), "moved to 'members-v2' while 'members-v1' was compared: start again"),
    ],
)
def test_what_cannot_be_told_skips_the_gate_and_makes_no_event(
    connections: RigConnections, one: Any, words: str
) -> None:
    run = Run()
    with pytest.raises(AirflowSkipException, match=words):
        judge(one, run)
    assert run.event.extra == {}


# The alarm


CALLS: list[dict[str, Any]] = []


class Told(BaseNotifier):
    """Keeps what its templated message says."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Any) -> None:
        CALLS.append({"message": self.message, **context["reconciliation"]})
        context["reconciliation"]["verdict"] = "changed by a notifier"


class Broken(Told):
    """Fails as one does whose service is away."""

    def notify(self, context: Any) -> None:
        CALLS.append({"message": "broken"})
        raise ConnectionError("the service is away")


@pytest.fixture(autouse=True)
def _nobody_was_called() -> None:
    CALLS.clear()


def alarm(*notifiers: tuple[str, str]) -> Callable[[Any], None]:
    from dynamo_opensearch.wiring.target_connections import load_target

    settings = AirflowSettings(
        notifiers=tuple(
            Notifier(notifier=f"{__name__}.{name}", arguments={"message": text}) for name, text in notifiers
        )
    )
    return reconciliation_alarm(load_target("members").model_copy(update={"airflow": settings}), "report")


def context_of(one: Any) -> Any:
    instance = FakeInstance(returned={} if one is None else {"report": one.to_json()})
    return {**instance.context, "dag": None}


MESSAGE = (
    "{{ reconciliation.target }} {{ reconciliation.verdict }} {{ reconciliation.differences }} "
    "{{ reconciliation.by_kind.missing }} {{ reconciliation.mended }} {{ reconciliation.table_count }} "
    "{{ reconciliation.index_count }} {{ reconciliation.depth }}"
)


def test_every_notifier_is_called_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(report(comparison=comparison(missing=3, mended=1)))
    alarm(("Told", MESSAGE), ("Told", "second {{ reconciliation.verdict }}"))(context)
    assert [one["message"] for one in CALLS] == ["members different 3 3 1 104 100 content", "second different"]
    assert CALLS[0]["by_kind"] == {"missing": 3, "orphaned": 0, "stale": 0, "refused": 0}
    assert "reconciliation" not in context, "Airflow's context is for others, too"


def test_the_others_are_called_though_one_fails_and_its_failure_is_raised() -> None:
    with pytest.raises(ConnectionError, match="away"):
        alarm(("Told", "first"), ("Broken", ""), ("Told", "third"), ("Broken", ""))(context_of(report()))
    assert [one["message"] for one in CALLS] == ["first", "broken", "third", "broken"]


def test_a_notifier_that_cannot_be_made_does_not_keep_the_others_from_being_called() -> None:
    with pytest.raises(AttributeError, match="Missing"):
        alarm(("Missing", ""), ("Told", "second"))(context_of(report()))
    assert [one["message"] for one in CALLS] == ["second"]


def test_a_run_without_a_report_is_told_as_unknown() -> None:
    alarm(("Told", "{{ reconciliation.verdict }} {{ reconciliation.differences }}"))(context_of(None))
    assert CALLS == [
        {
            "message": "unknown None",
            "verdict": "unknown",
            "depth": None,
            "table_count": None,
            "index_count": None,
            "differences": None,
            "by_kind": {},
            "mended": 0,
            "target": "members",
            "runbook": "docs/runbook.md#index-and-table-differ",
        }
    ]


def test_no_key_and_no_document_is_told() -> None:
    alarm(("Told", "x"))(context_of(report(comparison=comparison(missing=1))))
    assert "ada@example.org" not in str(CALLS)
