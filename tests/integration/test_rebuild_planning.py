"""A rebuild is planned on real servers: what stands in its way is told at once, and everything is left as it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.opensearch.index_state import read_index
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile, MappingRefusedError
from dynamo_opensearch.core.rebuild.next_index import NextIndexTakenError
from dynamo_opensearch.core.rebuild.plan import RebuildPlan
from dynamo_opensearch.core.rebuild.planning import RebuildRefusedError
from tests.integration.conftest import MakeRig
from tests.support.rebuild_rig import NEW_FILE, OLD_FILE, RebuildRig


@pytest.fixture
def rebuild(make_rig: MakeRig) -> RebuildRig:
    return RebuildRig(make_rig()).set_up()


Break = Callable[[RebuildRig], Any]


def settings(rebuild: RebuildRig, **changed: Any) -> None:
    rebuild.rig.call(
        f"{rebuild.rig.index}/_settings", "PUT", {name.replace("__", "."): v for name, v in changed.items()}
    )


def no_alias(rebuild: RebuildRig) -> None:
    rebuild.rig.call(f"{rebuild.rig.index}/_alias/{rebuild.rig.alias}", "DELETE")


def concrete_index(rebuild: RebuildRig) -> None:
    rebuild.rig.call(rebuild.rig.index, "DELETE")
    rebuild.rig.call(rebuild.rig.alias, "PUT", {"mappings": OLD_FILE.mappings})


def over_two(rebuild: RebuildRig) -> None:
    rebuild.rig.create_index(index=f"{rebuild.rig.base}-v2")


def takes_no_writes(rebuild: RebuildRig) -> None:
    add = {"index": rebuild.rig.index, "alias": rebuild.rig.alias, "is_write_index": False}
    rebuild.rig.call("_aliases", "POST", {"actions": [{"add": add}]})


def without_stream(rebuild: RebuildRig) -> None:
    rebuild.rig.boto.update_table(TableName=rebuild.rig.table, StreamSpecification={"StreamEnabled": False})


def other_key(rebuild: RebuildRig) -> None:
    rebuild.changes["key"] = ["memberId"]


def no_table(rebuild: RebuildRig) -> None:
    rebuild.rig.boto.delete_table(TableName=rebuild.rig.table)


def adopted(rebuild: RebuildRig) -> None:
    rebuild.source = "index"
    rebuild.rig.call(f"{rebuild.rig.index}/_mapping", "PUT", {"_meta": {}})


def other_rules(rebuild: RebuildRig) -> None:
    rebuild.source = "index"
    rebuild.changes["documents"] = {"exclude_fields": ["other"]}


def foreign_version(rebuild: RebuildRig) -> None:
    rebuild.source = "index"
    path = f"{rebuild.rig.index}/_doc/a?version=1800000000000&version_type=external&refresh=true"
    rebuild.rig.call(path, "PUT", {"id": "a"})


def filtered_source(rebuild: RebuildRig) -> None:
    rebuild.source = "index"
    rebuild.rig.call(rebuild.rig.index, "DELETE")
    rebuild.rig.create_index({**OLD_FILE.mappings, "_source": {"excludes": ["value"]}})


def pipeline(rebuild: RebuildRig) -> None:
    rebuild.source = "index"
    settings(rebuild, index__default_pipeline="upper")


def template(rebuild: RebuildRig) -> None:
    body = {"index_patterns": [f"{rebuild.rig.base}-v*"], "template": {"settings": {"number_of_shards": 3}}}
    rebuild.rig.call(f"_index_template/{rebuild.rig.base}", "PUT", body)


def next_in_use(rebuild: RebuildRig) -> None:
    rebuild.rig.create_index(
        index=f"{rebuild.rig.base}-v2", aliases={f"{rebuild.rig.alias}-next": {}, f"{rebuild.rig.base}-x": {}}
    )


def next_of_other_name(rebuild: RebuildRig) -> None:
    rebuild.rig.create_index(index=f"{rebuild.rig.base}-mine", aliases={f"{rebuild.rig.alias}-next": {}})


def next_over_two(rebuild: RebuildRig) -> None:
    for number in (2, 3):
        rebuild.rig.create_index(index=f"{rebuild.rig.base}-v{number}", aliases={f"{rebuild.rig.alias}-next": {}})


def bad_mapping(rebuild: RebuildRig) -> None:
    rebuild.mapping = MappingFile("bad.json", {"properties": {"id": {"type": "no_such_type"}}}, {})


def mapping_without_source(rebuild: RebuildRig) -> None:
    rebuild.mapping = replace(NEW_FILE, mappings={**NEW_FILE.mappings, "_source": {"enabled": False}})


def too_narrow(rebuild: RebuildRig) -> None:
    rebuild.mapping = MappingFile("narrow.json", {"dynamic": "strict", "properties": {"id": {"type": "keyword"}}}, {})


REFUSALS: list[tuple[Break, str]] = [
    (no_table, "table '.*' does not exist in region"),
    (other_key, r"has the key \['id'\], the target file says \['memberId'\]"),
    (without_stream, "has no stream, .*aws dynamodb update-table --table-name table-t.*StreamEnabled=true"),
    (no_alias, "alias 't.*-live' is not there, .*: fill a first one with t.*_backfill"),
    (concrete_index, "is an index, not an alias, .*_clone"),
    (over_two, "leads to 2 indices: .*Remove the alias from all but the right one"),
    (takes_no_writes, "is_write_index: false"),
    (lambda r: settings(r, index__blocks__write=True), "index.blocks.write: true already, .*Lift it: PUT"),
    (lambda r: settings(r, index__blocks__read_only_allow_delete=True), "read_only_allow_delete: true already"),
    (adopted, "was not made by this package, .*use source=table"),
    (other_rules, "were made by other field rules or another transform .*use source=table"),
    (foreign_version, "another unit than microseconds; 1 documents"),
    (filtered_source, "cannot be copied: its mapping filters _source: .*use source=table"),
    (pipeline, "cannot be copied: index.default_pipeline is 'upper'.*use source=table"),
    (template, "index templates match '.*-v2': a composable template"),
    (next_in_use, "carries the marker '.*-live-next' of a rebuild and the aliases .*-x as well"),
    (next_of_other_name, "-mine' carries the marker .*is not named .*-v and a number"),
    (next_over_two, "-live-next' leads to 2 indices"),
    (bad_mapping, "refuses mapping file 'bad.json': mapper_parsing_exception"),
    (mapping_without_source, "its mapping filters _source"),
    (too_narrow, "20 of 20 sample documents are refused: strict_dynamic_mapping_exception, field 'number'"),
]


@pytest.mark.parametrize(
    ("spoil", "message"), REFUSALS, ids=[getattr(spoil, "__name__", "") + message[:12] for spoil, message in REFUSALS]
)
def test_what_stands_in_the_way_is_told_and_everything_is_left_as_it_was(
    rebuild: RebuildRig, spoil: Break, message: str
) -> None:
    rebuild.plan()
    try:
        spoil(rebuild)
        before = rebuild.everything()
        with pytest.raises(RebuildRefusedError, match=f"(?s){message}"):
            rebuild.plan()
        assert rebuild.everything() == before
    finally:
        if spoil is template:
            rebuild.rig.call(f"_index_template/{rebuild.rig.base}", "DELETE")


def test_all_problems_are_told_at_once(rebuild: RebuildRig) -> None:
    without_stream(rebuild)
    other_rules(rebuild)
    too_narrow(rebuild)
    settings(rebuild, index__blocks__write=True, index__default_pipeline="upper")
    with pytest.raises(RebuildRefusedError) as refused:
        rebuild.plan()
    assert len(refused.value.problems) == 5
    assert str(refused.value).count("\n  - ") == 5


def test_a_plan_names_what_will_be_done_and_makes_nothing(rebuild: RebuildRig) -> None:
    rebuild.iterator_age_s = 12.0
    before = rebuild.everything()
    plan = rebuild.plan()
    assert rebuild.everything() == before
    assert (plan.from_index, plan.to_index) == (rebuild.rig.index, f"{rebuild.rig.base}-v2")
    assert (plan.resumes, plan.replaces_next, plan.samples) == (False, None, 20)
    assert plan.began_us - plan.follow_from_us == 312_000_000
    assert plan.mapping_changes == ("added: later (date)", "retyped: value (keyword to text)")
    assert RebuildPlan.from_json(plan.to_json()) == plan
    assert "the follower begins 312 s before this plan" in str(plan)
    rebuild.iterator_age_s = None
    assert rebuild.plan().follow_from_us == 0
    assert "at the stream's horizon" in str(rebuild.plan())


def test_an_old_index_that_would_spoil_a_copy_is_only_told_of_where_the_table_is_copied(rebuild: RebuildRig) -> None:
    filtered_source(rebuild)
    rebuild.source = "table"
    plan = rebuild.plan()
    assert "which is replaced: its mapping filters _source" in str(plan)


@pytest.mark.parametrize(
    "properties", [{"routing": "r1"}, {"filter": {"term": {"value": "first"}}}, {"is_write_index": True}]
)
def test_properties_of_the_alias_are_planned_and_the_marker_routes_as_the_alias(
    rebuild: RebuildRig, properties: dict[str, Any]
) -> None:
    add = {"index": rebuild.rig.index, "alias": rebuild.rig.alias, **properties}
    rebuild.rig.call("_aliases", "POST", {"actions": [{"add": add}]})
    plan = rebuild.plan()
    live = rebuild.rig.call(f"{rebuild.rig.index}/_alias/{rebuild.rig.alias}")
    assert plan.properties.to_json() == live[rebuild.rig.index]["aliases"][rebuild.rig.alias]
    rebuild.make(plan)
    marker = rebuild.rig.call(f"{plan.to_index}/_alias")[plan.to_index]["aliases"][plan.marker]
    assert marker == ({"index_routing": "r1"} if "routing" in properties else {})


def test_an_index_with_another_name_is_replaced_by_the_first_numbered_one(make_rig: MakeRig) -> None:
    rig = make_rig()
    rebuild = RebuildRig(rig).set_up(index=rig.base)
    plan = rebuild.plan()
    assert (plan.from_index, plan.to_index) == (rig.base, f"{rig.base}-v1")


def test_the_next_index_is_made_once_behind_its_marker_and_loosened(rebuild: RebuildRig) -> None:
    plan = rebuild.plan()
    prepared = rebuild.make(plan)
    assert rebuild.make(plan) == prepared
    assert rebuild.aliases() == {"-v1": ["-live"], "-v2": ["-live-next"]}
    state = read_index(rebuild.rig.patient, plan.to_index)
    assert state.settings["index.refresh_interval"] == "-1"
    assert state.note["source"] == f"table {rebuild.rig.table}"
    assert (state.note["run_id"], state.note["mapping_file"]) == ("run 1", "new.json")
    assert state.field_rules == rebuild.builder.rules


def test_the_run_that_made_it_or_one_after_it_has_ended_takes_the_next_index_on(rebuild: RebuildRig) -> None:
    rebuild.iterator_age_s = 60.0
    first = rebuild.plan()
    made = rebuild.make(first)
    assert rebuild.plan().resumes
    rebuild.run_id, rebuild.finished_runs = "run 2", {"run 1"}
    plan = rebuild.plan()
    assert (plan.resumes, plan.to_index, plan.replaces_next) == (True, made.index, None)
    assert plan.follow_from_us == first.follow_from_us > 0
    assert "it is kept, and copied to once more" in str(plan)
    assert rebuild.make(plan) == rebuild.make(plan) == made
    assert read_index(rebuild.rig.patient, made.index).note["run_id"] == "run 2"


@pytest.mark.parametrize("other", ["running", "rules", "mapping", "source", "table", "age", "routing"])
def test_a_next_index_that_does_not_fit_is_replaced(rebuild: RebuildRig, other: str) -> None:
    made = rebuild.make(rebuild.plan())
    rebuild.run_id, rebuild.finished_runs = "run 2", set() if other == "running" else {"run 1"}
    if other == "rules":
        rebuild.changes["documents"] = {"exclude_fields": ["other"]}
    if other == "mapping":
        rebuild.mapping = OLD_FILE
    if other == "source":
        rebuild.source = "index"
    if other in ("table", "age"):
        note = read_index(rebuild.rig.patient, made.index).note
        note |= {"table_id": "another"} if other == "table" else {"created_us": note["created_us"] - 21 * 3_600_000_000}
        rebuild.rig.call(f"{made.index}/_mapping", "PUT", {"_meta": {"dynamo_opensearch": note}})
    if other == "routing":
        add = {"index": rebuild.rig.index, "alias": rebuild.rig.alias, "routing": "r1"}
        rebuild.rig.call("_aliases", "POST", {"actions": [{"add": add}]})
    plan = rebuild.plan()
    assert (plan.resumes, plan.replaces_next, plan.to_index) == (False, made.index, f"{rebuild.rig.base}-v3")
    assert "is removed first" in str(plan)
    assert rebuild.make(plan) == rebuild.make(plan)
    assert rebuild.aliases() == {"-v1": ["-live"], "-v3": ["-live-next"]}


def test_a_replacement_that_was_killed_after_taking_the_marker_is_finished(rebuild: RebuildRig) -> None:
    made = rebuild.make(rebuild.plan())
    rebuild.run_id = "run 2"
    plan = rebuild.plan()
    rebuild.rig.call(f"{made.index}/_alias/{plan.marker}", "DELETE")
    rebuild.make(plan)
    assert rebuild.aliases() == {"-v1": ["-live"], "-v3": ["-live-next"]}


def test_an_index_of_the_same_name_that_is_not_the_planned_one_is_never_removed(rebuild: RebuildRig) -> None:
    made = rebuild.make(rebuild.plan())
    rebuild.run_id = "run 2"
    plan = rebuild.plan()
    rebuild.rig.call(made.index, "DELETE")
    rebuild.rig.create_index(index=made.index, aliases={})
    rebuild.make(plan)
    assert rebuild.aliases() == {"-v1": ["-live"], "-v2": [], "-v3": ["-live-next"]}


def test_an_index_that_was_put_to_use_since_the_plan_is_never_removed(rebuild: RebuildRig) -> None:
    made = rebuild.make(rebuild.plan())
    rebuild.run_id = "run 2"
    plan = rebuild.plan()
    rebuild.rig.swap(made.index)
    with pytest.raises(NextIndexTakenError, match="it has come to carry"):
        rebuild.make(plan)
    assert rebuild.aliases()["-v2"] == ["-live"]


def test_a_resumed_index_that_went_away_or_was_made_anew_stops_the_run(rebuild: RebuildRig) -> None:
    made = rebuild.make(rebuild.plan())
    plan = rebuild.plan()
    rebuild.rig.call(made.index, "DELETE")
    with pytest.raises(NextIndexTakenError, match="was removed"):
        rebuild.make(plan)
    rebuild.rig.create_index(index=made.index, aliases={plan.marker: {}})
    with pytest.raises(NextIndexTakenError, match="was made anew"):
        rebuild.make(plan)


def test_a_marker_on_two_indices_stops_the_run(rebuild: RebuildRig) -> None:
    plan = rebuild.plan()
    rebuild.rig.create_index(index=f"{rebuild.rig.base}-v9", aliases={plan.marker: {}})
    with pytest.raises(Exception, match="leads to 2 indices"):
        rebuild.make(plan)


def test_a_mapping_refused_at_the_making_is_told(rebuild: RebuildRig) -> None:
    plan = rebuild.plan()
    bad_mapping(rebuild)
    with pytest.raises(MappingRefusedError):
        rebuild.make(plan)
