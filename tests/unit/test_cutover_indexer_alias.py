"""The indexer's alias leads to what was deployed; where it was missing it is made, and a rollback knows that."""

import itertools
from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import RequestRefusedError, ResourceMissingError
from dynamo_opensearch.core.cutover.indexer.alias import move_indexer
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.serving import Served, VersionNotAwakeError, VersionUnfitError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.errors import (
    ServiceBusyError,
    ServiceMovedError,
    ServiceRollbackRefusedError,
)
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER, LambdaAliasComponent
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChanges
from tests.support.dying import Died, Fate
from tests.support.fakes import MemoryStore
from tests.support.scripted_aws import ScriptedAws
from tests.support.scripted_lambda import ALIAS, FUNCTION, ScriptedFunction, archive


class Desk:
    """A function with three versions, and the records."""

    def __init__(self) -> None:
        self.aws = ScriptedAws()
        self.function = ScriptedFunction(self.aws)
        for number in range(3):
            self.function.bring(archive(str(number)))
            self.function.publish()
        self.store = MemoryStore()
        self.changes = RecordedChanges(self.store, self.aws.clock)

    def run(self, run_id: str = "c1", dag_id: str = "members_cutover") -> Run:
        self.aws.clock.pass_s(60)
        return Run(deployment="prod", dag_id=dag_id, run_id=run_id, triggered_us=self.aws.clock.time_us())

    def move(
        self, run: Run | None = None, version: str = "3", is_kept: bool = False, fate: Fate | None = None
    ) -> Served:
        self.aws.clock.pass_s(1)
        fate = fate or Fate()
        deployed = DeployedIndexer(
            function=FUNCTION,
            version=version,
            code_sha256="x",
            was_uploaded=False,
            was_published=False,
            is_kept=is_kept,
            settings="",
        )
        changes = RecordedChanges(fate.watch(self.store, "load", "save"), self.aws.clock)
        return move_indexer(fate.watch(self.aws.plane, "ask"), ALIAS, deployed, changes, run or self.run())

    def plan_rollback(self) -> ServiceRollbackPlan:
        component = LambdaAliasComponent(self.aws.plane, LAMBDA_INDEXER, FUNCTION, ALIAS)
        return plan_service_rollback("members", component, self.changes, self.run("b1", "members_rollback_service"))

    @property
    def leads_to(self) -> tuple[str, dict[str, float]]:
        alias = self.function.aliases[ALIAS]
        return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    @property
    def recorded(self) -> list[tuple[str, str, str]]:
        found: list[dict[str, Any]] = (self.store.load() or {}).get(LAMBDA_INDEXER, [])
        return [(one["was"]["version"], one["shall"]["version"], one["outcome"]) for one in found]

    @property
    def writes(self) -> list[str]:
        return [name for name, _ in self.aws.calls if not name.startswith(("lambda.Get", "lambda.List"))]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_alias_is_moved_with_all_of_its_calls_and_a_rollback_takes_it_back_with_its_weights(desk: Desk) -> None:
    desk.function.lead("1", v2=0.25)
    text = str(desk.move())
    assert desk.leads_to == ("3", {})
    assert "Lambda alias indexer:live: version 3 in place of version 1 (25% to version 2)" in text
    plan = desk.plan_rollback()
    assert (plan.shall.version, plan.shall.weights, plan.is_undo) == ("1", {"2": 0.25}, True)


def test_an_alias_that_leads_there_already_is_left_alone(desk: Desk) -> None:
    desk.function.lead("3")
    assert not desk.move().was_changed
    assert (desk.writes, desk.recorded) == ([], [])


def test_an_alias_that_is_missing_is_made_once_and_said(desk: Desk) -> None:
    run = desk.run()
    served = desk.move(run)
    assert desk.leads_to == ("3", {})
    assert str(served) == (
        "Lambda alias indexer:live was made, and leads to version 3: there is nothing that a rollback could go back to"
    )
    desk.move(run)
    assert not desk.move(desk.run("c2")).was_changed
    assert desk.writes == ["lambda.CreateAlias"]
    assert desk.recorded == [("", "3", "begun")]


def test_a_rollback_of_an_alias_that_a_cutover_made_is_refused_and_says_who_made_it(desk: Desk) -> None:
    desk.move()
    with pytest.raises(ServiceRollbackRefusedError) as error:
        desk.plan_rollback()
    assert "nothing is known that was before it" in str(error.value)
    assert "it was made, for version 3, on 2027-01-15" in str(error.value)
    assert "(cutover, run 'c1' of DAG 'members_cutover', deployment 'prod': begun)" in str(error.value)


def test_once_the_alias_was_moved_on_it_has_a_past_again(desk: Desk) -> None:
    desk.move(version="2")
    desk.function.lead("3")
    assert desk.plan_rollback().shall.version == "2"


def test_two_cutovers_are_taken_back_by_one_step(desk: Desk) -> None:
    first = desk.run()
    desk.move(first, version="2")
    desk.changes.end(LAMBDA_INDEXER, first, "stable")
    desk.move(desk.run("c2"), version="3")
    plan = desk.plan_rollback()
    assert (plan.shall.version, plan.is_undo) == ("2", True)


def test_an_alias_that_led_to_latest_is_moved_and_the_doubt_is_said(desk: Desk) -> None:
    desk.function.lead("$LATEST")
    assert "warning: the alias led to $LATEST, which each deployment overwrites" in str(desk.move())
    plan = desk.plan_rollback()
    assert plan.shall.version == "2"
    assert plan.passed_over == ("version $LATEST is overwritten by each deployment: nobody knows what it was then",)


def test_where_no_package_was_named_the_alias_stays_with_its_weights(desk: Desk) -> None:
    desk.function.lead("1", v2=0.25)
    served = desk.move(version="1", is_kept=True)
    assert not served.was_changed
    assert (served.now.version, served.now.weights) == ("1", {"2": 0.25})
    assert desk.writes == []


@pytest.mark.parametrize("is_there", [True, False])
def test_killed_at_any_call_and_tried_again_it_is_moved_or_made_once(is_there: bool) -> None:
    for survived in itertools.count():
        desk, was_killed = Desk(), False
        if is_there:
            desk.function.lead("1")
        run = desk.run()
        try:
            desk.move(run, fate=Fate(survived))
        except Died:
            was_killed = True
            desk.move(run)
        assert desk.leads_to == ("3", {}), f"killed after {survived} calls"
        assert desk.writes == ["lambda.UpdateAlias" if is_there else "lambda.CreateAlias"], f"killed after {survived}"
        assert desk.recorded == [("1" if is_there else "", "3", "begun")]
        if not was_killed:
            assert survived > 5
            return


def test_an_alias_that_somebody_else_makes_at_the_same_moment_is_theirs(desk: Desk) -> None:
    desk.function.interludes["CreateAlias"] = lambda: desk.function.lead("1")
    with pytest.raises(ServiceMovedError, match="serves version 1, the plan expected nothing"):
        desk.move()
    assert desk.leads_to == ("1", {})
    assert desk.recorded == [("", "3", "not made")]


def test_an_alias_whose_making_was_not_answered_is_its_own(desk: Desk) -> None:
    desk.function.interludes["CreateAlias"] = lambda: desk.function.lead("3")
    assert desk.move().now.version == "3"


def test_an_alias_that_somebody_else_moves_at_the_same_moment_is_theirs(desk: Desk) -> None:
    desk.function.lead("1")
    desk.function.interludes["UpdateAlias"] = lambda: desk.function.lead("2")
    with pytest.raises(ServiceMovedError):
        desk.move()
    assert desk.leads_to == ("2", {})


def test_an_alias_that_lambda_is_just_changing_is_tried_again(desk: Desk) -> None:
    desk.function.lead("1")
    desk.function.refusals["UpdateAlias"] = "ResourceConflictException"
    with pytest.raises(ServiceBusyError):
        desk.move()


def test_a_version_that_was_deleted_meanwhile_is_not_led_to(desk: Desk) -> None:
    desk.function.lead("1")
    del desk.function.versions["3"]
    with pytest.raises(VersionUnfitError, match="Lambda alias indexer:live was not changed: version 3 was deleted"):
        desk.move()
    assert desk.leads_to == ("1", {})


def test_a_version_that_sleeps_is_not_led_to_before_it_is_awake(desk: Desk) -> None:
    desk.function.versions["3"]["State"] = "Inactive"
    with pytest.raises(VersionNotAwakeError, match="aws lambda invoke --function-name indexer --qualifier 3") as error:
        desk.move()
    assert not error.value.is_permanent
    assert desk.function.aliases == {}


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("operation", ["GetAlias", "CreateAlias", "UpdateAlias", "GetFunctionConfiguration"])
def test_a_right_that_is_missing_is_named_with_the_alias(desk: Desk, operation: str, is_there: bool) -> None:
    if is_there:
        desk.function.lead("1")
    desk.function.refusals[operation] = "AccessDeniedException"
    if operation == ("CreateAlias" if is_there else "UpdateAlias"):
        desk.move()
        return
    resource = "indexer:3" if operation == "GetFunctionConfiguration" else "indexer:live"
    with pytest.raises(AccessDeniedError, match=f"lambda refused lambda:{operation} on '{resource}'"):
        desk.move()


def test_a_function_that_is_deleted_meanwhile_is_named(desk: Desk) -> None:
    desk.function.refusals["CreateAlias"] = "ResourceNotFoundException"
    with pytest.raises(ResourceMissingError, match="lambda has no 'indexer:live'"):
        desk.move()


def test_any_other_refusal_is_handed_on(desk: Desk) -> None:
    desk.function.refusals["CreateAlias"] = "AliasLimitExceededException"
    with pytest.raises(RequestRefusedError, match="CreateAlias on 'indexer:live': AliasLimitExceededException"):
        desk.move()
