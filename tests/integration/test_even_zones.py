"""A cluster that wants as many copies of a shard in each of three zones, as Amazon's domains with standby do."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dynamo_opensearch.core.backfill.preparing import prepare_index, put_settings_back
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.scratch_index import scratch_index
from dynamo_opensearch.core.opensearch.shard_copies import ReplicasRefusedError
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tests.integration.conftest import MakeRig
from tests.integration.test_plan_prepare_finish import FILE, compared, plan
from tests.support.rig import Rig

AWARENESS = "cluster.routing.allocation.awareness"
EVEN = {f"{AWARENESS}.attributes": "zone", f"{AWARENESS}.force.zone.values": "a,b,c", f"{AWARENESS}.balance": True}
TWO_REPLICAS = replace(FILE, settings={"index.number_of_replicas": 2, "index.refresh_interval": "30s"})


@pytest.fixture
def rig(make_rig: MakeRig) -> Iterator[Rig]:
    made: Rig = make_rig()
    made.fill(40)
    made.call("_cluster/settings", "PUT", {"persistent": EVEN})
    yield made
    made.call("_cluster/settings", "PUT", {"persistent": dict.fromkeys(EVEN)})


def settings_of(rig: Rig, index: str) -> dict[str, str]:
    settings: dict[str, str] = rig.call(f"{index}/_settings")[index]["settings"]["index"]
    return settings


def test_an_index_is_filled_with_the_replicas_that_it_must_have(rig: Rig) -> None:
    planned = plan(rig, file=TWO_REPLICAS)
    prepared = prepare_index(planned, TWO_REPLICAS, rig.builder_for(planned.index), "run 1", rig.patient)
    while_filled = settings_of(rig, planned.index)
    assert (while_filled["number_of_replicas"], while_filled["refresh_interval"]) == ("2", "-1")
    assert rig.copy().report.scanned == 40
    put_settings_back(prepared, TWO_REPLICAS, rig.patient)
    afterwards = settings_of(rig, planned.index)
    assert (afterwards["number_of_replicas"], afterwards["refresh_interval"]) == ("2", "30s")
    assert compared(rig).is_equal


@pytest.mark.parametrize(("settings", "replicas"), [({}, 1), ({"index.number_of_replicas": "0"}, 0)])
def test_a_mapping_file_with_too_few_replicas_is_refused_with_the_number_to_write(
    rig: Rig, settings: dict[str, str], replicas: int
) -> None:
    file = MappingFile("members.json", FILE.mappings, settings)
    planned = plan(rig, file=file)
    with pytest.raises(ReplicasRefusedError) as refused:
        prepare_index(planned, file, rig.builder_for(planned.index), "run 1", rig.patient)
    assert f"with number_of_replicas {replicas} a shard has {replicas + 1} copies" in str(refused.value)
    assert '"number_of_replicas": 2' in str(refused.value)
    assert rig.call(f"{rig.base}*") == {}


def test_a_mapping_file_is_tried_on_a_scratch_index(rig: Rig) -> None:
    with scratch_index(rig.patient, FILE, rig.base) as scratch:
        assert settings_of(rig, scratch)["number_of_replicas"] == "2"
    assert rig.call(f"{rig.base}*?expand_wildcards=all") == {}


def test_state_is_kept(rig: Rig) -> None:
    store = IndexStateStore(rig.patient, f"{rig.base}-state", "members")
    store.save({"n": 1})
    store.save({"n": 2})
    assert IndexStateStore(rig.patient, f"{rig.base}-state", "members").load() == {"n": 2}
    assert settings_of(rig, f"{rig.base}-state")["auto_expand_replicas"] == "0-2"
