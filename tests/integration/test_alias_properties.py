"""What filter and routing of an alias do to those who write through it, on a real OpenSearch."""

from typing import Any

import pytest

from dynamo_opensearch.core.backfill.planning import BackfillWishes, PlanPorts, plan_backfill
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.opensearch.alias import read_target_aliases
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties, AliasRoutingClashError
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.targets.model import Target
from tests.integration.conftest import MakeRig
from tests.support.rig import Rig

TYPES = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
FILE = MappingFile(
    "members.json",
    {"dynamic": "strict", "properties": TYPES},
    {"index.number_of_shards": 3, "index.number_of_replicas": 0},
)
PROPERTIES: dict[str, Any] = {
    "filter": {"range": {"number": {"lt": 10}}},
    "index_routing": "a",
    "search_routing": "a,b",
    "is_write_index": True,
}


def rig_with(make_rig: MakeRig, alias_properties: dict[str, Any], **settings: Any) -> Rig:
    rig: Rig = make_rig(**settings)
    rig.fill(60)
    properties = AliasProperties.from_json(alias_properties)
    create_index(
        rig.patient, NewIndex(index=rig.index, alias=rig.alias, mapping=FILE, note={}, alias_properties=properties)
    )
    return rig


@pytest.mark.parametrize("unversioned", [False, True])
@pytest.mark.parametrize("properties", [PROPERTIES, {"search_routing": "a"}, {"filter": {"match_none": {}}}])
def test_a_backfill_through_an_alias_with_filter_and_routing_ends_equal(
    make_rig: MakeRig, properties: dict[str, Any], unversioned: bool
) -> None:
    rig = rig_with(make_rig, properties, unversioned=unversioned)
    rig.call(f"{rig.alias}/_doc/k0001", "PUT", {"id": "old"})
    if not unversioned:
        rig.call(f"{rig.alias}/_doc/k0001?version=7&version_type=external", "PUT", {"id": "old"})
    report = rig.copy().report
    assert report.offer.indexed == 60
    assert rig.differences() == []
    assert rig.call(f"{rig.index}/_count")["count"] == 60


def test_a_second_backfill_meets_its_own_documents_under_the_routing(make_rig: MakeRig) -> None:
    rig = rig_with(make_rig, PROPERTIES)
    rig.copy()
    rig.boto.delete_item(TableName=rig.table, Key={"id": {"S": "k0002"}})
    rig.store.value = None
    report = rig.copy().report
    assert report.offer.indexed == 59
    assert len(rig.documents()) == 60  # one for each id: none went to another shard a second time
    assert rig.call(f"{rig.alias}/_doc/k0003")["_routing"] == "a"


def test_the_properties_are_read_as_they_were_given(make_rig: MakeRig) -> None:
    rig = rig_with(make_rig, PROPERTIES)
    assert read_target_aliases(rig.patient, rig.alias).live[rig.index].to_json() == PROPERTIES


def test_a_target_that_routes_by_a_field_of_its_own_is_refused_by_the_plan(make_rig: MakeRig) -> None:
    rig = rig_with(make_rig, {"index_routing": "a"})
    values = {
        "name": rig.base,
        "table": rig.table,
        "key": ["id"],
        "alias": rig.alias,
        "mapping": "members.json",
        "documents": {"routing": "id"},
        "indexer_writes": "versioned",
        "environments": {"local": {}},
    }
    target = Target.model_validate(values)
    ports = PlanPorts(table=rig.table_client, cluster=rig.patient, clock=rig.clock)
    with pytest.raises(AliasRoutingClashError):
        plan_backfill(target, FILE, DocumentBuilder(target.key, target.documents), rig.stamps, BackfillWishes(), ports)


def test_opensearch_refuses_another_routing_than_the_aliass(make_rig: MakeRig) -> None:
    """Why such a target is refused: every document would be."""
    rig = rig_with(make_rig, {"index_routing": "a"}, rules={"routing": "id"})
    report = rig.copy().report
    assert (report.offer.rejected, report.offer.indexed) == (60, 0)
