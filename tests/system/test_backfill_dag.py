"""The backfill from end to end in a running Airflow, judged by what DynamoDB and OpenSearch hold afterwards."""

import json
import os
import signal
import urllib.error
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from tests.support import oracle
from tests.system.airflow_deployment import DAG_ID, Deployment, deployed, wait_for
from tests.system.member_writer import Writer
from tools.local import members

ITEMS = 6_000


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("backfill")) as started:
        yield started


@pytest.fixture(autouse=True)
def fresh(deployment: Deployment) -> Iterator[None]:
    path = deployment.include / "targets" / "members.yaml"
    before = path.read_text()
    deployment.forget_everything(ITEMS)
    yield
    path.write_text(before)


def table_documents(deployment: Deployment) -> dict[str, oracle.Plain]:
    """Every item as the document that it should be."""
    return oracle.expected(deployment.dynamodb, members.TABLE, lambda item: str(item["memberId"]))


def index_documents(deployment: Deployment) -> dict[str, oracle.Plain]:
    """Every document behind the alias."""
    return oracle.documents(deployment.search.url, "members-live")


def assert_both_sides_equal(deployment: Deployment) -> None:
    assert oracle.differences(table_documents(deployment), index_documents(deployment)) == []


def test_backfill_fills_a_new_index_behind_the_alias_and_reports_what_the_servers_hold(deployment: Deployment) -> None:
    run_id = deployment.start(segments=3)

    assert deployment.finish(run_id) == "success"
    assert_both_sides_equal(deployment)
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert settings["index.refresh_interval"] == "1s"
    assert settings["index.number_of_replicas"] == "1"
    assert "index.gc_deletes" not in settings
    report = deployment.returned(run_id, "verify")
    assert (report["scanned"], report["offered"], report["indexed"]) == (ITEMS, ITEMS, ITEMS)
    assert (report["table_count"], report["index_count"]) == (ITEMS, ITEMS)
    assert differences(report) == {}
    assert "table and index have the same keys" in deployment.log(run_id, "verify")
    assert "members-v1, keys: equal" in deployment.log(run_id, "compare")
    assert asset_events(deployment, run_id) == [report]


def differences(report: dict[str, Any]) -> dict[str, int]:
    """What the comparison found, without the zeros."""
    names = ("missing", "orphaned", "refused_by_rules", "in_motion", "mended")
    return {name: report[name] for name in names if report[name]}


def asset_events(deployment: Deployment, run_id: str) -> list[dict[str, Any]]:
    """What the index asset's events of this run carry."""
    events = deployment.airflow.call("/assets/events?name_pattern=members-live")["asset_events"]
    return [event["extra"] for event in events if event["source_run_id"] == run_id]


def test_killed_copy_goes_on_where_it_was_acknowledged_and_counts_nothing_twice(deployment: Deployment) -> None:
    limit = 100
    deployment.change_target(lambda text: text.replace("budgets:", f"budgets:\n  scan_limit: {limit}"))
    # Two pages a second for each of two tasks: MiniStack says half a unit for such a page.
    run_id = deployment.start(segments=2, read_units_per_s=2)

    def some_way_in() -> tuple[dict[str, Any], int] | None:
        for task in deployment.tasks(run_id, "copy"):
            saved = deployment.airflow.state(task, "progress")
            if saved and 15 * limit <= saved["scanned"] <= ITEMS / 2 - 5 * limit and task["pid"]:
                return task, saved["scanned"]
        return None

    victim, scanned_before = wait_for(some_way_in, 60, "a copy task that is some way in")
    documents_before = deployment.search_call("/members-v1/_stats/indexing")["_all"]["total"]["indexing"]["index_total"]
    os.kill(victim["pid"], signal.SIGKILL)

    assert documents_before >= scanned_before
    assert deployment.finish(run_id) == "success"
    assert_both_sides_equal(deployment)
    tries = {task["map_index"]: task["try_number"] for task in deployment.tasks(run_id, "copy")}
    assert tries[victim["map_index"]] == 2
    report = deployment.returned(run_id, "verify")
    assert (report["scanned"], report["offered"]) == (ITEMS, ITEMS)
    assert report["indexed"] + report["stale"] == ITEMS
    written = deployment.search_call("/members-v1/_stats/indexing")["_all"]["total"]["indexing"]["index_total"]
    read_again = written - ITEMS
    in_flight = 4 * limit  # requests_in_flight, each with one page
    not_saved_yet = 6 * limit  # a second's pages, and what a busy machine adds
    assert read_again <= in_flight + not_saved_yet < scanned_before
    assert "goes on after" in deployment.log(run_id, "copy")


def test_dry_run_ends_after_the_plan_and_writes_nothing(deployment: Deployment) -> None:
    run_id = deployment.start(dry_run=True)

    assert deployment.finish(run_id) == "success"
    assert deployment.states(run_id) == {
        "preflight": {"success"},
        "plan": {"success"},
        "prepare_index": {"skipped"},
        "copy": {"skipped"},
        "restore_settings": {"skipped"},
        "check_rejects": {"skipped"},
        "compare": {"skipped"},
        "verify": {"skipped"},
        "confirm": {"success"},
    }
    assert f"about {ITEMS:,} items" in deployment.log(run_id, "plan")
    assert deployment.search_call("/members-*") == {}


def test_a_dry_run_whose_plan_is_refused_is_red(deployment: Deployment) -> None:
    run_id = deployment.start(dry_run=True, index="no-such-index")

    assert deployment.finish(run_id) == "failed"
    assert deployment.states(run_id)["plan"] == {"failed"}


def test_rejected_documents_fail_the_run_at_its_end_and_name_reasons_and_file_without_values(
    deployment: Deployment,
) -> None:
    wrong = {"memberId": {"S": "wrong-1"}, "points": {"S": "not-a-number-4711"}, "tags": {"SS": ["a"]}}
    deployment.dynamodb.put_item(TableName=members.TABLE, Item=wrong)

    run_id = deployment.start()

    assert deployment.finish(run_id) == "failed"
    states = deployment.states(run_id)
    assert (states["copy"], states["check_rejects"]) == ({"success"}, {"failed"})
    assert (states["compare"], states["verify"]) == ({"upstream_failed"}, {"upstream_failed"})
    assert asset_events(deployment, run_id) == []
    log = deployment.log(run_id, "check_rejects")
    assert "1 documents were refused for good" in log
    assert "field 'points', expected integer" in log
    assert "4711" not in log + deployment.log(run_id, "copy")
    (file,) = (deployment.airflow_home / "reports").rglob("part-*.ndjson")
    assert "not-a-number-4711" in file.read_text()
    assert str(file.parent) in log
    expected = table_documents(deployment)
    del expected["wrong-1"]
    assert oracle.differences(expected, index_documents(deployment)) == []
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert settings["index.refresh_interval"] == "1s"


def test_copy_that_fails_for_good_puts_the_settings_back_and_the_run_is_red(deployment: Deployment) -> None:
    deployment.change_target(
        lambda text: text.replace("budgets:", "budgets:\n  scan_limit: 50").replace("retry_delay_s: 1", "retries: 0")
    )
    run_id = deployment.start(segments=1, read_units_per_s=2)
    wait_for(lambda: deployment.states(run_id).get("copy", set()) & {"running"} or None, 60, "the copy to run")
    wait_for(lambda: _documents(deployment) or None, 60, "the first documents")

    deployment.dynamodb.delete_table(TableName=members.TABLE)

    assert deployment.finish(run_id) == "failed"
    states = deployment.states(run_id)
    assert (states["copy"], states["restore_settings"], states["verify"]) == (
        {"failed"},
        {"success"},
        {"upstream_failed"},
    )
    assert "table 'members' does not exist in region 'eu-central-1'" in deployment.log(run_id, "copy")
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert settings["index.refresh_interval"] == "1s"


def test_run_that_a_person_stops_halfway_puts_the_settings_back(deployment: Deployment) -> None:
    deployment.change_target(lambda text: text.replace("budgets:", "budgets:\n  scan_limit: 50"))
    run_id = deployment.start(segments=1, read_units_per_s=2)
    wait_for(lambda: _documents(deployment) or None, 60, "the first documents")
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert settings["index.refresh_interval"] == "-1"

    deployment.airflow.call(f"/dags/{DAG_ID}/dagRuns/{run_id}", method="PATCH", body={"state": "failed"})

    wait_for(lambda: deployment.states(run_id)["restore_settings"] & {"success"} or None, 90, "the settings")
    settings = deployment.search_call("/members-v1/_settings?flat_settings=true")["members-v1"]["settings"]
    assert settings["index.refresh_interval"] == "1s"
    assert deployment.finish(run_id) == "failed"


def _documents(deployment: Deployment) -> int:
    stats = deployment.search_call("/_stats/indexing")["indices"].get("members-v1")
    return int(stats["total"]["indexing"]["index_total"]) if stats else 0


def test_cleared_copy_that_had_finished_begins_anew(deployment: Deployment) -> None:
    run_id = deployment.start(segments=1)
    assert deployment.finish(run_id) == "success"
    assert _documents(deployment) == ITEMS

    clear(deployment, run_id, "copy")

    assert deployment.finish(run_id) == "success"
    assert _documents(deployment) == 2 * ITEMS
    assert_both_sides_equal(deployment)


def test_what_is_written_while_it_runs_and_indexed_by_nobody_is_brought_in_the_end(deployment: Deployment) -> None:
    deployment.change_target(lambda text: text.replace("budgets:", "budgets:\n  max_repairs: 1"))
    with Writer(deployment.dynamodb, first=ITEMS, changed=0) as writer:
        run_id = deployment.start(segments=2)
        state = deployment.finish(run_id)

    assert state == "success"
    assert writer.changes_per_s > 10, "the writer has to keep writing all the time"
    report = deployment.returned(run_id, "verify")
    assert report["table_count"] > report["index_count"] >= ITEMS
    assert differences(report) == {"mended": report["table_count"] - report["index_count"]}
    table, index = table_documents(deployment), index_documents(deployment)
    assert len(index) == report["table_count"]
    assert oracle.differences({key: table[key] for key in index}, index) == []
    assert table.keys() - index.keys() <= set(writer.created)


def test_ghost_and_a_document_lost_behind_the_copys_back_are_mended_though_the_comparison_is_killed(
    deployment: Deployment,
) -> None:
    assert deployment.finish(deployment.start()) == "success"
    put_ghost(deployment)
    run_id = deployment.start()

    def comparing() -> dict[str, Any] | None:
        (task,) = deployment.tasks(run_id, "compare")
        is_looking = task["state"] == "running" and task["pid"]
        return task if is_looking and "looking at them again" in deployment.log(run_id, "compare") else None

    victim = wait_for(comparing, 120, "the comparison to look at what differs")
    os.kill(victim["pid"], signal.SIGKILL)

    assert deployment.finish(run_id) == "success"
    (task,) = deployment.tasks(run_id, "compare")
    assert task["try_number"] == 2
    assert differences(deployment.returned(run_id, "verify")) == {"mended": 1}
    assert_both_sides_equal(deployment)

    lost = members.member(7)["memberId"]
    deployment.search_call(f"/members-live/_doc/{lost}?refresh=true", "DELETE")
    clear(deployment, run_id, "compare")

    assert deployment.finish(run_id) == "success"
    report = deployment.returned(run_id, "verify")
    assert (differences(report), report["index_count"]) == ({"mended": 1}, ITEMS - 1)
    assert "1 missing" in deployment.log(run_id, "verify")
    assert_both_sides_equal(deployment)


def put_ghost(deployment: Deployment) -> None:
    """A document whose item is not in the table."""
    ghost = members.member(1) | {"memberId": "ghost-1"}
    body = json.dumps(ghost, default=lambda value: sorted(value) if isinstance(value, set) else float(value))
    deployment.search_call("/members-live/_doc/ghost-1?refresh=true", "PUT", json.loads(body))


def clear(deployment: Deployment, run_id: str, task_id: str) -> None:
    """Clear a task and what comes after it, as a person does, and wait until the run goes on."""
    body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "include_downstream": True}
    deployment.airflow.call(f"/dags/{DAG_ID}/clearTaskInstances", method="POST", body=body | {"only_failed": False})
    wait_for(lambda: deployment.airflow.run_state(DAG_ID, run_id) not in ("success", "failed") or None, 30, "the clear")


def test_more_ghosts_than_may_be_mended_fail_the_run_with_numbers_and_the_next_step_and_none_is_deleted(
    deployment: Deployment,
) -> None:
    assert deployment.finish(deployment.start()) == "success"
    gone = [members.member(number)["memberId"] for number in range(1_001)]
    for start in range(0, len(gone), 25):
        requests = [{"DeleteRequest": {"Key": {"memberId": {"S": name}}}} for name in gone[start : start + 25]]
        deployment.dynamodb.batch_write_item(RequestItems={members.TABLE: requests})
    run_id = deployment.start()

    assert deployment.finish(run_id) == "failed"
    states = deployment.states(run_id)
    assert (states["check_rejects"], states["compare"], states["verify"]) == (
        {"success"},
        {"failed"},
        {"upstream_failed"},
    )
    (task,) = deployment.tasks(run_id, "compare")
    assert task["try_number"] == 1, "what a retry cannot mend is not tried again"
    log = deployment.log(run_id, "compare")
    assert "1,001 orphaned in the index; 0 differences are allowed" in log
    assert "At most 1,000 documents are mended unasked" in log
    assert "reconciliation with depth `keys` and repair `apply`" in log
    assert asset_events(deployment, run_id) == []
    assert index_documents(deployment).keys() == {*gone, *table_documents(deployment)}


@pytest.mark.parametrize(
    ("conf", "rule"),
    [
        ({"segments": 0}, "minimum"),
        ({"segments": 2_000_000}, "maximum"),
        ({"read_units_per_s": 0}, "minimum"),
        ({"index": "-Bad"}, "does not match"),
    ],
)
def test_parameters_out_of_bounds_are_refused_when_triggered(
    deployment: Deployment, conf: dict[str, object], rule: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        deployment.start(**conf)

    assert refused.value.code == 400
    assert rule in refused.value.read().decode()


@pytest.mark.parametrize(
    ("fault", "task_id", "message"),
    [
        ("table missing", "preflight", "table members: nothing"),
        ("wrong key", "preflight", "key: memberId"),
        ("red cluster", "preflight", "health: red, 1 shards without a node"),
        ("concrete index", "plan", "'members-live' is an index, not an alias"),
        ("two indices", "plan", "alias 'members-live' leads to 2 indices: members-a, members-b"),
        ("another mapping", "plan", "mapping: properties.points.type is 'long' in the index, 'integer' in the file"),
        ("foreign index", "plan", "carries none of the aliases"),
    ],
)
def test_bad_input_is_refused_at_once_and_everything_left_as_it_was(
    deployment: Deployment, fault: str, task_id: str, message: str
) -> None:
    conf: dict[str, object] = {}
    if fault == "table missing":
        deployment.dynamodb.delete_table(TableName=members.TABLE)
    elif fault == "wrong key":
        deployment.change_target(lambda text: text.replace("key: [memberId]", "key: [email]"))
    elif fault == "red cluster":
        nowhere = {"settings": {"index.routing.allocation.require._name": "nobody", "index.number_of_replicas": 0}}
        deployment.search_call("/members-elsewhere?wait_for_active_shards=0", "PUT", nowhere)
    elif fault == "concrete index":
        deployment.search_call("/members-live", "PUT", {})
    elif fault == "two indices":
        for index in ("members-a", "members-b"):
            deployment.search_call(f"/{index}", "PUT", {"aliases": {"members-live": {}}})
    elif fault == "another mapping":
        body = json.loads((deployment.include / "mappings" / "members.json").read_text())
        body["mappings"]["properties"]["points"]["type"] = "long"
        deployment.search_call("/members-v1", "PUT", body | {"aliases": {"members-live": {}}})
    else:
        deployment.search_call("/members-other", "PUT", {})
        conf["index"] = "members-other"
    before = set(deployment.search_call("/members*"))

    run_id = deployment.start(**conf)

    assert deployment.finish(run_id) == "failed"
    (refused,) = deployment.tasks(run_id, task_id)
    assert refused["state"] == "failed"
    assert refused["try_number"] == 1, "what a retry cannot mend is not tried again"
    assert message in deployment.log(run_id, task_id)
    assert set(deployment.search_call("/members*")) == before
    assert all(_count(deployment, index) == 0 for index in before - {"members-elsewhere"})


def _count(deployment: Deployment, index: str) -> int:
    return int(deployment.search_call(f"/{index}/_count")["count"])


def test_no_key_item_or_credential_is_in_any_log(deployment: Deployment) -> None:
    run_id = deployment.start(segments=2)
    assert deployment.finish(run_id) == "success"

    logs = Path(deployment.airflow_home / "logs").rglob("*.log")
    text = "\n".join(path.read_text(errors="replace") for path in logs)

    assert "Filling up the DagBag" in text
    for number in (0, 1, ITEMS - 1):
        member = members.member(number)
        assert member["memberId"] not in text
        assert member["email"] not in text
    assert "Signature=" not in text
    assert "Credential=" not in text


def order(customer: int, number: int) -> dict[str, Any]:
    """An item of the shop's table, with all that the sample target leaves out, renames, flattens and computes."""
    return {
        "PK": f"CUSTOMER#{customer}|%",
        "SK": f"ORDER#{number:04d}",
        "entity": "order",
        "status": "open",
        "orderedAt": "2026-01-02T03:04:05Z",
        "internalNote": "not for readers",
        "customer": {"name": f"Customer {customer}", "country": "DE"},
        "lines": [{"sku": "a", "quantity": number, "price": Decimal("1.25")}, {"sku": "b", "quantity": 1, "price": 2}],
    }


def shop(dynamodb: Any, orders: list[dict[str, Any]]) -> None:
    """The table with these orders, and items beside each that do not belong."""
    keys = [("PK", "HASH"), ("SK", "RANGE")]
    dynamodb.create_table(
        TableName="shop",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    serialize = TypeSerializer().serialize
    for one in orders:
        others = [{**one, "SK": "PROFILE"}, {**one, "SK": one["SK"] + "x", "entity": "draft"}]
        others.append({**one, "SK": one["SK"] + "y", "deletedAt": "2026-02-02"})
        for item in (one, *others):
            dynamodb.put_item(TableName="shop", Item={name: serialize(value) for name, value in item.items()})


def test_sample_target_with_composite_key_filter_routing_and_transform_is_filled(deployment: Deployment) -> None:
    orders = [order(customer, number) for customer in range(5) for number in range(1, 41)]
    shop(deployment.dynamodb, orders)
    deployment.airflow.wait_for_dag("orders_backfill")
    deployment.airflow.unpause("orders_backfill")

    run_id = deployment.airflow.trigger("orders_backfill", {"segments": 2})

    assert deployment.finish(run_id, dag_id="orders_backfill") == "success"
    expected = {
        f"{one['PK'].replace('%', '%25').replace('|', '%7C')}|{one['SK']}": {
            "customerKey": one["PK"],
            "orderId": one["SK"],
            "entity": "order",
            "status": "open",
            "orderedAt": one["orderedAt"],
            "customer_name": one["customer"]["name"],
            "customer_country": "DE",
            "lines": one["lines"],
            "total": one["lines"][0]["quantity"] * Decimal("1.25") + 2,
        }
        for one in orders
    }
    assert oracle.differences(expected, oracle.documents(deployment.search.url, "orders-live")) == []
    routed = deployment.search_call("/orders-live/_search?size=1")["hits"]["hits"][0]
    assert routed["_routing"] == routed["_source"]["customerKey"]
    verify = f"/dags/orders_backfill/dagRuns/{run_id}/taskInstances/verify/xcomEntries/return_value?map_index=-1"
    value = deployment.airflow.call(verify)["value"]
    report = json.loads(value) if isinstance(value, str) else value
    assert (report["offered"], report["table_count"], report["index_count"]) == (200, 200, 200)
    assert report["skipped"] == report["scanned"] - 200 == 5 + 2 * 200
