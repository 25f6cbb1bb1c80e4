"""A Lambda alias: which version it led to before, and what moves it."""

from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.errors import (
    ServiceBusyError,
    ServiceMovedError,
    ServiceRollbackRefusedError,
)
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER, LambdaAliasComponent
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChange, RecordedChanges
from tests.support.fakes import NOW_US, MemoryStore
from tests.support.scripted_aws import Answer, RefusalError, ScriptedAws

FUNCTION, ALIAS, UUID = "indexer", "live", "f3c5cbe5-1ed0-4b11-8f3c-8d1b0f9b1d11"
ARN = f"arn:aws:lambda:eu-central-1:111122223333:function:{FUNCTION}"
RUN = Run(deployment="prod", dag_id="members_rollback_service", run_id="r1", triggered_us=NOW_US)


class ScriptedLambda:
    """One function with its published versions, and an alias. ``page``: versions in one answer, as strings sort."""

    def __init__(self, *versions: int, at: str, page: int = 50, **weights: float) -> None:
        self.aws, self.page = ScriptedAws(), page
        self.versions: dict[str, Answer] = {
            str(one): {"State": "Active", "LastUpdateStatus": "Successful"} for one in versions
        }
        self.version, self.weights, self.revision = at, {one.strip("v"): share for one, share in weights.items()}, 1
        self.mapping: Answer = {"UUID": UUID, "FunctionArn": f"{ARN}:{ALIAS}", "State": "Enabled"}
        self.aws.scripts |= {
            "lambda.GetAlias": lambda _: self.alias(),
            "lambda.UpdateAlias": self._update,
            "lambda.ListVersionsByFunction": self._list,
            "lambda.GetFunctionConfiguration": self._configuration,
            "lambda.GetEventSourceMapping": lambda _: self.mapping,
        }

    @property
    def component(self) -> LambdaAliasComponent:
        return LambdaAliasComponent(self.aws.plane, LAMBDA_INDEXER, FUNCTION, ALIAS, UUID)

    def alias(self) -> Answer:
        routing = {"RoutingConfig": {"AdditionalVersionWeights": self.weights}} if self.weights else {}
        return {"Name": ALIAS, "FunctionVersion": self.version, "RevisionId": str(self.revision), **routing}

    def move(self, version: str, **weights: float) -> None:
        self.version, self.weights, self.revision = version, weights, self.revision + 1

    def _update(self, asked: Answer) -> Answer:
        if asked["RevisionId"] != str(self.revision):
            raise RefusalError("PreconditionFailedException", 412)
        self.move(asked["FunctionVersion"], **asked["RoutingConfig"]["AdditionalVersionWeights"])
        return self.alias()

    def _list(self, asked: Answer) -> Answer:
        numbers = ["$LATEST", *sorted(self.versions)]
        start = int(asked.get("Marker", 0))
        more = {"NextMarker": str(start + self.page)} if start + self.page < len(numbers) else {}
        return {"Versions": [{"Version": one} for one in numbers[start : start + self.page]], **more}

    def _configuration(self, asked: Answer) -> Answer:
        if asked["Qualifier"] not in self.versions:
            raise RefusalError("ResourceNotFoundException", 404)
        number = asked["Qualifier"]
        found = {"LastModified": f"2026-01-{int(number):02}", "CodeSha256": f"sha-{number}"}
        return found | self.versions[number]


def planned(function: ScriptedLambda, last: RecordedChange | None = None) -> ServiceRollbackPlan:
    store = MemoryStore(None if last is None else {LAMBDA_INDEXER: [last.to_json()]})
    changes = RecordedChanges(store, function.aws.clock)
    return plan_service_rollback("members", function.component, changes, RUN)


def refused(function: ScriptedLambda) -> str:
    with pytest.raises(ServiceRollbackRefusedError) as error:
        planned(function)
    assert function.aws.made("lambda.UpdateAlias") == []
    return str(error.value)


def change(was: InService, shall: InService) -> RecordedChange:
    return RecordedChange(
        component=LAMBDA_INDEXER,
        resource=f"Lambda alias {FUNCTION}:{ALIAS}",
        purpose="cutover",
        deployment="prod",
        dag_id="members_cutover",
        run_id="c1",
        was=was,
        shall=shall,
        began_us=NOW_US - 5,
        outcome="stable",
    )


def test_without_a_record_it_is_the_next_lower_number_that_is_there_and_the_doubt_is_said() -> None:
    plan = planned(ScriptedLambda(1, 2, 9, 10, at="10"))
    assert plan.shall.version == "9"
    assert "nobody has recorded whether the alias ever led to it" in plan.basis
    assert plan.details == ("version 10: of 2026-01-10, code sha-10", "version 9: of 2026-01-09, code sha-9")


def test_numbers_are_compared_as_numbers_and_all_pages_are_read() -> None:
    function = ScriptedLambda(*range(1, 13), at="11", page=4)
    assert planned(function).shall.version == "10"
    assert len(function.aws.made("lambda.ListVersionsByFunction")) == 4


def test_the_record_says_it_better_than_the_numbers() -> None:
    function = ScriptedLambda(1, 2, 3, 4, at="4")
    last = change(InService(version="1"), InService(version="4"))
    plan = planned(function, last)
    assert (plan.shall.version, plan.is_undo) == ("1", True)
    assert "version 1 replaced by version 4" in plan.basis
    assert "members_cutover" in plan.basis


def test_a_record_of_something_else_than_what_is_in_service_says_nothing() -> None:
    function = ScriptedLambda(1, 2, 3, 4, at="4")
    assert planned(function, change(InService(version="1"), InService(version="3"))).shall.version == "3"


def test_a_canary_goes_back_to_the_older_version_that_it_serves_already() -> None:
    plan = planned(ScriptedLambda(1, 2, 3, at="2", v3=0.1))
    assert (plan.was.weights, plan.shall.version, plan.shall.weights) == ({"3": 0.1}, "2", {})
    assert plan.warnings == (
        "the alias spreads its calls (version 2 (10% to version 3)); afterwards all of them go to one version",
    )


def test_a_new_version_that_gets_most_calls_goes_back_to_the_older_one_that_it_shares_them_with() -> None:
    plan = planned(ScriptedLambda(1, 2, 3, 4, at="4", v1=0.1))
    assert (plan.shall.version, plan.shall.weights) == ("1", {})


def test_an_undo_brings_the_weights_back_that_were_cleared() -> None:
    function = ScriptedLambda(1, 2, 3, at="2")
    plan = planned(function, change(InService(version="2", weights={"3": 0.1}), InService(version="2")))
    assert plan.shall == InService(version="2", weights={"3": 0.1})


def test_an_undo_whose_weighted_version_was_deleted_is_passed_over() -> None:
    function = ScriptedLambda(1, 2, at="2")
    plan = planned(function, change(InService(version="2", weights={"3": 0.1}), InService(version="2")))
    assert plan.shall.version == "1"
    assert plan.passed_over == ("version 3 was deleted",)


def test_one_that_was_deleted_or_failed_is_passed_over() -> None:
    function = ScriptedLambda(1, 2, 3, at="3")
    function.versions["2"] = {"State": "Failed", "LastUpdateStatus": "Failed"}
    plan = planned(function)
    assert plan.shall.version == "1"
    assert plan.passed_over == ("version 2 is Failed, its last update Failed",)


@pytest.mark.parametrize("state", ["Inactive", "Pending"])
def test_one_that_is_asleep_is_not_passed_over_but_to_be_woken(state: str) -> None:
    function = ScriptedLambda(1, 2, 3, at="3")
    function.versions["2"] = {"State": state, "StateReason": "The function is idle."}
    text = refused(function)
    assert f"version 2 is {state} (The function is idle), and would refuse its first calls" in text
    assert "aws lambda invoke --function-name indexer --qualifier 2" in text


def test_an_alias_on_latest_has_no_previous_version_and_is_told_how_to_get_one() -> None:
    text = refused(ScriptedLambda(1, 2, at="$LATEST"))
    for part in (
        "the alias leads to $LATEST",
        "aws lambda publish-version --function-name indexer",
        "aws lambda update-alias --function-name indexer --name live",
    ):
        assert part in text


def test_the_only_version_has_none_before_it() -> None:
    text = refused(ScriptedLambda(3, 4, at="3"))
    assert "version 3 is in service, and nothing is known that was before it" in text
    assert "--function-version <number> --routing-config AdditionalVersionWeights={}" in text


def test_a_mapping_that_does_not_invoke_the_alias_is_found_before_the_alias_is_moved_in_vain() -> None:
    function = ScriptedLambda(1, 2, at="2")
    function.mapping["FunctionArn"] = ARN
    text = refused(function)
    assert f"event source mapping {UUID} invokes {ARN}, not the alias" in text
    assert f"aws lambda update-event-source-mapping --uuid {UUID} --function-name indexer:live" in text


def test_a_mapping_that_is_disabled_is_told() -> None:
    function = ScriptedLambda(1, 2, at="2")
    function.mapping["State"] = "Disabled"
    assert planned(function).warnings == (f"event source mapping {UUID} is Disabled: the indexer is not called now",)


def test_an_alias_that_is_not_there_is_named() -> None:
    function = ScriptedLambda(1, 2, at="2")

    def missing(_: Any) -> Any:
        raise RefusalError("ResourceNotFoundException", 404)

    function.aws.scripts["lambda.GetAlias"] = missing
    with pytest.raises(ResourceMissingError, match="lambda has no 'indexer:live'"):
        planned(function)


def test_the_change_clears_the_weights_and_carries_the_revision_of_the_plan() -> None:
    function = ScriptedLambda(1, 2, 3, at="3", v2=0.5)
    was = function.component.snapshot().in_service
    done = function.component.change(was, InService(version="2"))
    (asked,) = function.aws.made("lambda.UpdateAlias")
    assert asked == {
        "FunctionName": FUNCTION,
        "Name": ALIAS,
        "FunctionVersion": "2",
        "RoutingConfig": {"AdditionalVersionWeights": {}},
        "RevisionId": "1",
    }
    assert (function.version, function.weights) == ("2", {})
    assert done == InService(version="2", token="2")


def test_an_alias_that_somebody_has_moved_is_left_alone() -> None:
    function = ScriptedLambda(1, 2, 3, 4, at="3")
    was = function.component.snapshot().in_service
    function.move("4")
    with pytest.raises(ServiceMovedError, match="serves version 4, the plan expected version 3"):
        function.component.change(was, InService(version="2"))
    assert function.version == "4"


def test_a_call_that_was_sent_again_after_its_answer_was_lost_meets_its_own_change() -> None:
    function = ScriptedLambda(1, 2, 3, at="3")
    was = function.component.snapshot().in_service
    function.move("2")
    assert function.component.change(was, InService(version="2")).token == "2"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ResourceConflictException", 409, ServiceBusyError),
        ("InvalidParameterValueException", 400, RequestRefusedError),
        ("AccessDeniedException", 403, AccessDeniedError),
    ],
)
def test_other_refusals_are_told_apart(code: str, status: int, error: type[Exception]) -> None:
    function = ScriptedLambda(1, 2, at="2")

    def refuse(_: Any) -> Any:
        raise RefusalError(code, status)

    function.aws.scripts["lambda.UpdateAlias"] = refuse
    was = function.component.snapshot().in_service
    with pytest.raises(error, match=r"indexer:live"):
        function.component.change(was, InService(version="1"))


def test_it_is_stable_once_the_alias_leads_there_and_the_version_is_active() -> None:
    function = ScriptedLambda(1, 2, at="1")
    shall = InService(version="1")
    assert function.component.snapshot().progress(shall).state == "stable"
    function.versions["1"]["State"] = "Pending"
    assert function.component.snapshot().progress(shall).state == "under way"
    function.versions["1"]["State"] = "Failed"
    assert function.component.snapshot().progress(shall).state == "failed"
    function.move("2")
    seen = function.component.snapshot().progress(shall)
    assert seen.state == "replaced"
    assert "indexer:live leads to version 2, not to version 1" in seen.text
