"""The tasks of a preflight: red with findings, pink where nothing is asked, one table in the end."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from dynamo_opensearch.core.errors import ServiceUnavailableError
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.model import UnknownEnvironmentError
from dynamo_opensearch.operators import preflight
from tests.support.adapters import FakeInstance
from tests.support.scripted_control_plane import ROLE, scripted_side

TABLE = {
    "Table": {
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": "memberId", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    }
}
Wire = Callable[..., None]


class PullingInstance(FakeInstance):
    """One that has what other tasks pushed. ``results``: by task."""

    results: dict[str, Any] = {}  # noqa: RUF012 - replaced by each test

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        assert key == preflight.RESULT_KEY
        return self.results.get(task_ids)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Let the operators find these sides, by the environment's name."""

    def wired(**sides: Side | Exception) -> None:
        def side_of(target: str, environment: str | None) -> Side:
            assert target == "members"
            found = sides[environment or "production"]
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(preflight, "side_of", side_of)

    return wired


def run_check(instance: FakeInstance, check: str, **settings: Any) -> Any:
    operator = preflight.RunCheckOperator(task_id=check, target="members", check=check, **settings)
    return operator.execute(instance.context)


def test_the_first_line_says_account_role_region_domain_and_environment(
    wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire(production=scripted_side())
    operator = preflight.IdentifyCallerOperator(task_id="identify", target="members", environment="production")
    (told,) = operator.execute(FakeInstance().context)
    line = capsys.readouterr().out
    for part in ("000000000000", ROLE, "eu-central-1", "https://search.example.com", "environment production"):
        assert part in line
    assert told["caller"] == ROLE


def test_both_environments_are_identified_where_two_are_compared(wire: Wire) -> None:
    wire(production=scripted_side(), staging=scripted_side())
    operator = preflight.IdentifyCallerOperator(
        task_id="identify", target="members", environment="production", compare_with="staging"
    )
    assert len(operator.execute(FakeInstance().context)) == 2


def test_a_failing_check_is_red_at_once_with_its_findings(wire: Wire) -> None:
    wire(production=scripted_side({"dynamodb.describe_table": TABLE}))
    instance = FakeInstance()
    with pytest.raises(AirflowFailException, match=r"(?s)docs/runbook.md#stream.*KEYS_ONLY.*aws dynamodb update-table"):
        run_check(instance, "stream", environment="production")
    assert instance.pushed["result"]["state"] == "failed"


def test_a_check_that_is_not_asked_for_is_skipped_and_says_why(wire: Wire) -> None:
    wire(production=scripted_side())
    instance = FakeInstance()
    with pytest.raises(AirflowSkipException, match=r"environments.production.cognito is not in the target file"):
        run_check(instance, "cognito")
    assert instance.pushed["result"]["state"] == "not asked for"


def test_a_check_that_another_blocks_is_skipped(wire: Wire) -> None:
    wire(production=scripted_side())
    with pytest.raises(AirflowSkipException, match="see table"):
        run_check(FakeInstance(), "stream")


def test_a_passing_check_pushes_what_it_saw(wire: Wire) -> None:
    table = {"Table": {**TABLE["Table"], "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}}
    wire(production=scripted_side({"dynamodb.describe_table": table}, {"stream": {"view_type": "NEW_IMAGE"}}))
    instance = FakeInstance()
    assert run_check(instance, "stream") is None
    assert instance.pushed["result"]["state"] == "passed"


def test_a_busy_service_is_left_to_airflow_to_try_again(wire: Wire) -> None:
    busy = ServiceUnavailableError("dynamodb", "DescribeTable on members", 3, 30.0, "ThrottlingException")
    wire(production=scripted_side({"dynamodb.describe_table": busy}))
    with pytest.raises(ServiceUnavailableError):
        run_check(FakeInstance(), "stream")


def test_an_environment_that_is_not_in_the_file_is_red_at_once(wire: Wire) -> None:
    wire(production=UnknownEnvironmentError("members", "production", ("local",)))
    with pytest.raises(AirflowFailException, match="has no environment 'production', only local"):
        run_check(FakeInstance(), "stream")


def judge(states: dict[str, str], results: dict[str, Any]) -> Any:
    instance = PullingInstance(dag_id="members_preflight", task_states=states)
    instance.results = results
    operator = preflight.JudgePreflightOperator(
        task_id="gate", target="members", checks=["table", "stream", "cognito"], environment="production"
    )
    return operator.execute(instance.context)


def result(check: str, state: str, *findings: dict[str, str]) -> dict[str, Any]:
    return {"check": check, "state": state, "seen": f"what {check} saw", "findings": list(findings)}


FINDING = {"what": "stream", "found": "off", "expected": "on", "remedy": "aws dynamodb update-table"}


def test_the_gate_prints_one_table_and_passes_where_nothing_failed(capsys: pytest.CaptureFixture[str]) -> None:
    told = judge(
        {"table": "success", "stream": "success", "cognito": "skipped"},
        {
            "table": result("table", "passed"),
            "stream": result("stream", "passed"),
            "cognito": result("cognito", "not asked for"),
        },
    )
    assert [one["state"] for one in told] == ["passed", "passed", "not asked for"]
    printed = capsys.readouterr().out
    for check in ("table", "stream", "cognito"):
        assert f"what {check} saw" in printed


def test_the_gate_fails_with_the_names_of_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AirflowFailException, match=r"not ready in 'production': stream \(failed\)"):
        judge(
            {"table": "success", "stream": "failed", "cognito": "success"},
            {
                "table": result("table", "passed"),
                "stream": result("stream", "failed", FINDING),
                "cognito": result("cognito", "passed"),
            },
        )
    assert "aws dynamodb update-table" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "removed", None])
def test_a_check_that_left_no_result_is_no_pass(state: str | None) -> None:
    states = {"table": "success", "cognito": "success"} | ({"stream": state} if state else {})
    results = {"table": result("table", "passed"), "cognito": result("cognito", "passed")}
    with pytest.raises(AirflowFailException, match=r"stream \(blocked\)"):
        judge(states, results)


def test_a_result_of_an_earlier_pass_does_not_count_for_a_check_that_has_not_ended() -> None:
    results = {name: result(name, "passed") for name in ("table", "stream", "cognito")}
    with pytest.raises(AirflowFailException, match=r"stream \(blocked\)"):
        judge({"table": "success", "stream": "up_for_retry", "cognito": "success"}, results)
