"""The ending of a backfill on real servers: rejects, the comparison of all keys, and the outcome of both."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Asset

from dynamo_opensearch.core.backfill.finishing import TooManyRejectsError
from dynamo_opensearch.core.backfill.planning import BackfillPlan, BackfillWishes, PlanPorts, plan_backfill
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.rebuild.verdict import IndexNotEqualError
from dynamo_opensearch.operators.backfill import CheckRejectsOperator, VerifyBackfillOperator
from dynamo_opensearch.operators.compare import CompareIndexOperator
from dynamo_opensearch.wiring.comparing import comparison_settings
from tests.integration.conftest import MakeRig
from tests.support.adapters import FakeInstance
from tests.support.rig import ANYTHING, Item, Rig, small_item
from tests.support.rig_connections import RigConnections

ITEMS = 40
NUMBERS = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
STRICT = {"dynamic": "strict", "properties": NUMBERS}
LONG_AGO = {"version_type": "external_gte", "version": "5"}
REFUSED: Item = {"id": {"S": "refused"}, "number": {"S": "secret"}}


@dataclass
class Backfill:
    """A rig, and the tasks of a backfill that come after the copy."""

    rig: Rig
    connections: RigConnections
    planned: BackfillPlan
    reports: list[dict[str, Any]] = field(default_factory=list)
    instance: FakeInstance = field(default_factory=FakeInstance)
    asset: Asset = field(default_factory=lambda: Asset(name="index"))
    events: dict[Asset, Any] = field(default_factory=dict)

    def copy(self) -> None:
        self.rig.store.value = None
        progress = self.rig.copy()
        report = progress.report.to_json() | {"reasons": progress.reasons, "rejects": "file:///rejects/copy-0"}
        self.reports = [report]

    def check_rejects(self) -> int:
        operator = CheckRejectsOperator(task_id="check_rejects", target="t", reports=self.reports)
        return operator.execute(self.instance.context)

    def compare(self) -> dict[str, Any]:
        operator = CompareIndexOperator(task_id="compare", target="t", index=self.planned.index, depth="keys")
        report = operator.execute(self.instance.context)
        assert report is not None
        return report

    def end(self) -> dict[str, Any]:
        """All three; the outcome."""
        self.check_rejects()
        operator = VerifyBackfillOperator(
            task_id="verify",
            target="t",
            plan=self.planned.to_json(),
            reports=self.reports,
            comparison=json.loads(json.dumps(self.compare())),
            outlets=[self.asset],
        )
        self.events = {self.asset: type("Event", (), {"extra": None})()}
        context: Any = {**self.instance.context, "outlet_events": self.events}
        return operator.execute(context)

    def put_document(self, name: str, document: object) -> None:
        """Written past the package, with a version of long ago."""
        query = "&".join(f"{key}={value}" for key, value in LONG_AGO.items())
        self.rig.call(f"{self.rig.index}/_doc/{name}?{query}", "PUT", document)

    def put_ghosts(self, count: int) -> set[str]:
        """Documents without an item."""
        names = [f"ghost{number:04}" for number in range(count)]
        lines = [line for name in names for line in ({"index": {"_id": name}}, {"id": name})]
        self.rig.opensearch.bulk(body=lines, index=self.rig.index, params={"refresh": "true"})
        return set(names)


MakeBackfill = Callable[..., Backfill]


@pytest.fixture
def backfill(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeBackfill:
    """A table of 40 items and an empty index behind its alias. ``target``: changes to the target's file."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))

    def make(mappings: dict[str, Any] = ANYTHING, target: dict[str, Any] | None = None, **settings: Any) -> Backfill:
        rig: Rig = make_rig(**settings)
        rig.fill(ITEMS)
        rig.create_index(mappings)
        connections = RigConnections.to(rig, **(target or {}))
        connections.use(monkeypatch)
        planned = plan_backfill(
            connections.target,
            MappingFile("members.json", mappings, {}),
            connections.builder,
            connections.stamps,
            BackfillWishes(),
            PlanPorts(table=connections.table, cluster=connections.patient, clock=connections.clock),
        )
        return Backfill(rig, connections, planned)

    return make


def compared(outcome: dict[str, Any]) -> dict[str, int]:
    """What the comparison found, without the zeros."""
    names = ("missing", "orphaned", "refused_by_rules", "in_motion", "mended")
    return {name: outcome[name] for name in names if outcome[name]}


@pytest.mark.parametrize("unversioned", [False, True])
def test_a_ghost_and_a_document_that_vanished_behind_the_copys_back_are_found_and_mended(
    backfill: MakeBackfill, unversioned: bool
) -> None:
    target = backfill(unversioned=unversioned)
    target.put_document("ghost", {"id": "ghost"})
    target.copy()
    target.rig.call(f"{target.rig.index}/_doc/k0007", "DELETE")

    outcome = target.end()

    assert target.rig.differences() == []
    assert compared(outcome) == {"mended": 2}
    assert (outcome["table_count"], outcome["index_count"], outcome["indexed"]) == (ITEMS, ITEMS, ITEMS)
    assert target.events[target.asset].extra == outcome


def test_a_quiet_run_with_equal_sides_waits_for_nothing_and_mends_nothing(backfill: MakeBackfill) -> None:
    target = backfill()
    target.copy()
    began_s = time.monotonic()
    outcome = target.end()
    assert time.monotonic() - began_s < 20
    assert compared(outcome) == {}
    assert outcome["compare_read_units"] > 0


def test_what_was_written_after_the_copy_and_is_indexed_by_nobody_is_brought(backfill: MakeBackfill) -> None:
    target = backfill()
    target.copy()
    target.rig.put([small_item(number) for number in range(ITEMS, ITEMS + 5)])
    target.rig.boto.delete_item(TableName=target.rig.table, Key={"id": {"S": "k0003"}})
    outcome = target.end()
    assert target.rig.differences() == []
    assert compared(outcome) == {"mended": 6}
    assert (outcome["table_count"], outcome["index_count"]) == (ITEMS + 4, ITEMS)


def test_of_more_ghosts_than_may_be_mended_none_is_deleted_and_the_message_says_what_to_do(
    backfill: MakeBackfill,
) -> None:
    target = backfill()
    ghosts = target.put_ghosts(1_001)
    target.copy()
    with pytest.raises(AirflowFailException) as failed:
        target.end()
    assert isinstance(failed.value.__cause__, IndexNotEqualError)
    message = str(failed.value)
    assert "1,001 orphaned in the index; 0 differences are allowed" in message
    assert "At most 1,000 documents are mended unasked" in message
    assert "reconciliation with depth `keys` and repair `apply`" in message
    assert "a rebuild" in message
    assert "refused" not in message
    assert target.events == {}, "the index asset has no event"
    assert set(target.rig.documents()) == ghosts | {f"k{number:04}" for number in range(ITEMS)}


def test_where_nothing_may_be_mended_the_comparison_only_looks(backfill: MakeBackfill) -> None:
    target = backfill(target={"budgets": {"max_repairs": 0}})
    target.put_document("ghost", {"id": "ghost"})
    target.copy()
    target.rig.call(f"{target.rig.index}/_doc/k0007", "DELETE")
    with pytest.raises(AirflowFailException, match=r"1 missing in the index, 1 orphaned in the index; .*look"):
        target.end()
    assert len(target.rig.differences()) == 2


def test_an_item_that_stopped_matching_leaves_a_ghost_which_is_deleted(backfill: MakeBackfill) -> None:
    rules = {"filter": {"all": [{"attribute": "value", "equals": "first"}]}}
    target = backfill(rules=rules)
    target.copy()
    target.rig.put([small_item(number, "other") for number in range(3)])
    outcome = target.end()
    assert compared(outcome) == {"mended": 3}
    assert (outcome["table_count"], outcome["index_count"]) == (ITEMS - 3, ITEMS)
    assert set(target.rig.documents()) == {f"k{number:04}" for number in range(3, ITEMS)}


def test_the_runs_own_pace_holds_for_the_comparison_and_else_that_of_the_target(backfill: MakeBackfill) -> None:
    target = backfill(target={"budgets": {"read_units_per_s": 50}})
    paces = [comparison_settings(target.connections, target.rig.index, "keys", pace) for pace in (7.5, None)]
    assert [settings.read_units_per_s for settings in paces] == [7.5, 50]


# Refused documents


def test_refused_documents_that_are_allowed_pass_missing_or_in_an_older_version(backfill: MakeBackfill) -> None:
    target = backfill(STRICT, target={"budgets": {"max_rejects": 2}})
    old: Item = {"id": {"S": "old"}, "number": {"N": "1"}}
    target.rig.put([old])
    target.copy()
    target.rig.put([REFUSED, old | {"number": {"S": "secret"}}])
    target.copy()
    outcome = target.end()
    assert (outcome["rejected"], compared(outcome)) == (2, {"missing": 1})
    assert outcome["reject_reasons"] == {"mapper_parsing_exception, field 'number', expected long": 2}
    assert target.rig.documents()["old"]["number"] == 1


def test_too_many_refused_documents_are_the_first_failure_with_reasons_and_files(backfill: MakeBackfill) -> None:
    target = backfill(STRICT)
    target.put_document("ghost", {"id": "ghost"})
    target.rig.put([REFUSED])
    target.copy()
    with pytest.raises(AirflowFailException) as failed:
        target.end()
    assert isinstance(failed.value.__cause__, TooManyRejectsError)
    assert "1 x mapper_parsing_exception, field 'number', expected long" in str(failed.value)
    assert "file:///rejects/copy-0" in str(failed.value)
    assert "secret" not in str(failed.value)
    assert target.instance.pushed == {}, "nothing was compared"


def test_refused_documents_that_are_allowed_hide_no_other_difference(backfill: MakeBackfill) -> None:
    target = backfill(STRICT, target={"budgets": {"max_rejects": 1, "max_repairs": 0}})
    target.rig.put([REFUSED])
    target.copy()
    target.rig.call(f"{target.rig.index}/_doc/k0007", "DELETE")
    assert target.check_rejects() == 1
    with pytest.raises(AirflowFailException, match="2 missing in the index; 1 differences are allowed"):
        target.compare()


# Other indices than the alias's


def test_the_next_index_is_compared_and_mended_through_its_marker(backfill: MakeBackfill) -> None:
    target = backfill()
    rig = target.rig
    other = f"{rig.base}-v2"
    rig.create_index(index=other, aliases={f"{rig.alias}-next": {}})
    target.planned = BackfillPlan.from_json({**target.planned.to_json(), "index": other})
    target.put_document("ghost", {"id": "ghost"})
    report = target.compare()
    assert (report["index"], report["mended"], report["differences"]) == (other, ITEMS, 0)
    assert set(rig.documents(other)) == {f"k{number:04}" for number in range(ITEMS)}
    assert set(rig.documents()) == {"ghost"}, "the index behind the alias was not touched"
