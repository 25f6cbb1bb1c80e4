"""The steps around a copy, on real servers: plan, make and loosen the index, put it back, compare, add up."""

from typing import Any

import pytest

from dynamo_opensearch.core.backfill import preparing
from dynamo_opensearch.core.backfill.finishing import TooManyRejectsError, add_up, finish_backfill
from dynamo_opensearch.core.backfill.planning import BackfillPlan, BackfillWishes, PlanPorts, plan_backfill
from dynamo_opensearch.core.backfill.preparing import (
    PreparedIndex,
    SettingsNotRestoredError,
    prepare_index,
    put_settings_back,
)
from dynamo_opensearch.core.compare.comparison import compare
from dynamo_opensearch.core.compare.report import ComparisonReport
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.table_description import TableKeyError
from dynamo_opensearch.core.offer.rejects import Reject
from dynamo_opensearch.core.opensearch.alias import IndexNotOfTargetError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.index_checks import IndexUnfitError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.server_version import ServerUnfitError
from dynamo_opensearch.core.stamps import ForeignVersionError
from dynamo_opensearch.wiring.comparing import comparison_ports, comparison_settings
from tests.integration.conftest import MakeRig
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import answer_changed
from tests.support.rig import Rig
from tests.support.rig_connections import RigConnections, target_of

TYPES = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
FILE = MappingFile("members.json", {"dynamic": "strict", "properties": TYPES}, {"index.number_of_replicas": 0})


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig()
    made.fill(40)
    return made


def plan(rig: Rig, wishes: BackfillWishes | None = None, file: MappingFile = FILE, **changes: Any) -> BackfillPlan:
    target = target_of(rig, **changes)
    builder = DocumentBuilder(target.key, target.documents)
    ports = PlanPorts(table=rig.table_client, cluster=rig.patient, clock=rig.clock)
    return plan_backfill(target, file, builder, rig.stamps, wishes or BackfillWishes(), ports)


def prepare(rig: Rig, planned: BackfillPlan, run_id: str = "run 1") -> PreparedIndex:
    return prepare_index(planned, FILE, rig.builder_for(planned.index), run_id, rig.patient)


def compared(rig: Rig) -> ComparisonReport:
    """All keys of both sides, after the copy."""
    connections = RigConnections.to(rig)
    refused: list[Reject] = []
    ports = comparison_ports(connections, rig.index, refused.extend)
    return compare(comparison_settings(connections, rig.index, "keys"), ports)


def test_a_first_backfill_is_planned_behind_a_new_index_and_writes_nothing(rig: Rig) -> None:
    planned = plan(rig, BackfillWishes(segments=5))
    assert (planned.index, planned.write_alias, planned.creates_index) == (rig.index, rig.alias, True)
    assert [one for task in planned.tasks for one in task] == list(range(5))
    assert BackfillPlan.from_json(planned.to_json()) == planned
    assert "to be created" in str(planned)
    assert rig.call(f"{rig.base}*") == {}


def test_from_plan_to_outcome_everything_adds_up(rig: Rig) -> None:
    planned = plan(rig, BackfillWishes(segments=2))
    prepared = prepare(rig, planned)
    assert prepared == PreparedIndex.from_json(prepared.to_json())
    assert prepare(rig, planned) == prepared
    assert prepared.is_loosened
    progress = rig.copy()
    put_settings_back(prepared, FILE, rig.patient)
    put_settings_back(prepared, FILE, rig.patient)
    report = progress.report.to_json() | {"reasons": progress.reasons, "rejects": "nowhere"}
    copied = add_up([report])
    copied.check_rejects(0)
    outcome = finish_backfill(planned, copied, compared(rig), rig.clock)
    value = outcome.to_json()
    assert (value["table_count"], value["index_count"], value["indexed"]) == (40, 40, 40)
    assert (value["missing"], value["orphaned"], value["mended"], value["in_motion"]) == (0, 0, 0, 0)
    assert "table and index have the same keys" in str(outcome)
    assert rig.differences() == []
    again = plan(rig)
    assert (again.index, again.creates_index) == (rig.index, False)
    assert not prepare(rig, again).is_loosened


def test_an_index_that_another_run_made_since_the_plan_is_not_taken_over(rig: Rig) -> None:
    planned = plan(rig)
    prepare(rig, planned, "run 1")
    with pytest.raises(OpenSearchRequestError, match="resource_already_exists_exception"):
        prepare(rig, planned, "run 2")


def test_what_does_not_fit_is_refused_by_the_plan(rig: Rig) -> None:
    with pytest.raises(TableKeyError):
        plan(rig, key=["memberId"])
    rig.create_index(FILE.mappings)
    with pytest.raises(IndexUnfitError):
        plan(rig, file=MappingFile("m.json", {"dynamic": "strict", "properties": {}}, {}))
    with pytest.raises(IndexNotOfTargetError):
        plan(rig, BackfillWishes(index=f"{rig.base}-v9"))
    rig.call(f"{rig.index}/_doc/a?version=1800000000000&version_type=external&refresh=true", "PUT", {"id": "a"})
    with pytest.raises(ForeignVersionError):
        plan(rig)
    assert plan(rig, indexer_writes="unversioned").index == rig.index


def test_a_server_that_is_too_old_for_the_comparison_is_refused_before_anything_is_copied(
    make_rig: MakeRig, opensearch_proxy: FaultProxy
) -> None:
    def grow_old(answer: dict[str, Any]) -> None:
        for node in answer["nodes"].values():
            node["version"] = "2.7.0"

    rig = make_rig(opensearch_url=opensearch_proxy.url)
    rig.fill(3)
    opensearch_proxy.on("/_nodes", answer_changed(grow_old))
    with pytest.raises(ServerUnfitError, match=r"OpenSearch 2.7.0: the comparison"):
        plan(rig)
    assert plan(rig).creates_index


def test_documents_made_by_other_rules_are_refused(rig: Rig) -> None:
    prepare(rig, plan(rig))
    assert plan(rig).index == rig.index
    with pytest.raises(IndexUnfitError, match="made by other field rules"):
        plan(rig, documents={"exclude_fields": ["value"]})


def test_the_next_index_may_be_named_and_is_loosened_since_nobody_reads_it(rig: Rig) -> None:
    rig.create_index(FILE.mappings)
    other = f"{rig.base}-v2"
    rig.create_index(FILE.mappings, index=other, aliases={f"{rig.alias}-next": {}})
    planned = plan(rig, BackfillWishes(index=other))
    assert (planned.index, planned.write_alias, planned.creates_index) == (other, f"{rig.alias}-next", False)
    assert prepare(rig, planned).is_loosened
    assert read_index(rig.patient, other).settings["index.refresh_interval"] == "-1"


def test_settings_that_did_not_go_back_are_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {"index.refresh_interval": "-1", "index.number_of_replicas": "0", "index.gc_deletes": None}
    monkeypatch.setattr(preparing, "restore_settings", lambda *_: left)
    prepared = PreparedIndex(index=rig.index, uuid="u", is_loosened=True)
    with pytest.raises(SettingsNotRestoredError, match="refresh_interval"):
        put_settings_back(prepared, FILE, rig.patient)


def test_rejects_beyond_what_is_allowed_fail_after_all_others_are_in(rig: Rig) -> None:
    rig.put([{"id": {"S": "bad"}, "number": {"S": "secret"}}])
    planned = plan(rig, BackfillWishes(segments=2))
    prepare(rig, planned)
    progress = rig.copy()
    report = progress.report.to_json() | {"reasons": progress.reasons, "rejects": "file:///rejects/0"}
    copied = add_up([report])
    copied.check_rejects(1)
    with pytest.raises(TooManyRejectsError) as error:
        copied.check_rejects(0)
    assert "1 x mapper_parsing_exception, field 'number', expected long" in str(error.value)
    assert "file:///rejects/0" in str(error.value)
    assert "secret" not in str(error.value)
    assert len(rig.documents()) == 40
