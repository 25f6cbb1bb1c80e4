"""What does not fit is refused before the first write, by name, with the way out."""

import time
from typing import Any

import pytest

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dynamodb.errors import TableMissingError
from dynamo_opensearch.core.dynamodb.table_description import (
    TableKeyError,
    TableReplacedError,
    check_same_table,
    describe_table,
)
from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.alias import (
    AliasAmbiguousError,
    AliasIsIndexError,
    AliasUnfitError,
    next_index_name,
)
from dynamo_opensearch.core.opensearch.index_checks import (
    IndexTemplateError,
    IndexUnfitError,
    check_index,
    check_no_template,
    check_versions,
)
from dynamo_opensearch.core.opensearch.index_life import NewIndex, create_index, loosen_settings, restore_settings
from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from dynamo_opensearch.core.stamps import ForeignVersionError, StampRule
from tests.integration.conftest import MakeRig
from tests.support.fakes import quick_retry
from tests.support.rig import Rig
from tools.local import ports
from tools.local.processes import Server

MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "id": {"type": "keyword"},
        "at": {"type": "date", "format": "strict_date"},
        "in": {"properties": {"a": {"type": "long"}}},
    },
}
FILE = MappingFile("members.json", MAPPINGS, {"index.number_of_replicas": 0})


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    made: Rig = make_rig()
    return made


@pytest.fixture
def either_rig(make_rig: MakeRig, either_dynamodb: Server) -> Rig:
    made: Rig = make_rig(direct_dynamodb=either_dynamodb.url)
    return made


def test_a_table_that_is_missing_is_named_with_its_region(either_rig: Rig) -> None:
    with pytest.raises(TableMissingError, match=f"table '{either_rig.table}' does not exist in region 'eu-central-1'"):
        describe_table(either_rig.table_client)


def test_a_key_that_the_table_does_not_have_is_refused(either_rig: Rig) -> None:
    either_rig.create_table()
    either_rig.key = ("memberId",)
    either_rig.create_index()
    with pytest.raises(TableKeyError, match=r"has the key \['id'\], the target file says \['memberId'\]"):
        either_rig.copy()


def test_a_table_made_anew_under_the_same_name_is_noticed(either_rig: Rig) -> None:
    either_rig.fill(3)
    planned = describe_table(either_rig.table_client)
    check_same_table(describe_table(either_rig.table_client), planned.table_id)
    either_rig.boto.delete_table(TableName=either_rig.table)
    time.sleep(1.1)  # a server that gives no TableId is told apart by its creation time, which is in seconds
    either_rig.fill(3)
    with pytest.raises(TableReplacedError):
        check_same_table(describe_table(either_rig.table_client), planned.table_id)


def test_progress_on_a_table_that_was_restored_meanwhile_is_not_resumed(either_rig: Rig) -> None:
    either_rig.fill(30)
    either_rig.create_index()
    either_rig.copy()
    assert either_rig.store.value is not None
    half_way = either_rig.store.saved[0]
    either_rig.boto.delete_table(TableName=either_rig.table)
    time.sleep(1.1)
    either_rig.fill(30)
    either_rig.store.value = half_way
    assert either_rig.copy().report.scanned == 30


def test_a_table_that_goes_away_during_the_copy_ends_it(rig: Rig) -> None:
    rig.fill(200)
    rig.create_index()
    rig.limit = 1  # so many pages that the first is acknowledged long before the last is read
    saved = rig.store.save

    def save(value: dict[str, Any]) -> None:
        saved(value)
        if rig.table in rig.boto.list_tables()["TableNames"]:
            rig.boto.delete_table(TableName=rig.table)

    rig.store.save = save  # type: ignore[method-assign]
    with pytest.raises(TableMissingError):
        rig.copy()


def test_a_server_that_is_down_ends_the_patience_with_a_passing_error(make_rig: MakeRig) -> None:
    down = f"http://127.0.0.1:{ports.free_port()}"
    rig = make_rig(dynamodb_url=down, opensearch_url=down, retry=quick_retry(0.5))
    with pytest.raises(ServiceUnavailableError, match="DynamoDB did not complete DescribeTable"):
        describe_table(rig.table_client)
    with pytest.raises(ServiceUnavailableError, match=f"OpenSearch did not complete GET /_alias/{rig.alias}"):
        rig.look_up()


def test_a_concrete_index_of_the_aliass_name_is_refused(rig: Rig) -> None:
    rig.call(rig.alias, "PUT", {"settings": {"number_of_replicas": 0}})
    with pytest.raises(AliasIsIndexError, match=f"_clone/{rig.base}-v1"):
        rig.look_up()


def test_two_indices_behind_the_alias_are_refused(rig: Rig) -> None:
    rig.create_index()
    rig.create_index(index=f"{rig.base}-v2")
    with pytest.raises(AliasAmbiguousError, match=f"{rig.base}-v1, {rig.base}-v2"):
        rig.look_up()


def test_an_alias_that_takes_no_writes_is_refused(rig: Rig) -> None:
    rig.create_index(aliases={rig.alias: {"is_write_index": False}})
    with pytest.raises(AliasUnfitError):
        rig.look_up()


def test_an_index_made_from_the_file_passes_and_a_field_more_or_less_does_not(rig: Rig) -> None:
    note = {"run_id": "r1"}
    new = NewIndex(index=rig.index, alias=rig.alias, mapping=FILE, note=note)
    state = create_index(rig.patient, new)
    assert create_index(rig.patient, new) == state
    check_index(rig.patient, state, FILE)
    rig.call(f"{rig.index}/_mapping", "PUT", {"properties": {"extra": {"type": "keyword"}}})
    changed = MappingFile(
        "m.json", {**MAPPINGS, "properties": {**MAPPINGS["properties"], "at": {"type": "keyword"}}}, {}
    )
    with pytest.raises(IndexUnfitError) as error:
        check_index(rig.patient, read_index(rig.patient, rig.index), changed)
    assert "properties.extra is in the index only" in str(error.value)
    assert "properties.at.type is 'date' in the index, 'keyword' in the file" in str(error.value)
    assert rig.indices() == [rig.index]


def test_a_mapping_file_that_opensearch_refuses_is_told_with_its_text(rig: Rig) -> None:
    bad = MappingFile("bad.json", {"properties": {"a": {"type": "no_such_type"}}}, {})
    with pytest.raises(
        MappingRefusedError, match=r"refuses mapping file 'bad.json': mapper_parsing_exception: .*no_such_type"
    ):
        create_index(rig.patient, NewIndex(index=rig.index, alias=rig.alias, mapping=bad, note={}))
    rig.create_index(MAPPINGS)
    with pytest.raises(MappingRefusedError):
        check_index(rig.patient, read_index(rig.patient, rig.index), bad)
    assert rig.indices() == [rig.index]


def test_pipelines_and_source_filters_are_told_together(rig: Rig) -> None:
    rig.create_index({**MAPPINGS, "_source": {"excludes": ["at"]}}, {"index.default_pipeline": "enrich"})
    with pytest.raises(IndexUnfitError) as error:
        check_index(rig.patient, read_index(rig.patient, rig.index), FILE)
    assert "index.default_pipeline is 'enrich'" in str(error.value)
    assert "its mapping filters _source" in str(error.value)


@pytest.mark.parametrize(
    "body",
    [{"settings": {"index.number_of_replicas": 0}}, {"mappings": {"dynamic": False}}, {"aliases": {"x-all": {}}}],
)
def test_a_composable_template_that_matches_is_refused(rig: Rig, body: dict[str, Any]) -> None:
    check_no_template(rig.patient, rig.index)
    rig.call(f"_index_template/{rig.base}", "PUT", {"index_patterns": [f"{rig.base}-*"], "template": body})
    try:
        with pytest.raises(IndexTemplateError):
            check_no_template(rig.patient, rig.index)
    finally:
        rig.call(f"_index_template/{rig.base}", "DELETE")


def test_a_legacy_template_that_matches_is_refused_by_name(rig: Rig) -> None:
    rig.call(
        f"_template/{rig.base}", "PUT", {"index_patterns": [f"{rig.base}-*"], "settings": {"number_of_replicas": 0}}
    )
    try:
        with pytest.raises(IndexTemplateError, match=rig.base):
            check_no_template(rig.patient, rig.index)
    finally:
        rig.call(f"_template/{rig.base}", "DELETE")


@pytest.mark.parametrize(
    ("version", "is_fit"),
    [
        (5, True),
        (int(time.time() * 1e6), True),
        (int(time.time() * 1e3), False),
        (int((time.time() + 3600) * 1e6), False),
    ],
    ids=["a counter", "now in microseconds", "now in milliseconds", "in an hour"],
)
def test_versions_of_another_unit_or_of_the_future_are_found(rig: Rig, version: int, is_fit: bool) -> None:
    rig.create_index()
    rig.call(f"{rig.index}/_doc/a?version={version}&version_type=external&refresh=true", "PUT", {"id": "a"})
    if is_fit:
        assert check_versions(rig.patient, rig.index, StampRule(), SystemClock()) == 1
    else:
        with pytest.raises(ForeignVersionError, match=str(version)):
            check_versions(rig.patient, rig.index, StampRule(), SystemClock())


def test_loosened_settings_go_back_to_what_the_file_says(rig: Rig) -> None:
    file = MappingFile("m.json", {}, {"index.refresh_interval": "7s", "index.number_of_replicas": 0})
    create_index(rig.patient, NewIndex(index=rig.index, alias=rig.alias, mapping=file, note={}))
    loosen_settings(rig.patient, rig.index)
    loosened = read_index(rig.patient, rig.index).settings
    assert (loosened["index.refresh_interval"], loosened["index.gc_deletes"]) == ("-1", "1h")
    for _ in range(2):
        assert restore_settings(rig.patient, rig.index, file) == {
            "index.refresh_interval": "7s",
            "index.number_of_replicas": "0",
            "index.gc_deletes": None,
        }


def test_the_next_name_passes_over_closed_and_hidden_indices(rig: Rig) -> None:
    rig.create_index()
    rig.call(f"{rig.base}-v4", "PUT", {"settings": {"number_of_replicas": 0, "index.hidden": True}})
    rig.call(f"{rig.base}-v3", "PUT", {"settings": {"number_of_replicas": 0}})
    rig.call(f"{rig.base}-v3/_close", "POST")
    assert next_index_name(rig.patient, rig.base) == f"{rig.base}-v5"
