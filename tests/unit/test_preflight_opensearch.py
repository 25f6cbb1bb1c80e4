"""The checks that ask OpenSearch, by answers that no healthy local server gives."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.preflight.checklist import run_check
from dynamo_opensearch.core.preflight.disk_space import NodeDisk, usable_bytes
from dynamo_opensearch.core.preflight.findings import CheckResult, Finding
from dynamo_opensearch.core.preflight.side import Side
from tests.support import remedies
from tests.support.fake_cluster import FakeCluster
from tests.support.scripted_control_plane import scripted_side

GB = 2**30
DOMAIN = "arn:aws:es:eu-central-1:123456789012:domain/search"


class ScriptedCluster(FakeCluster):
    """``canonical``: what it makes of the mapping of a scratch index; an exception refuses it."""

    canonical: Any = None

    def answer(self, method: str, path: str, params: Mapping[str, str], body: Any) -> Any:
        if "-scratch-" not in path:
            return super().answer(method, path, params, body)
        if isinstance(self.canonical, Exception) and method == "PUT":
            raise self.canonical
        name = path.removeprefix("/")
        return {name: {"mappings": self.canonical, "settings": {"index.uuid": "of the scratch index"}}}


def side(settings: Any = None, **routes: Any) -> Side:
    cluster = ScriptedCluster()
    cluster.routes = routes
    made = scripted_side(settings=settings, cluster=cluster)
    return replace(made, target=made.target.in_environment("production"))


def only(result: CheckResult) -> Finding:
    assert result.state == "failed"
    (finding,) = result.findings
    return finding


# Health and version

MAIN = {"version": {"distribution": "opensearch", "number": "3.8.0"}}


def cluster_side(settings: dict[str, Any] | None = None, status: str = "green", version: str = "3.8.0") -> Side:
    return side(
        settings,
        **{
            "/": MAIN,
            "/_nodes": {"nodes": {"a": {"version": "3.8.0"}, "b": {"version": version}}},
            "/_cluster/health": {"status": status, "unassigned_shards": 3, "number_of_data_nodes": 2},
        },
    )


@pytest.mark.parametrize(
    ("wanted", "status", "passes"),
    [
        ("green", "green", True),
        ("green", "yellow", False),
        ("green", "red", False),
        ("yellow", "green", True),
        ("yellow", "yellow", True),
        ("yellow", "red", False),
    ],
)
def test_the_health_that_the_target_file_puts_up_with_passes_and_what_is_better(
    wanted: str, status: str, passes: bool
) -> None:
    result = run_check("cluster", cluster_side({"opensearch": {"health": wanted}}, status))
    assert (result.state == "passed") is passes
    if not passes:
        finding = only(result)
        assert (finding.what, finding.expected) == ("health", wanted)
        assert finding.found == f"{status}, 3 shards without a node"
        assert finding.remedy == "curl -X GET https://search.example.com/_cluster/allocation/explain"


@pytest.mark.parametrize(
    ("settings", "domain"), [({"opensearch": {"domain": DOMAIN}}, "search"), ({}, "'<domain>'")], ids=["named", "not"]
)
def test_an_old_node_is_told_with_the_line_that_upgrades_its_domain(settings: dict[str, Any], domain: str) -> None:
    finding = only(run_check("cluster", cluster_side(settings, version="2.11.1")))
    assert (finding.what, finding.found) == ("version", "OpenSearch 2.11.1")
    assert finding.expected.startswith("OpenSearch 2.12 or newer: a swap needs 2.12 or newer")
    assert f"--domain-name {domain} --target-version OpenSearch_2.12 " in finding.remedy


def test_an_environment_of_another_version_is_told_with_major_and_minor_as_aws_wants_them() -> None:
    finding = only(run_check("cluster", cluster_side(), cluster_side(version="2.19.1")))
    assert (finding.found, finding.expected) == ("3.8.0", "2.19.1, as in production")
    assert "--target-version OpenSearch_2.19 " in finding.remedy


# Settings of the cluster


def auto_create_side(settings: dict[str, Any], alias: str = "members-live") -> Side:
    return side({"alias": alias}, **{"/_cluster/settings": settings})


def auto_create(setting: Any) -> dict[str, Any]:
    return {"action": {"auto_create_index": setting}}


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"transient": auto_create("false"), "persistent": auto_create("true")}, "false"),
        ({"persistent": auto_create("false"), "defaults": auto_create("true")}, "false"),
        ({"transient": {"action": {}}, "persistent": {}, "defaults": auto_create("false")}, "false"),
        (
            {"transient": {"action": "odd"}, "persistent": {"other": {"a": "b"}}, "defaults": auto_create("false")},
            "false",
        ),
        ({"defaults": auto_create("true")}, "true"),
        ({}, "true"),
    ],
)
def test_the_level_that_counts_is_the_first_that_says_something_and_else_the_default(
    settings: dict[str, Any], value: str
) -> None:
    result = run_check("auto_create_index", auto_create_side(settings))
    assert (result.state == "passed") is (value == "false")
    if value == "false":
        assert result.seen == "action.auto_create_index is false"


def test_defaults_are_asked_for_as_well() -> None:
    asked = auto_create_side({})
    run_check("auto_create_index", asked)
    ((_, path, params, _),) = asked.cluster._cluster.requests  # type: ignore[attr-defined]
    assert (path, params["include_defaults"]) == ("/_cluster/settings", "true")
    assert params["filter_path"] == "*.action.auto_create_index"


def line_of(finding: Finding) -> dict[str, Any]:
    """The body that a line of curl sends."""
    remedies.check_line(finding.remedy)
    return dict(json.loads(finding.remedy[finding.remedy.index("'{") :].strip("'")))


def test_the_line_forbids_the_alias_alone_and_takes_a_passing_setting_away() -> None:
    finding = only(run_check("auto_create_index", auto_create_side({"transient": auto_create("logs-*,+*")})))
    assert (finding.what, finding.found) == ("action.auto_create_index", "logs-*,+*")
    assert line_of(finding) == {
        "persistent": {"action.auto_create_index": "-members-live,logs-*,+*"},
        "transient": {"action.auto_create_index": None},
    }


def test_two_environments_are_compared_by_what_the_setting_says_of_their_own_alias() -> None:
    here = auto_create_side({"persistent": auto_create("-members-live,+*")})
    there = auto_create_side({"persistent": auto_create("-staging-live,+*")}, "staging-live")
    assert run_check("auto_create_index", here, there).state == "passed"
    other = auto_create_side({"persistent": auto_create("-staging-live,-logs-*,+*")}, "staging-live")
    finding = only(run_check("auto_create_index", here, other))
    assert line_of(finding)["persistent"] == {"action.auto_create_index": "-members-live,-logs-*,+*"}


# Disks


def disk_side(
    store: Any,
    *free_gb: int,
    domain: str | None = None,
    total_gb: int = 100,
    settings: dict[str, Any] | None = None,
) -> Side:
    """``store``: GB of the index, or how OpenSearch refuses to tell them."""
    nodes = {
        f"node {number}": {
            "roles": ["data"],
            "fs": {"total": {"total_in_bytes": (total_gb + number) * GB, "available_in_bytes": free * GB}},
        }
        for number, free in enumerate(free_gb)
    }
    size = {"_all": {"total": {"store": {"size_in_bytes": store * GB if isinstance(store, int) else 0}}}}
    return side(
        {"opensearch": {"domain": domain}},
        **{
            "/members-live/_stats/store": store if isinstance(store, Exception) else size,
            "/_cluster/settings": {} if settings is None else {"persistent": {"cluster": {"routing": settings}}},
            "/_nodes/stats/fs": {"nodes": nodes} if nodes else {},
        },
    )


def disk(**settings: str) -> dict[str, Any]:
    """Settings of the watermark, by the last parts of their names."""
    found: dict[str, Any] = {"watermark": {"low": settings["low"]}} if "low" in settings else {}
    return {"allocation": {"disk": found | ({"threshold_enabled": settings["on"]} if "on" in settings else {})}}


@pytest.mark.parametrize(
    ("store_gb", "settings", "passes"),
    [
        (15, None, True),
        (16, None, False),
        (20, disk(low="80%"), False),
        (10, disk(low="80%"), True),
        (30, disk(on="false", low="80%"), True),
        (30, disk(on="FALSE"), True),
        (31, disk(on="false"), False),
        (30, disk(on="true", low="80%"), False),
        (15, disk(on="TRUE"), True),
        (16, disk(on="True"), False),
        (15, disk(low="15gb"), True),
    ],
)
def test_there_must_be_room_for_the_index_once_more_below_the_watermark_that_counts(
    store_gb: int, settings: dict[str, Any] | None, passes: bool
) -> None:
    result = run_check("free_disk", disk_side(store_gb, 30, settings=settings))
    assert (result.state == "passed") is passes, result
    if not passes:
        assert only(result).expected == f"{store_gb}.00 GiB for a second copy of members-live"


def test_where_there_is_no_index_yet_none_needs_room() -> None:
    missing = OpenSearchRequestError(404, "GET /members-live/_stats", "index_not_found_exception", "")
    result = run_check("free_disk", disk_side(missing, 0))
    assert (result.state, result.seen) == ("passed", "0.00 GiB free, 0.00 GiB for a second copy of members-live")


def test_an_index_that_does_not_tell_its_size_is_no_small_one() -> None:
    refused = OpenSearchRequestError(400, "GET /members-live/_stats", "illegal_argument_exception", "")
    assert only(run_check("free_disk", disk_side(refused, 0))).what == "OpenSearchRequestError"


def test_a_domain_grows_by_so_much_that_the_next_look_passes_whatever_lies_above_the_watermark() -> None:
    finding = only(run_check("free_disk", disk_side(60, 20, 30, domain=DOMAIN)))
    assert finding.found.endswith("GiB below the low watermark of 85%")
    size_gb = int(finding.remedy.partition('"VolumeSize":')[2].partition("}")[0])
    assert "--domain-name search " in finding.remedy
    remedies.check_line(finding.remedy)
    grown = [NodeDisk(total_bytes=size_gb * GB, available_bytes=(size_gb - used) * GB) for used in (80, 71)]
    assert usable_bytes(grown, "85%") >= 60 * GB
    lacking = 60 - (5 + 14.85)
    assert size_gb == pytest.approx(101 + lacking, abs=1), "two nodes share what is lacking, twice"
    assert size_gb >= 101 + lacking


@pytest.mark.parametrize(("free_gb", "domain"), [((1,), None), ((), DOMAIN)], ids=["no domain", "no data nodes"])
def test_where_nothing_can_be_told_of_a_domain_a_person_has_to_look(
    free_gb: tuple[int, ...], domain: str | None
) -> None:
    finding = only(run_check("free_disk", disk_side(60, *free_gb, domain=domain)))
    assert finding.remedy == (
        "curl -X GET 'https://search.example.com/_cat/allocation?v'; add a data node or a larger disk"
    )


# The index

MAPPINGS: dict[str, Any] = {"dynamic": "strict", "properties": {"points": {"type": "integer"}}}
AS_MADE = {"index.uuid": "u", "index.number_of_shards": "1", "index.number_of_replicas": "1"}


def index_side(
    settings: dict[str, Any] | None = None,
    *,
    file: dict[str, Any] | None = None,
    mappings: dict[str, Any] | None = None,
    canonical: Any = None,
    wanted: dict[str, Any] | None = None,
) -> Side:
    """An index with these settings more, and the file's beside; ``canonical``: the file in OpenSearch's own words."""
    found = {name: value for name, value in {**AS_MADE, **(settings or {})}.items() if value is not None}
    routes: dict[str, Any] = {
        "/_alias/members-live": {"members-v1": {"aliases": {"members-live": {}}}},
        "/members-v1": {"members-v1": {"mappings": mappings or MAPPINGS, "settings": found}},
    }
    made = side(**routes)
    made.cluster._cluster.canonical = canonical  # type: ignore[attr-defined]
    return replace(made, mapping=MappingFile("members.json", wanted or MAPPINGS, file or {}))


def paths_asked(one: Side) -> list[str]:
    return [f"{method} {path}" for method, path, _, _ in one.cluster._cluster.requests]  # type: ignore[attr-defined]


def test_an_index_that_is_word_for_word_as_its_file_needs_no_scratch_index_and_no_right_to_make_one() -> None:
    ready = index_side(mappings={**MAPPINGS, "_meta": {"made": "by us"}}, wanted={**MAPPINGS, "_meta": {"of": "file"}})
    assert run_check("index_mapping", ready).state == "passed"
    assert paths_asked(ready) == ["GET /_alias/members-live", "GET /members-v1"]


def test_a_file_in_other_words_than_opensearchs_is_tried_and_equal() -> None:
    short = index_side(wanted={"dynamic": "strict", "properties": {"points": {"type": "integer", "index": True}}})
    short.cluster._cluster.canonical = MAPPINGS  # type: ignore[attr-defined]
    assert run_check("index_mapping", short).state == "passed"
    assert [one.split("-scratch-")[0] for one in paths_asked(short)[2:]] == [
        "PUT /members-v1",
        "GET /members-v1",
        "DELETE /members-v1",
    ]


def test_a_mapping_file_that_opensearch_does_not_take_is_told_by_the_errors_type() -> None:
    refusal = OpenSearchRequestError(400, "PUT /x", "mapper_parsing_exception", "quotes a value")
    finding = only(run_check("index_mapping", index_side(mappings={"properties": {}}, canonical=refusal)))
    assert (finding.what, finding.found) == ("mapping file members.json", "refused: mapper_parsing_exception")
    assert finding.remedy == "correct include/mappings/members.json"


def test_of_many_fields_that_differ_the_first_are_told_and_the_others_counted() -> None:
    many = {"properties": {f"field{number:02}": {"type": "long"} for number in range(30)}}
    made = index_side(wanted=many, mappings={"properties": {}}, canonical=many)
    findings = run_check("index_mapping", made).findings
    assert (len(findings), findings[0].what, findings[-1].found) == (
        21,
        "mapping properties.field00",
        "10 more that differ",
    )


SETTING = "curl -X PUT https://search.example.com/members-v1/_settings -H 'Content-Type: application/json' -d "
REBUILD = """airflow dags trigger members_reindex --conf '{"mapping":"members.json"}'"""


@pytest.mark.parametrize(
    ("settings", "file", "told"),
    [
        ({}, {}, None),
        ({}, {"index.number_of_replicas": 1}, None),
        ({"index.number_of_shards": "2"}, {}, ("2", "1, as is the default", REBUILD)),
        ({"index.number_of_shards": "2"}, {"index.number_of_shards": 2}, None),
        ({"index.number_of_replicas": "0"}, {}, ("0", "1, as is the default", '{"index.number_of_replicas":"1"}')),
        (
            {"index.number_of_replicas": "0"},
            {"index.number_of_replicas": 2},
            ("0", "2, as in members.json", '{"index.number_of_replicas":2}'),
        ),
        (
            {"index.number_of_replicas": "0", "index.auto_expand_replicas": "0-all"},
            {"index.auto_expand_replicas": "0-all"},
            None,
        ),
        (
            {"index.number_of_replicas": "0", "index.auto_expand_replicas": "false"},
            {"index.auto_expand_replicas": "FALSE"},
            ("0", "1, as is the default", '{"index.number_of_replicas":"1"}'),
        ),
        (
            {"index.refresh_interval": "-1"},
            {},
            ("-1", "nothing, as is the default", '{"index.refresh_interval":null}'),
        ),
        (
            {},
            {"index.refresh_interval": "5s"},
            ("nothing", "5s, as in members.json", '{"index.refresh_interval":"5s"}'),
        ),
        ({"index.gc_deletes": "1h"}, {}, ("1h", "nothing, as is the default", '{"index.gc_deletes":null}')),
        ({"index.default_pipeline": "p"}, {}, ("p", "nothing, as is the default", '{"index.default_pipeline":null}')),
        ({"index.final_pipeline": "p"}, {}, ("p", "nothing, as is the default", '{"index.final_pipeline":null}')),
        (
            {"index.default_pipeline": "none"},
            {},
            ("none", "nothing, as is the default", '{"index.default_pipeline":null}'),
        ),
        ({"index.default_pipeline": "_none"}, {}, None),
        ({}, {"index.default_pipeline": "_none"}, None),
        ({"index.default_pipeline": "_none"}, {"index.default_pipeline": "p"}, ("_none", "p, as in members.json", "p")),
        ({"index.codec": "best_compression"}, {"index.codec": "default"}, ("best_compression", "default", REBUILD)),
        ({"index.sort.field": ["a"]}, {"index.sort.field": ["b"]}, ('["a"]', '["b"], as in members.json', REBUILD)),
        ({"index.store.type": "fs"}, {"index.store.type": "niofs"}, ("fs", "niofs", REBUILD)),
        ({"index.similarity.default.type": "a"}, {"index.similarity.default.type": "b"}, ("a", "b", REBUILD)),
        (
            {"index.mapping.nested_fields.limit": "5"},
            {"index.mapping.nested_fields.limit": 6},
            ("5", "6, as in members.json", REBUILD),
        ),
        ({}, {"index.number_of_routing_shards": 4}, ("nothing", "4, as in members.json", REBUILD)),
        ({}, {"index.routing_partition_size": 2}, ("nothing", "2, as in members.json", REBUILD)),
        ({}, {"index.analysis.filter.a.type": "stop"}, ("nothing", "stop, as in members.json", REBUILD)),
        ({"index.mapping.total_fields.limit": "9"}, {"index.mapping.total_fields.limit": 8}, ("9", "8", "limit")),
        ({"index.blocks.write": "true"}, {}, ("true", "nothing: the index takes no", '{"index.blocks.write":null}')),
        ({"index.blocks.read_only_allow_delete": "TRUE"}, {}, ("true", "nothing", "read_only_allow_delete")),
        ({"index.blocks.write": "false"}, {}, None),
    ],
)
def test_a_setting_is_held_against_the_file_or_the_default_with_the_way_to_set_it(
    settings: dict[str, Any], file: dict[str, Any], told: tuple[str, str, str] | None
) -> None:
    result = run_check("index_mapping", index_side(settings, file=file))
    if told is None:
        assert result.state == "passed", result
        return
    finding = only(result)
    found, expected, remedy = told
    assert (finding.found, finding.expected[: len(expected)]) == (found, expected)
    assert remedy in finding.remedy
    assert finding.remedy.startswith(SETTING) is (remedy != REBUILD)


def test_what_differs_between_any_two_indices_is_not_compared() -> None:
    own = {
        "index.uuid": "other",
        "index.creation_date": "5",
        "index.provided_name": "members-v2",
        "index.version.created": "9",
        "index.resize.source.name": "members-v0",
        "index.blocks.write": "false",
    }
    assert run_check("index_mapping", index_side(), index_side(own)).state == "passed"


def test_two_mappings_are_compared_leaf_by_leaf_empty_ones_as_well() -> None:
    here = index_side(mappings={"properties": {"a": {"type": "object", "properties": {}}}, "dynamic": "strict"})
    there = index_side(mappings={"properties": {"a": {"type": "nested"}}, "dynamic": "strict"})
    for one in (here, there):
        one.cluster._cluster.canonical = one.cluster._cluster.routes["/members-v1"]["members-v1"]["mappings"]  # type: ignore[attr-defined]
    findings = run_check("index_mapping", here, there).findings
    assert [(one.what, one.found, one.expected) for one in findings] == [
        ("mapping properties.a.properties, beside production", "{}", "nothing, as in production"),
        ("mapping properties.a.type, beside production", "object", "nested, as in production"),
    ]
    assert findings[1].remedy == f'in include/mappings/members.json: properties.a.type: "nested"; then {REBUILD}'


def test_a_setting_of_the_other_environment_comes_with_the_way_to_set_it_here() -> None:
    here, there = index_side(), index_side({"index.search.idle.after": "30s", "index.codec": "zstd"})
    findings = {one.what: one.remedy for one in run_check("index_mapping", here, there).findings}
    codec, idle = (
        findings[f"setting {name}, beside production"] for name in ("index.codec", "index.search.idle.after")
    )
    assert codec == f'in include/mappings/members.json: index.codec: "zstd"; then {REBUILD}'
    assert SETTING in idle


ALIASES = "/_alias/members-live"


@pytest.mark.parametrize(
    ("routes", "found", "remedy"),
    [
        ({"/members-live": {"members-live": {}}}, "is an index, not an alias", "remove_index"),
        (
            {ALIASES: {name: {"aliases": {"members-live": {}}} for name in ("members-v1", "members-v2")}},
            "leads to 2 indices: members-v1, members-v2",
            "Remove the alias from all but the right one",
        ),
        (
            {ALIASES: {"members-v1": {"aliases": {"members-live": {"is_write_index": False}}}}},
            "is_write_index: false",
            "Add it anew without that by POST _aliases",
        ),
        ({}, "nothing", "airflow dags trigger members_backfill"),
    ],
    ids=["an index", "two indices", "no write index", "nothing"],
)
def test_an_alias_that_leads_to_no_one_index_is_told_with_the_way_out(
    routes: dict[str, Any], found: str, remedy: str
) -> None:
    finding = only(run_check("index_mapping", side(**routes)))
    assert finding.what == "alias members-live"
    assert found in finding.found
    assert remedy in finding.remedy
