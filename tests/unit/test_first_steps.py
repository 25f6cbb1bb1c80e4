"""The checks that a run makes first: few calls, a second look, and what stops a run or does not."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError
from dynamo_opensearch.core.preflight.checklist import CHECKS, FIRST_STEPS, LOOK_AGAIN_AFTER_S, run_check, run_checks
from dynamo_opensearch.core.preflight.findings import CheckResult, Finding
from dynamo_opensearch.core.preflight.report import FirstStepError, check_first_step
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.operators import preflight
from dynamo_opensearch.operators.preflight import PreflightOperator
from tests.support.adapters import FakeInstance
from tests.support.fake_cluster import FakeCluster
from tests.support.scripted_control_plane import scripted_side

HEALTH: dict[str, Any] = {"status": "green", "number_of_data_nodes": 1, "unassigned_shards": 0}
TOTAL = {"total_in_bytes": 100 * 2**30, "available_in_bytes": 90 * 2**30}
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
TABLE: dict[str, Any] = {
    "TableStatus": "ACTIVE",
    "KeySchema": [{"AttributeName": "memberId", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "memberId", "AttributeType": "S"}],
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
    "StreamSpecification": STREAM,
}
ALL = FIRST_STEPS["reindex"]


def cluster(**routes: Any) -> FakeCluster:
    """A cluster that is well; ``routes``: what it answers instead, by the end of the path."""
    answers = {
        "/": {"version": {"distribution": "opensearch", "number": "3.8.0"}},
        "/_cluster/health": HEALTH,
        "/_cluster/settings": {},
        "/_nodes": {"nodes": {"a": {"version": "3.8.0"}}},
        "/_nodes/stats/fs": {"nodes": {"a": {"roles": ["data"], "fs": {"total": TOTAL}}}},
        "/members-live/_stats/store": {"_all": {"total": {"store": {"size_in_bytes": 1}}}},
    }
    found = FakeCluster()
    found.routes.update(answers | {f"/{path}": answer for path, answer in routes.items()})
    return found


def side(table: Any = TABLE, settings: Any = None, **routes: Any) -> Side:
    described = table if isinstance(table, Exception) else {"Table": table}
    return scripted_side({"dynamodb.describe_table": described}, settings, cluster(**routes))


def slept_s(one: Side) -> float:
    return float(sum(one.clock.slept))  # type: ignore[attr-defined]


def states(results: list[CheckResult]) -> dict[str, str]:
    return {one.check: one.state for one in results}


def in_turn(*answers: Any) -> Callable[..., Any]:
    """One after the other, and the last for ever."""
    left = list(answers)

    def answer(*_: Any, **__: Any) -> Any:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def test_the_checks_of_a_first_step_are_some_of_the_checklist_in_its_order() -> None:
    assert FIRST_STEPS == {
        "backfill": ("reachability", "cluster", "table"),
        "reindex": ("reachability", "cluster", "free_disk", "table", "stream"),
        "cutover": (
            "reachability",
            "cluster",
            "auto_create_index",
            "table",
            "roles",
            "vpc_endpoint",
            "cognito",
            "dead_letters",
            "dead_letter_alarm",
        ),
    }
    for names in FIRST_STEPS.values():
        assert sorted(names, key=list(CHECKS).index) == list(names)


def test_where_all_is_well_each_is_made_once_and_nothing_is_waited_for() -> None:
    ready = side()
    assert states(run_checks(ALL, ready)) == dict.fromkeys(ALL, "passed")
    assert slept_s(ready) == 0
    assert ready.aws.asked == 2 * ["dynamodb.describe_table"]  # type: ignore[attr-defined]


def test_expiry_and_recovery_are_not_asked_for_though_the_target_file_names_them() -> None:
    named = {"table_settings": {"ttl_attribute": "expiresAt", "point_in_time_recovery": True}}
    ready = side(settings=named)
    assert states(run_checks(["table"], ready)) == {"table": "passed"}
    assert ready.aws.asked == ["dynamodb.describe_table"]  # type: ignore[attr-defined]


def test_the_version_is_left_to_the_plan_which_knows_what_its_dag_needs() -> None:
    old = side(_nodes={"nodes": {"a": {"version": "2.8.0"}}})
    assert states(run_checks(["cluster"], old)) == {"cluster": "passed"}
    assert run_check("cluster", old).findings[0].what == "version"


def test_a_full_disk_stops_a_rebuild_and_not_a_backfill() -> None:
    full = side(**{"members-live/_stats/store": {"_all": {"total": {"store": {"size_in_bytes": 2**40}}}}})
    assert states(run_checks(FIRST_STEPS["reindex"], full)) == {**dict.fromkeys(ALL, "passed"), "free_disk": "failed"}
    assert set(states(run_checks(FIRST_STEPS["backfill"], full)).values()) == {"passed"}


def test_what_describe_table_tells_is_held_against_the_target_file() -> None:
    named = {"table_settings": {"billing_mode": "PROVISIONED", "attributes": {"memberId": "N"}}}
    (result,) = run_checks(["table"], side(settings=named))
    assert [one.what for one in result.findings] == ["type of attribute memberId", "billing mode"]


def test_what_failed_is_looked_at_once_more_three_seconds_later() -> None:
    again = side(**{"_cluster/health": in_turn({**HEALTH, "status": "red"}, HEALTH)})
    assert states(run_checks(ALL, again)) == dict.fromkeys(ALL, "passed")
    assert slept_s(again) == LOOK_AGAIN_AFTER_S == 3
    assert again.aws.asked == 2 * ["dynamodb.describe_table"], "what passed is not"  # type: ignore[attr-defined]


def test_what_failed_twice_has_failed() -> None:
    red = side(**{"_cluster/health": in_turn({**HEALTH, "status": "red"})})
    assert states(run_checks(ALL, red))["cluster"] == "failed"
    assert slept_s(red) == LOOK_AGAIN_AFTER_S


def test_what_another_check_blocked_is_looked_at_again_as_well() -> None:
    refused = AccessDeniedError("OpenSearch", "GET", "/", "401")
    main = {"version": {"distribution": "opensearch", "number": "3.8.0"}}
    late = side(**{"": in_turn(refused, refused, main)})
    results = run_checks(ALL, late)
    assert states(results) == dict.fromkeys(ALL, "passed")
    assert [one.check for one in results] == list(ALL), "in their order"


def test_what_may_not_be_asked_is_not_asked_twice() -> None:
    refused = side(AccessDeniedError("dynamodb", "dynamodb:DescribeTable", "members", "AccessDeniedException"))
    results = {one.check: one for one in run_checks(ALL, refused)}
    assert results["table"].is_untold
    assert results["stream"].is_untold
    assert not results["cluster"].is_untold
    assert slept_s(refused) == 0


def test_an_answer_that_is_none_that_is_known_is_left_to_the_plan() -> None:
    odd = OpenSearchRequestError(404, "GET /_nodes/stats/fs", "unknown", "")
    results = {one.check: one for one in run_checks(ALL, side(**{"_nodes/stats/fs": odd}))}
    assert (results["free_disk"].state, results["free_disk"].is_untold) == ("failed", True)
    check_first_step("members", "production", list(results.values()))


def test_a_service_that_is_busy_is_left_to_airflow() -> None:
    with pytest.raises(ServiceUnavailableError):
        run_checks(ALL, side(ServiceUnavailableError("dynamodb", "DescribeTable", 3, 30.0, "ThrottlingException")))


FINDING = Finding(what="health", found="red", expected="green", remedy="curl -X GET explain")


def of(check: str, state: Any, *, is_untold: bool = False) -> CheckResult:
    findings = (FINDING,) if state == "failed" else ()
    return CheckResult(check=check, state=state, seen="what was seen", findings=findings, is_untold=is_untold)


def test_only_what_failed_stops_a_run() -> None:
    fine = [of("cluster", "passed"), of("table", "failed", is_untold=True), of("stream", "blocked")]
    check_first_step("members", "production", fine)
    with pytest.raises(FirstStepError) as raised:
        check_first_step("members", "production", [*fine, of("reachability", "failed")])
    said = str(raised.value)
    assert "target 'members' is not ready in 'production': reachability failed. Nothing has been changed." in said
    assert "curl -X GET explain" in said
    assert "docs/runbook.md" in said
    assert str(pickle.loads(pickle.dumps(raised.value))) == said


def test_that_a_check_was_refused_survives_xcom() -> None:
    refused = of("table", "failed", is_untold=True)
    assert CheckResult.from_json(refused.to_json()) == refused


def run(monkeypatch: pytest.MonkeyPatch, one: Side) -> Any:
    def side_of(target: str, environment: str | None) -> Side:
        assert (target, environment) == ("members", None)
        return one

    monkeypatch.setattr(preflight, "side_of", side_of)
    operator = PreflightOperator(task_id="preflight", target="members", checks=ALL)
    return operator.execute(FakeInstance().context)


def test_the_task_says_whom_it_acts_as_and_what_it_saw(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(monkeypatch, side())
    assert [one["check"] for one in results] == list(ALL)
    said = [line for line in capsys.readouterr().out.splitlines() if "outside of the Task Runner" not in line]
    assert "target members acts on account 123456789012" in said[0]
    assert [name for name in ALL if f"{name} passed" in "\n".join(said[1:])] == list(ALL)
    assert "[warning" not in "\n".join(said)


def test_the_task_fails_at_once_with_the_table_where_a_check_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = side({**TABLE, "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}]})
    with pytest.raises(AirflowFailException) as raised:
        run(monkeypatch, wrong)
    said = str(raised.value)
    assert "table failed. Nothing has been changed" in said
    row = next(line for line in said.splitlines() if line.startswith("table "))
    assert [cell.strip() for cell in row.split("|")][:4] == ["table", "failed", "key: email", "memberId"]


def test_the_task_warns_of_what_may_not_be_asked_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = side(**{"_cluster/health": AccessDeniedError("OpenSearch", "GET", "/_cluster/health", "403")})
    assert [one["state"] for one in run(monkeypatch, refused)] == ["passed", "failed", "passed", "passed", "passed"]
    warning = next(line for line in capsys.readouterr().out.splitlines() if "cluster failed" in line)
    assert "[warning" in warning


def test_the_task_leaves_a_busy_service_to_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceUnavailableError):
        run(monkeypatch, side(ServiceUnavailableError("dynamodb", "DescribeTable", 3, 30.0, "ThrottlingException")))
