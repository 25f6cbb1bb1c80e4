"""A new mapping is tried on a scratch index with sample items; nothing of it stays."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.dynamodb.pacing import ReadUnitPacer
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.rebuild.mapping_check import CheckPorts, MappingCheck, MappingCheckError, check_new_mapping
from dynamo_opensearch.core.rebuild.planning import RebuildRefusedError
from dynamo_opensearch.core.rebuild.samples import TableSamples
from tests.integration.conftest import MakeRig
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock, quick_retry
from tests.support.rebuild_rig import NEW_FILE, OLD_FILE, RebuildRig
from tests.support.rig import small_item


@dataclass
class Given:
    """A SampleSource of these items."""

    given: list[Any]
    name: str = "given"

    def items(self) -> Iterator[Item]:
        yield from self.given


@pytest.fixture
def rebuild(make_rig: MakeRig) -> RebuildRig:
    return RebuildRig(make_rig()).set_up()


def check(rebuild: RebuildRig, *items: Any, cluster: PatientCluster | None = None) -> MappingCheck:
    rig = rebuild.rig
    return check_new_mapping(
        rebuild.target,
        rebuild.mapping,
        read_index(rig.patient, rig.index),
        rebuild.builder,
        [Given(list(items))],
        CheckPorts(cluster=cluster or rig.patient, clock=rig.clock),
    )


def scratches(rebuild: RebuildRig) -> list[str]:
    return [one for one in rebuild.rig.indices() if "scratch" in one]


def test_refusals_are_told_by_reason_with_hashed_ids_and_written_whole_to_the_reject_file(rebuild: RebuildRig) -> None:
    bad = {"id": {"S": "anna@example.org"}, "number": {"S": "secret"}}
    unknown = {"id": {"S": "berta@example.org"}, "surprise": {"S": "secret"}}
    rebuild.more_samples = [Given([bad, unknown, small_item(1)])]
    with pytest.raises(RebuildRefusedError) as refused:
        rebuild.plan()
    text = str(refused.value)
    assert "1 of 23 sample documents are refused: mapper_parsing_exception, field 'number', expected long" in text
    assert "1 of 23 sample documents are refused: strict_dynamic_mapping_exception, field 'surprise'" in text
    assert "hashed ids: " in text
    assert not [word for word in ("secret", "example.org") if word in text]
    lines = [orjson.loads(line) for line in rebuild.sink.parts[0].splitlines()]
    assert [line["key"] for line in lines] == [{"id": bad["id"]}, {"id": unknown["id"]}]
    assert lines[0]["document"] == {"id": "anna@example.org", "number": "secret"}
    assert scratches(rebuild) == []


def test_keys_are_shown_where_the_target_says_so_and_never_all_of_them(rebuild: RebuildRig) -> None:
    rebuild.changes["show_keys"] = True
    result = check(rebuild, *({"id": {"S": f"m{number}"}, "surprise": {"S": "x"}} for number in range(8)))
    assert result.problems[0].endswith("ids: m0, m1, m2, m3, m4 and 3 more")
    assert len(result.rejects) == result.samples == 8


def test_an_item_that_the_rules_make_no_document_of_is_a_refused_sample(rebuild: RebuildRig) -> None:
    rebuild.changes["documents"] = {"renames": {"value": "number"}}
    result = check(rebuild, small_item(1))
    assert result.samples == 1
    assert "1 of 1 sample documents are refused: DocumentBuildError, field 'number'" in result.problems[0]


def test_required_fields_must_be_mapped_and_have_a_value_in_every_sample(rebuild: RebuildRig) -> None:
    rebuild.changes["required_fields"] = ["id", "value", "nowhere"]
    result = check(rebuild, small_item(1), {"id": {"S": "b"}}, {"id": {"S": "c"}, "value": {"NULL": True}})
    with pytest.raises(MappingCheckError) as failed:
        result.check()
    assert failed.value.problems == (
        "required field 'nowhere' is not a field of the mapping",
        *(one for one in result.problems if "have no value" in one),
    )
    assert any("2 of 3 sample documents have no value in required field 'value'" in one for one in result.problems)
    assert any("3 of 3 sample documents have no value in required field 'nowhere'" in one for one in result.problems)


def test_items_that_do_not_belong_are_no_samples(rebuild: RebuildRig) -> None:
    rebuild.changes["documents"] = {"filter": {"all": [{"attribute": "value", "equals": "second"}]}}
    assert check(rebuild, small_item(1), small_item(2, "second")).samples == 1


def test_the_real_analysis_and_shard_settings_are_tried(rebuild: RebuildRig) -> None:
    analysis = {"index.analysis.analyzer.mine.type": "custom", "index.analysis.analyzer.mine.tokenizer": "standard"}
    shards = {"index.number_of_shards": 4, "index.number_of_routing_shards": 8, "index.routing_partition_size": 2}
    mappings = {"_routing": {"required": True}, "properties": {"id": {"type": "text", "analyzer": "mine"}}}
    rebuild.changes["documents"] = {"routing": "id"}
    rebuild.mapping = MappingFile("m.json", mappings, {**analysis, **shards})
    assert check(rebuild, small_item(1)).problems == ()
    rebuild.mapping = MappingFile("m.json", mappings, {})
    with pytest.raises(MappingRefusedError, match="analyzer"):
        check(rebuild, small_item(1))
    assert scratches(rebuild) == []


def test_changes_are_told_as_opensearch_writes_them(rebuild: RebuildRig) -> None:
    rebuild.mapping = replace(OLD_FILE, mappings={"properties": {"id": {"type": "keyword", "ignore_above": "9"}}})
    changes = check(rebuild).changes
    assert changes.removed == ("number (long)", "value (keyword)")
    assert changes.changed == ("(mapping) (dynamic: 'strict' to default)", "id (ignore_above: default to 9)")


class Interrupted(BaseException):
    """As a process that is told to stop."""


@pytest.mark.parametrize("failure", [Interrupted(), ServiceUnavailableError("OpenSearch", "bulk", 1, 1.0, "500")])
def test_the_scratch_index_goes_whatever_happens(rebuild: RebuildRig, failure: BaseException) -> None:
    class Failing:
        name = "failing"

        def items(self) -> Iterator[Item]:
            yield small_item(1)
            assert len(scratches(rebuild)) == 1
            raise failure

    rebuild.more_samples = [Failing()]
    with pytest.raises(type(failure)):
        rebuild.plan()
    assert scratches(rebuild) == []


def test_one_that_a_killed_process_left_is_removed_when_an_hour_old_and_no_other_is(rebuild: RebuildRig) -> None:
    rig = rebuild.rig
    names = [f"{rig.base}-scratch-0123456789ab", f"{rig.base}-scratch-mine", f"{rig.base}-other-scratch-0123456789ab"]
    for name in names:
        rig.create_index(index=name, settings={"hidden": True}, aliases={})
    check(rebuild, small_item(1))
    assert scratches(rebuild) == sorted(names)
    rig.clock = FakeClock(rig.clock.time_us() + 3_700_000_000)
    check(rebuild, small_item(1))
    assert scratches(rebuild) == sorted(names[1:])


def test_a_server_that_is_too_busy_for_samples_is_a_passing_failure(rebuild: RebuildRig) -> None:
    class Busy(FakeCluster):
        def request(self, method: str, path: str, **arguments: Any) -> Any:
            if path.endswith("/_bulk"):
                error = {"type": "rejected_execution_exception", "reason": "queue full"}
                return {"items": [{"index": {"_index": path.split("/")[1], "status": 429, "error": error}}]}
            return rebuild.rig.cluster.request(method, path, **arguments)

    with pytest.raises(ServiceUnavailableError, match="rejected_execution_exception"):
        check(rebuild, small_item(1), cluster=PatientCluster(Busy(), rebuild.rig.clock, quick_retry()))
    assert scratches(rebuild) == []


def test_table_samples_are_bounded_and_come_from_random_places(rebuild: RebuildRig) -> None:
    rig = rebuild.rig
    rig.put([small_item(number) for number in range(20, 300)])

    def samples(seed: int, estimated: int = 300 * 10, most: int = 50) -> list[str]:
        source = TableSamples(
            table=rig.table_client,
            pacer=ReadUnitPacer(None, rig.clock),
            items_estimated=estimated,
            most=most,
            chance=random.Random(seed),
        )
        assert source.name == f"table {rig.table}"
        return [item["id"]["S"] for item in source.items()]

    assert 0 < len(samples(1)) <= 50
    assert samples(1) == samples(1) != samples(2)
    assert len(samples(1, estimated=0)) == 50
    assert len(samples(1, estimated=0, most=1_000)) == 300


def test_table_samples_keep_to_their_read_units(rebuild: RebuildRig) -> None:
    rig = rebuild.rig
    clock = FakeClock(rig.clock.time_us())
    pacer = ReadUnitPacer(0.25, clock)
    source = TableSamples(table=rig.table_client, pacer=pacer, items_estimated=1_000)
    list(source.items())
    assert sum(clock.slept) >= 9 * 0.5 / 0.25 - 1


def test_the_new_file_of_these_tests_fits(rebuild: RebuildRig) -> None:
    assert rebuild.mapping is NEW_FILE
    check(rebuild, small_item(1)).check()
