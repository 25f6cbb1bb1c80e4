"""Mapping files, aliases, index checks, patience and the state store, without a server."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.opensearch.alias import (
    AliasAmbiguousError,
    AliasIsIndexError,
    AliasUnfitError,
    IndexNotOfTargetError,
    index_behind,
    next_index_name,
    read_target_aliases,
    write_alias_of,
)
from dynamo_opensearch.core.opensearch.alias_properties import AliasProperties, AliasRoutingClashError
from dynamo_opensearch.core.opensearch.errors import ConnectionLostError, OpenSearchRequestError, summarise
from dynamo_opensearch.core.opensearch.index_checks import IndexUnfitError, check_index, differences
from dynamo_opensearch.core.opensearch.index_life import IncompleteCountError, count_documents
from dynamo_opensearch.core.opensearch.index_state import IndexState
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingFileError, read_mapping_file
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.state.index_store import IndexStateStore, StateConflictError
from tests.support.fake_cluster import FakeCluster
from tests.support.fakes import FakeClock, quick_retry

INCLUDE = Path(__file__).parents[2] / "include"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def patient(cluster: FakeCluster) -> PatientCluster:
    return PatientCluster(cluster, FakeClock(), quick_retry())


def alias_of(**indices: Any) -> dict[str, Any]:
    return {index.replace("_", "-"): {"aliases": {"members-live": value}} for index, value in indices.items()}


def test_the_one_index_behind_an_alias_is_found(cluster: FakeCluster, patient: PatientCluster) -> None:
    cluster.routes["/_alias/members-live"] = alias_of(members_v1={})
    assert index_behind(patient, "members-live", "members") == "members-v1"


def test_no_alias_and_no_index_is_none(patient: PatientCluster) -> None:
    assert index_behind(patient, "members-live", "members") is None


def test_a_concrete_index_of_the_aliass_name_is_refused_with_the_way_out(
    cluster: FakeCluster, patient: PatientCluster
) -> None:
    cluster.routes["/members-live"] = {"members-live": {}}
    with pytest.raises(AliasIsIndexError, match="POST members-live/_clone/members-v1"):
        index_behind(patient, "members-live", "members")


def test_two_indices_behind_an_alias_are_refused_by_name(cluster: FakeCluster, patient: PatientCluster) -> None:
    cluster.routes["/_alias/members-live"] = alias_of(members_v2={}, members_v1={})
    with pytest.raises(AliasAmbiguousError, match="leads to 2 indices: members-v1, members-v2"):
        index_behind(patient, "members-live", "members")


@pytest.mark.parametrize(
    "properties",
    [
        {"filter": {"term": {"tier": "gold"}}},
        {"index_routing": "1", "search_routing": "1"},
        {"is_write_index": True},
        {"is_hidden": True},
    ],
)
def test_an_alias_with_properties_that_do_no_harm_to_writes_is_written_through(
    cluster: FakeCluster, patient: PatientCluster, properties: dict[str, Any]
) -> None:
    cluster.routes["/_alias/members-live"] = alias_of(members_v1=properties)
    assert index_behind(patient, "members-live", "members") == "members-v1"
    assert AliasProperties.from_json(properties).to_json() == properties


def test_an_alias_that_takes_no_writes_is_refused(cluster: FakeCluster, patient: PatientCluster) -> None:
    cluster.routes["/_alias/members-live"] = alias_of(members_v1={"is_write_index": False})
    with pytest.raises(AliasUnfitError, match="is_write_index: false"):
        index_behind(patient, "members-live", "members")


def test_a_marker_shares_the_aliass_routing_and_nothing_else() -> None:
    properties = AliasProperties(filter={"match_all": {}}, index_routing="a", search_routing="a,b", is_write_index=True)
    assert properties.for_marker.to_json() == {"index_routing": "a"}
    assert AliasProperties().for_marker.to_json() == {}


def test_an_alias_and_a_target_that_both_route_are_refused() -> None:
    routed = AliasProperties(index_routing="a")
    routed.check_routing("members-live", None)
    AliasProperties(search_routing="a").check_routing("members-live", "memberId")
    with pytest.raises(AliasRoutingClashError, match="index_routing 'a', and the target routes its documents by 'm'"):
        routed.check_routing("members-live", "m")


def test_alias_and_markers_are_read_at_once_and_other_aliases_left_out(
    cluster: FakeCluster, patient: PatientCluster
) -> None:
    cluster.routes["/_alias/members-live*"] = {
        "members-v1": {"aliases": {"members-live": {"is_write_index": True}, "members-live-all": {}}},
        "members-v2": {"aliases": {"members-live-next": {"index_routing": "a"}}},
        "members-v0": {"aliases": {"members-live-previous": {}}},
        "members-x1": {"aliases": {"members-live-x": {}}},
    }
    seen = read_target_aliases(patient, "members-live")
    assert dict(seen.live) == {"members-v1": AliasProperties(is_write_index=True)}
    assert dict(seen.next) == {"members-v2": AliasProperties(index_routing="a")}
    assert list(seen.previous) == ["members-v0"]
    assert len(cluster.requests) == 1


@pytest.mark.parametrize("alias", ["members-live", "members-live-next", "members-live-previous"])
def test_an_index_is_written_through_the_alias_or_marker_that_it_carries(
    cluster: FakeCluster, patient: PatientCluster, alias: str
) -> None:
    cluster.routes["/members-v2/_alias"] = {"members-v2": {"aliases": {alias: {}, "other": {}}}}
    assert write_alias_of(patient, "members-v2", "members-live") == alias


@pytest.mark.parametrize("aliases", [{}, {"other": {}}])
def test_an_index_without_alias_or_marker_is_not_written_to(
    cluster: FakeCluster, patient: PatientCluster, aliases: dict[str, Any]
) -> None:
    cluster.routes["/members-v2/_alias"] = {"members-v2": {"aliases": aliases}}
    with pytest.raises(
        IndexNotOfTargetError, match="'members-v2' carries none of the aliases members-live, members-live-next"
    ):
        write_alias_of(patient, "members-v2", "members-live")


def test_the_next_index_has_the_number_after_the_highest(cluster: FakeCluster, patient: PatientCluster) -> None:
    assert next_index_name(patient, "members") == "members-v1"
    names = ("members-v9", "members-v10", "members-v9-scratch-ab12", "members-vx")
    cluster.routes["/members-v*"] = dict.fromkeys(names)
    assert next_index_name(patient, "members") == "members-v11"


def state(mappings: dict[str, Any], settings: dict[str, Any] | None = None) -> IndexState:
    return IndexState(index="members-v1", uuid="u", mappings=mappings, settings=settings or {}, note={})


FILE = MappingFile("members.json", {"properties": {"a": {"type": "keyword"}}}, {"index.analysis.filter.x.min_gram": 2})
ANALYSIS = {"index.analysis.filter.x.min_gram": "2"}


def test_an_index_as_its_file_describes_it_passes(patient: PatientCluster) -> None:
    check_index(patient, state(FILE.mappings, ANALYSIS), FILE)


def test_everything_that_is_wrong_with_an_index_is_told_at_once(patient: PatientCluster) -> None:
    bad = state(
        FILE.mappings,
        {
            "index.default_pipeline": "enrich",
            "index.final_pipeline": "audit",
            "index.analysis.filter.x.min_gram": "3",
        },
    )
    with pytest.raises(IndexUnfitError) as error:
        check_index(patient, bad, FILE)
    assert len(error.value.problems) == 3
    for words in (
        "index.default_pipeline is 'enrich'",
        "index.final_pipeline is 'audit'",
        "min_gram is '3', the mapping file says 2",
    ):
        assert words in str(error.value)


def test_a_pipeline_that_the_file_itself_names_is_declared(patient: PatientCluster) -> None:
    declared = MappingFile("members.json", FILE.mappings, {"index.default_pipeline": "enrich"})
    check_index(patient, state(FILE.mappings, {"index.default_pipeline": "enrich"}), declared)


def test_mappings_differ_place_by_place() -> None:
    wanted = {"dynamic": "strict", "properties": {"a": {"type": "keyword"}, "b": {"type": "long"}}}
    actual = {"dynamic": "strict", "properties": {"a": {"type": "text"}, "c": {"type": "long"}}}
    assert list(differences(wanted, actual)) == [
        "mapping: properties.a.type is 'text' in the index, 'keyword' in the file",
        "mapping: properties.b is missing in the index",
        "mapping: properties.c is in the index only",
    ]


def test_fields_that_opensearch_added_by_itself_are_no_difference_where_the_file_lets_the_mapping_grow() -> None:
    grown = {"type": "text"}
    fixed = {"dynamic": "false", "properties": {"x": {"type": "long"}}}
    wanted = {"properties": {"a": {"type": "long"}, "free": {"type": "object"}, "fixed": fixed}}
    actual = {
        "properties": {
            "a": {"type": "long"},
            "new": grown,
            "free": {"type": "object", "properties": {"new": grown}},
            "fixed": {"dynamic": "false", "properties": {"x": {"type": "long"}, "y": grown}},
        }
    }
    assert list(differences(wanted, actual)) == ["mapping: properties.fixed.properties.y is in the index only"]


def test_a_count_without_some_shards_is_refused(cluster: FakeCluster, patient: PatientCluster) -> None:
    cluster.routes["/members-v1/_refresh"] = {"_shards": {"failed": 0}}
    cluster.routes["/members-v1/_count"] = {"count": 5, "_shards": {"failed": 1}}
    with pytest.raises(IncompleteCountError, match="1 shard"):
        count_documents(patient, "members-v1")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON: line 1, column"),
        ("[]", 'must be an object with "mappings"'),
        ('{"mappings": {}, "aliases": {}}', "has ['aliases']"),
        ('{"mappings": {}, "settings": 1}', "has settings that are not an object"),
        ('{"mappings": []}', 'must be an object with "mappings"'),
    ],
)
def test_a_mapping_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(MappingFileError) as error:
        read_mapping_file(path)
    assert "'bad.json'" in str(error.value)
    assert problem in str(error.value)


def test_a_mapping_file_that_is_not_there_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(MappingFileError, match="belongs below include/mappings"):
        read_mapping_file(tmp_path / "absent.json")


def test_settings_are_flat_and_below_index_however_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(
        '{"mappings": {}, "settings": {"number_of_shards": 1, "index": {"analysis": {"a": {"b": [1]}}}, "index.x": 2}}'
    )
    file = read_mapping_file(path)
    assert file.settings == {"index.number_of_shards": 1, "index.analysis.a.b": [1], "index.x": 2}


def test_a_mapping_files_fingerprint_is_of_its_content_not_of_its_layout(tmp_path: Path) -> None:
    one, other, changed = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "3.json"
    one.write_text('{"mappings": {"a": 1, "b": 2}}')
    other.write_text('{ "settings": {},\n "mappings": {"b": 2, "a": 1}}')
    changed.write_text('{"mappings": {"a": 1, "b": 3}}')
    prints = [read_mapping_file(path).fingerprint for path in (one, other, changed)]
    assert prints[0] == prints[1] != prints[2]


READ_ONLY = "FORBIDDEN/12/index read-only / allow delete (api)"


@pytest.mark.parametrize(
    ("reason", "summary"),
    [
        (
            "failed to parse field [age] of type [long] in document with id 'x'. Preview of field's value: 'Ada'",
            "t, field 'age', expected long",
        ),
        ("mapping set to strict, dynamic introduction of [nick] within [_doc] is not allowed", "t, field 'nick'"),
        ("object mapping for [address] tried to parse field [null] as object", "t, field 'address'"),
        (f"index [i] blocked by: [{READ_ONLY}];", f"t ({READ_ONLY})"),
        ("something else about Ada", "t"),
    ],
)
def test_a_reason_is_reduced_to_what_holds_no_value(reason: str, summary: str) -> None:
    assert str(summarise("t", reason)) == summary


def test_passing_failures_are_waited_out_and_others_are_raised(cluster: FakeCluster) -> None:
    clock = FakeClock()
    patient = PatientCluster(cluster, clock, quick_retry())

    def fail(error: Exception) -> Any:
        def step(*_: Any) -> Any:
            raise error

        return step

    cluster.steps = [
        fail(ConnectionLostError("NewConnectionError")),
        fail(OpenSearchRequestError(503, "GET /", "t", "")),
        fail(OpenSearchRequestError(429, "GET /", "t", "")),
        lambda *_: {"ok": True},
    ]
    assert patient.request("GET", "/") == {"ok": True}
    assert len(clock.slept) == 3
    cluster.steps = [fail(OpenSearchRequestError(400, "GET /", "t", ""))]
    with pytest.raises(OpenSearchRequestError):
        patient.request("GET", "/")
    cluster.steps = [fail(ConnectionLostError("NewConnectionError"))] * 1000
    with pytest.raises(ServiceUnavailableError, match="OpenSearch did not complete GET /x"):
        patient.request("GET", "/x")


class StateCluster(FakeCluster):
    """Documents with sequence numbers, for the state store."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Any] | None = None
        self.seq_no = -1

    def answer(self, method: str, path: str, params: Any, body: Any) -> Any:
        if "/_doc/" not in path:
            return {}
        if method == "GET":
            if self.stored is None:
                raise OpenSearchRequestError(404, path, "unknown", "")
            return {"_source": self.stored, "_seq_no": self.seq_no, "_primary_term": 1}
        expected = params.get("if_seq_no")
        if (expected is None and self.stored is not None) or (expected is not None and expected != str(self.seq_no)):
            raise OpenSearchRequestError(409, path, "version_conflict_engine_exception", "")
        self.stored, self.seq_no = orjson.loads(body), self.seq_no + 1
        return {"_seq_no": self.seq_no, "_primary_term": 1}


def store(cluster: FakeCluster) -> IndexStateStore:
    return IndexStateStore(PatientCluster(cluster, FakeClock(), quick_retry()), ".state", "run/1|task")


def test_state_is_what_was_saved_last() -> None:
    cluster = StateCluster()
    mine = store(cluster)
    assert mine.load() is None
    mine.save({"n": 1})
    mine.save({"n": 2})
    assert store(cluster).load() == {"n": 2}
    assert {path for _, path, _, _ in cluster.requests} == {"/.state", "/.state/_doc/run%2F1%7Ctask"}


def test_the_loser_of_a_race_is_told_and_changes_nothing() -> None:
    cluster = StateCluster()
    one, other = store(cluster), store(cluster)
    one.load()
    other.load()
    one.save({"n": 1})
    with pytest.raises(StateConflictError, match="two tries of one task"):
        other.save({"n": 2})
    assert store(cluster).load() == {"n": 1}


def test_a_save_whose_answer_was_lost_is_not_a_race_with_itself() -> None:
    cluster = StateCluster()
    mine = store(cluster)
    mine.save({"n": 1})

    def lost(cluster: FakeCluster, method: str, path: str, params: Any, body: Any) -> Any:
        cluster.answer(method, path, params, body)
        raise ConnectionLostError("ReadTimeoutError")

    cluster.steps = [lost]
    mine.save({"n": 2})
    mine.save({"n": 3})
    assert store(cluster).load() == {"n": 3}
