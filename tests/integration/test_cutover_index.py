"""The index behind the alias, on real servers: made once, kept as it is, refused where it is somebody else's."""

import threading
from typing import Any

import pytest

from dynamo_opensearch.core.backfill.planning import PlanPorts, plan_backfill
from dynamo_opensearch.core.cutover.alias_index import AliasElsewhereError, MadeIndex, make_alias_index
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.dynamodb.table_description import TableKeyError
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError, AliasIsIndexError
from dynamo_opensearch.core.opensearch.index_checks import IndexUnfitError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from tests.integration.conftest import MakeRig
from tests.support import faults
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.rig import Rig
from tests.support.rig_connections import target_of

TYPES = {"id": {"type": "keyword"}, "number": {"type": "long"}, "value": {"type": "keyword"}}
SETTINGS = {"index.number_of_replicas": 0, "index.refresh_interval": "2s"}
FILE = MappingFile("members.json", {"dynamic": "strict", "properties": TYPES}, SETTINGS)


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig()
    made.create_table()
    return made


def make(rig: Rig, run_id: str = "run 1", file: MappingFile = FILE, **changes: Any) -> MadeIndex:
    target = target_of(rig, **changes)
    ports = PlanPorts(table=rig.table_client, cluster=rig.patient, clock=rig.clock)
    builder = DocumentBuilder(target.key, target.documents)
    return make_alias_index(target, file, builder, rig.stamps, run_id, ports)


def test_an_index_is_made_behind_the_alias_by_the_mapping_file_and_a_second_run_leaves_it(rig: Rig) -> None:
    made = make(rig)
    assert str(made) == f"made index '{rig.index}', by the mapping file, behind alias '{rig.alias}'"
    index = rig.call(f"{rig.index}?flat_settings=true")[rig.index]
    assert index["mappings"]["properties"] == TYPES
    assert index["settings"]["index.refresh_interval"] == "2s", "it is used at once, so nothing is loosened"
    assert "index.gc_deletes" not in index["settings"]
    assert index["aliases"] == {rig.alias: {}}
    assert index["mappings"]["_meta"]["dynamo_opensearch"]["run_id"] == "run 1"

    for run_id in ("run 1", "run 2"):
        again = make(rig, run_id)
        assert (again.was_there, again.uuid, again.made_by) == (True, made.uuid, "run 1")
    assert "leads to index" in str(again)
    assert "made by run 'run 1'; it fits the mapping file" in str(again)
    assert rig.indices() == [rig.index]


def test_an_index_of_another_name_behind_the_alias_is_taken_as_it_is(rig: Rig) -> None:
    rig.create_index(FILE.mappings, index=f"{rig.base}")
    found = make(rig)
    assert (found.index, found.was_there) == (rig.base, True)
    assert "made by somebody else" in str(found)
    assert rig.indices() == [rig.base]


def test_an_alias_that_leads_to_another_targets_index_is_refused_with_the_way_out(rig: Rig) -> None:
    note = {"dynamo_opensearch": {"target": "orders"}}
    rig.create_index({"properties": {"other": {"type": "date"}}, "_meta": note}, index=f"{rig.base}-orders")
    with pytest.raises(AliasElsewhereError) as refused:
        make(rig)
    for part in (
        f"alias '{rig.alias}' leads to index '{rig.base}-orders', which was made for target 'orders'",
        "Nothing was changed",
        "Correct `alias` in the target file",
        f"remove index {rig.base}-orders, alias {rig.alias}",
    ):
        assert part in str(refused.value)
    assert rig.indices() == [f"{rig.base}-orders"]


def test_a_concrete_index_of_the_aliass_name_is_refused_with_the_way_out(rig: Rig) -> None:
    rig.call(rig.alias, "PUT", {"settings": {"number_of_replicas": 0}})
    with pytest.raises(AliasIsIndexError, match=f"POST {rig.alias}/_clone/{rig.index}"):
        make(rig)
    assert rig.indices() == [rig.alias]


def test_an_alias_that_leads_to_several_indices_is_refused(rig: Rig) -> None:
    for number in (1, 2):
        rig.create_index(FILE.mappings, index=f"{rig.base}-v{number}")
    with pytest.raises(AliasAmbiguousError, match="leads to 2 indices"):
        make(rig)


def test_what_a_backfill_would_refuse_is_refused_before_anything_is_deployed(rig: Rig) -> None:
    with pytest.raises(TableKeyError):
        make(rig, key=["memberId"])
    with pytest.raises(MappingRefusedError):
        make(rig, file=MappingFile("m.json", {"properties": {"id": {"type": "nothing"}}}, SETTINGS))
    assert rig.indices() == []
    rig.create_index({"dynamic": "strict", "properties": {"id": {"type": "long"}}})
    with pytest.raises(IndexUnfitError):
        make(rig)


def test_two_runs_at_once_make_one_index(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have planned before either makes it."""
    both = threading.Barrier(2, timeout=30)

    def planned(*arguments: Any) -> Any:
        found = plan_backfill(*arguments)
        if found.creates_index:
            both.wait()
        return found

    monkeypatch.setattr("dynamo_opensearch.core.cutover.alias_index.plan_backfill", planned)
    made: list[MadeIndex] = []
    threads = [threading.Thread(target=lambda run=run: made.append(make(rig, run))) for run in ("run 1", "run 2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.was_there for one in made) == [False, True]
    assert len({one.uuid for one in made}) == 1
    assert rig.indices() == [rig.index]


def test_an_index_whose_making_was_not_answered_is_found_by_the_next_try(
    make_rig: MakeRig, opensearch_proxy: FaultProxy
) -> None:
    rig = make_rig(opensearch_url=opensearch_proxy.url)
    rig.create_table()

    def is_making(exchange: Exchange) -> bool:
        return exchange.method == "PUT" and exchange.path == f"/{rig.index}"

    opensearch_proxy.on(is_making, faults.reset_in_mid_answer())
    made = make(rig)
    assert not made.was_there
    assert len([one for one in opensearch_proxy.requests if one.method == "PUT"]) == 2
    assert make(rig, "run 2").uuid == made.uuid
    assert rig.indices() == [rig.index]
