"""An ECS service: which task definition was in service before, and what became of a deployment."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Earlier, Run
from dynamo_opensearch.core.services.errors import ServiceRollbackRefusedError
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChanges
from tests.support.fakes import NOW_US, MemoryStore
from tests.support.scripted_aws import RefusalError, ScriptedAws
from tests.support.scripted_ecs import BREAKER, ScriptedEcs, arn

RUN = Run(deployment="prod", dag_id="members_rollback_service", run_id="r1", triggered_us=NOW_US)


@pytest.fixture
def ecs() -> ScriptedEcs:
    return ScriptedEcs(ScriptedAws())


def planned(ecs: ScriptedEcs) -> ServiceRollbackPlan:
    changes = RecordedChanges(MemoryStore(), ecs.aws.clock)
    return plan_service_rollback("members", ecs.component, changes, RUN)


def refused(ecs: ScriptedEcs) -> str:
    with pytest.raises(ServiceRollbackRefusedError) as error:
        planned(ecs)
    assert ecs.aws.made("ecs.UpdateService") == []
    return str(error.value)


def back_to(ecs: ScriptedEcs) -> str:
    return planned(ecs).shall.version.rpartition("/")[2]


def test_it_goes_back_to_what_was_deployed_before_not_to_the_next_lower_number(ecs: ScriptedEcs) -> None:
    for definition in ("api:1", "api:2", "api:1", "api:5"):
        ecs.deploy(definition)
    plan = planned(ecs)
    assert (plan.was.version, plan.shall.version) == (arn("api:5"), arn("api:1"))
    assert "its service deployment of 2026-03-01 15:00 UTC was SUCCESSFUL" in plan.basis
    assert plan.details == ("api:5: web registry/api.5", "api:1: web registry/api.1")


def test_what_the_circuit_breaker_rolled_back_is_passed_over_and_named_with_its_reason(ecs: ScriptedEcs) -> None:
    for definition, became in (("api:1", "succeeds"), ("api:2", "succeeds"), ("api:3", "rolled back")):
        ecs.deploy(definition, became)
    ecs.deploy("api:4")
    plan = planned(ecs)
    assert plan.shall.version == arn("api:2")
    (passed_over,) = plan.passed_over
    assert passed_over.startswith("api:3 was rolled back by ECS")
    assert BREAKER.rstrip(".") in passed_over


def test_after_ecs_went_back_by_itself_the_one_before_that_is_meant(ecs: ScriptedEcs) -> None:
    for definition, became in (("api:1", "succeeds"), ("api:2", "succeeds"), ("api:3", "rolled back")):
        ecs.deploy(definition, became)
    assert ecs.primary == "api:2"
    assert back_to(ecs) == "api:1"


def test_one_that_was_rolled_back_once_and_deployed_well_since_is_good(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2", "rolled back")
    ecs.deploy("api:2")
    ecs.deploy("api:3")
    assert back_to(ecs) == "api:2"


def test_one_that_was_good_once_and_rolled_back_since_is_not(ecs: ScriptedEcs) -> None:
    for definition, became in (("api:1", "succeeds"), ("api:2", "succeeds"), ("api:3", "succeeds")):
        ecs.deploy(definition, became)
    ecs.deploy("api:2", "rolled back")
    assert ecs.primary == "api:3"
    assert back_to(ecs) == "api:1"


def test_a_deployment_that_hangs_is_replaced_by_the_last_that_became_stable(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.deploy("api:3", "hangs")
    plan = planned(ecs)
    assert (plan.was.version, plan.shall.version) == (arn("api:3"), arn("api:2"))
    assert plan.warnings == ("the deployment of api:3 is still under way (0 of 2 tasks run); it is replaced",)


def test_one_that_never_became_stable_was_never_in_service(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2", "hangs")
    ecs.deploy("api:3")
    assert back_to(ecs) == "api:1"


def test_an_inactive_one_is_passed_over_with_what_terraform_does(ecs: ScriptedEcs) -> None:
    for definition in ("api:1", "api:2", "api:3"):
        ecs.deploy(definition)
    ecs.definitions["api:2"] = "INACTIVE"
    plan = planned(ecs)
    assert plan.shall.version == arn("api:1")
    (passed_over,) = plan.passed_over
    assert passed_over.startswith("api:2 is INACTIVE")
    assert "skip_destroy = true" in passed_over


def test_an_undo_of_what_ecs_could_not_even_roll_back_is_passed_over(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:0")
    ecs.deploy("api:1")
    ecs.deploy("api:2", "hangs")
    ecs.made[-1]["status"] = "ROLLBACK_FAILED"
    ecs.deploy("api:2", "hangs")
    changes = RecordedChanges(MemoryStore(), ecs.aws.clock)
    plan = plan_service_rollback("members", ecs.component, changes, RUN)
    make_change(plan.change("prod", RUN.dag_id, "r0"), plan.after, ecs.component, changes)
    assert ecs.primary == "api:1"
    again = plan_service_rollback("members", ecs.component, changes, RUN)
    assert again.shall.version == arn("api:0")
    assert again.passed_over[0].startswith("api:2 was rolled back by ECS")


def test_one_of_another_family_is_passed_over(ecs: ScriptedEcs) -> None:
    for definition in ("api:1", "worker:7", "api:2"):
        ecs.deploy(definition)
    plan = planned(ecs)
    assert plan.shall.version == arn("api:1")
    assert plan.passed_over == ("worker:7 is not of family 'api', which is in service",)


def test_one_that_was_deleted_is_passed_over(ecs: ScriptedEcs) -> None:
    for definition in ("api:1", "api:2", "api:3"):
        ecs.deploy(definition)
    del ecs.definitions["api:2"]
    assert back_to(ecs) == "api:1"


def test_nothing_before_it_is_a_refusal_that_names_what_was_looked_at_and_the_way_by_hand(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.definitions["api:1"] = "INACTIVE"
    text = refused(ecs)
    for part in (
        "ECS service main/api cannot be rolled back, nothing was changed",
        "api:1 is INACTIVE",
        "api:2 is in service, and nothing is known that was before it",
        "aws ecs update-service --cluster main --service api --task-definition <family:number>",
    ):
        assert part in text


def test_a_long_history_in_whatever_order_is_read_to_its_end_in_as_many_answers_as_it_takes() -> None:
    ecs = ScriptedEcs(ScriptedAws(), page=7)
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    for _ in range(60):
        ecs.deploy("api:9")
    assert back_to(ecs) == "api:2"
    assert len(ecs.aws.made("ecs.ListServiceDeployments")) == 9
    assert len(ecs.aws.made("ecs.DescribeServiceRevisions")) == 4


def test_a_revision_that_ecs_has_forgotten_is_no_obstacle(ecs: ScriptedEcs) -> None:
    for definition in ("api:1", "api:2", "api:3"):
        ecs.deploy(definition)
    del ecs.revisions[ecs.made[1]["targetServiceRevisionArn"]]
    assert back_to(ecs) == "api:1"


def listed_still(ecs: ScriptedEcs, **fields: Any) -> None:
    """The deployment of api:1 has tasks left beside that of api:2."""
    first = ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.listed.append(first | {"status": "ACTIVE"} | fields)


@pytest.fixture
def forgetful() -> ScriptedEcs:
    """A service without service deployments."""
    return ScriptedEcs(ScriptedAws(), remembers=False)


def test_without_service_deployments_one_that_is_listed_still_and_was_completed_is_taken(
    forgetful: ScriptedEcs,
) -> None:
    listed_still(forgetful)
    plan = planned(forgetful)
    assert plan.shall.version == arn("api:1")
    assert "was completed and is still listed" in plan.basis
    assert any("ECS remembers no service deployments" in one for one in plan.warnings)


def test_a_service_that_knows_no_rollout_states_tells_by_its_events(forgetful: ScriptedEcs) -> None:
    listed_still(forgetful)
    for one in forgetful.listed:
        del one["rolloutState"]
    assert "nothing is known" in refused(forgetful)
    old = forgetful.listed[-1]["id"]
    forgetful.events.append(
        {
            "id": "e",
            "createdAt": forgetful.now,
            "message": f"(service api) (deployment {old}) deployment completed.",
        }
    )
    assert back_to(forgetful) == "api:1"


def test_without_service_deployments_a_failed_one_is_passed_over(forgetful: ScriptedEcs) -> None:
    listed_still(forgetful, rolloutState="FAILED", rolloutStateReason="tasks failed to start")
    assert "api:1 was rolled back by ECS" in refused(forgetful)


def test_without_service_deployments_one_that_was_never_completed_is_not_taken(forgetful: ScriptedEcs) -> None:
    listed_still(forgetful, rolloutState="IN_PROGRESS")
    assert "nothing is known" in refused(forgetful)


def test_a_kind_of_service_that_has_no_service_deployments_is_looked_at_without(forgetful: ScriptedEcs) -> None:
    def unsupported(_: Any) -> Any:
        raise RefusalError("UnsupportedFeatureException")

    forgetful.aws.scripts["ecs.ListServiceDeployments"] = unsupported
    listed_still(forgetful)
    assert back_to(forgetful) == "api:1"


def codedeploy(ecs: ScriptedEcs) -> None:
    ecs.controller = {"type": "CODE_DEPLOY"}


def draining(ecs: ScriptedEcs) -> None:
    ecs.status = "DRAINING"


def going_back(ecs: ScriptedEcs) -> None:
    ecs.made[-1]["status"] = "ROLLBACK_IN_PROGRESS"


def blue_green(ecs: ScriptedEcs) -> None:
    ecs.configuration = {"strategy": "BLUE_GREEN"}
    ecs.made[-1]["status"] = "IN_PROGRESS"


@pytest.mark.parametrize(
    ("put_in", "says"),
    [
        (codedeploy, "its deployments are made by CODE_DEPLOY, not by ECS: roll back there"),
        (draining, "the service is DRAINING"),
        (going_back, "ECS is going back by itself (ROLLBACK_IN_PROGRESS): wait"),
        (blue_green, "aws ecs stop-service-deployment --stop-type ROLLBACK --service-deployment-arn arn:aws:ecs"),
    ],
    ids=["codedeploy", "draining", "going back", "blue/green"],
)
def test_what_bars_the_way_is_said_with_what_to_do(
    ecs: ScriptedEcs, put_in: Callable[[ScriptedEcs], None], says: str
) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    put_in(ecs)
    assert says in refused(ecs)


def test_a_blue_green_service_that_is_at_rest_goes_back_like_any_other(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.configuration = {"strategy": "BLUE_GREEN"}
    assert back_to(ecs) == "api:1"


def test_no_tasks_and_no_circuit_breaker_are_told_before(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.desired, ecs.configuration = 0, {}
    assert [one.split(":")[0] for one in planned(ecs).warnings] == [
        "the service's desired count is 0",
        "its deployment circuit breaker is off",
    ]


def test_a_service_that_is_not_there_is_named(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:1")
    ecs.aws.scripts["ecs.DescribeServices"] = lambda _: {"failures": [{"reason": "MISSING"}]}
    with pytest.raises(ResourceMissingError, match="ecs has no 'main/api'"):
        planned(ecs)


def test_history_that_may_not_be_read_is_no_history_that_is_empty(ecs: ScriptedEcs) -> None:
    def denied(_: Any) -> Any:
        raise RefusalError("AccessDeniedException")

    ecs.deploy("api:1")
    ecs.aws.scripts["ecs.ListServiceDeployments"] = denied
    with pytest.raises(AccessDeniedError, match="ecs:ListServiceDeployments on 'main/api'"):
        planned(ecs)


def changed(ecs: ScriptedEcs, became: str) -> InService:
    """api:2 is to go back to api:1."""
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    ecs.next_update = became
    now = ecs.component.snapshot().in_service
    return ecs.component.change(now, InService(version=arn("api:1")))


def test_the_change_asks_for_the_task_definition_alone_and_returns_the_new_deployment(ecs: ScriptedEcs) -> None:
    done = changed(ecs, "hangs")
    (asked,) = ecs.aws.made("ecs.UpdateService")
    assert asked == {"cluster": "main", "service": "api", "taskDefinition": arn("api:1")}
    assert done.version == arn("api:1")
    assert done.token == ecs.listed[0]["id"]


def test_it_is_under_way_until_it_is_completed_alone_and_all_its_tasks_run(ecs: ScriptedEcs) -> None:
    done = changed(ecs, "hangs")
    ecs.events.append({"id": "e", "createdAt": ecs.now, "message": "(service api) was unable to place a task"})
    seen = ecs.component.snapshot().progress(done)
    assert seen.state == "under way"
    assert "main/api, api:1: 0 of 2 tasks run" in seen.text
    assert "was unable to place a task" in seen.text

    new, old = ecs.listed
    new |= {"runningCount": 2, "pendingCount": 0}
    old |= {"runningCount": 0, "desiredCount": 0}
    ecs.made[-1]["status"] = "SUCCESSFUL"
    assert ecs.component.snapshot().progress(done).state == "under way", "not completed"
    new["rolloutState"] = "COMPLETED"
    old["pendingCount"] = 1
    assert ecs.component.snapshot().progress(done).state == "under way", "the old one has a task left"
    old["pendingCount"] = 0
    ecs.made[-1]["status"] = "IN_PROGRESS"
    assert ecs.component.snapshot().progress(done).state == "under way", "the service deployment bakes"
    ecs.made[-1]["status"] = "SUCCESSFUL"
    seen = ecs.component.snapshot().progress(done)
    assert seen.state == "stable"
    assert seen.text == "main/api is stable on api:1: 2 of 2 tasks; the deployment circuit breaker did not act"
    new["runningCount"] = 1
    assert ecs.component.snapshot().progress(done).state == "under way", "a task is missing"


@pytest.mark.parametrize("remembers", [True, False], ids=["service deployments", "events only"])
def test_a_change_that_the_circuit_breaker_took_back_is_told_with_the_reason(remembers: bool) -> None:
    ecs = ScriptedEcs(ScriptedAws(), remembers=remembers)
    done = changed(ecs, "rolled back")
    assert ecs.primary == "api:2"
    seen = ecs.component.snapshot().progress(done)
    assert seen.state == "rolled back"
    assert "the deployment circuit breaker acted" in seen.text
    assert "ECS went back from api:1 to api:2" in seen.text
    assert "aws ecs list-tasks --cluster main --service-name api --desired-status STOPPED" in seen.text
    if remembers:
        assert f"3 failures, threshold 3; {BREAKER}" in seen.text


def test_a_failed_deployment_that_is_listed_still_is_told_too() -> None:
    ecs = ScriptedEcs(ScriptedAws(), remembers=False)
    ecs.deploy("api:1")
    ecs.deploy("api:2")
    failed = ecs.deploy("api:1", "rolled back")
    ecs.events.clear()
    ecs.listed.append(failed | {"status": "ACTIVE"})
    seen = ecs.component.snapshot().progress(InService(version=arn("api:1"), since_us=1))
    assert seen.state == "rolled back"
    assert "ECS deployment circuit breaker: tasks failed." in seen.text


def test_an_alarm_that_took_it_back_is_named(ecs: ScriptedEcs) -> None:
    done = changed(ecs, "rolled back")
    ecs.details[ecs.made[-1]["serviceDeploymentArn"]] = {
        "rollback": {"reason": "alarm"},
        "alarms": {"status": "TRIGGERED", "triggeredAlarmNames": ["api-5xx"]},
    }
    assert "an alarm of the deployment went off: api-5xx" in ecs.component.snapshot().progress(done).text


def test_a_circuit_breaker_without_rollback_leaves_it_failed(ecs: ScriptedEcs) -> None:
    done = changed(ecs, "failed")
    seen = ecs.component.snapshot().progress(done)
    assert seen.state == "failed"
    assert "the deployment circuit breaker acted" in seen.text
    assert "rollback is off" in seen.text


def test_another_deployment_in_its_place_is_somebody_elses(ecs: ScriptedEcs) -> None:
    done = changed(ecs, "succeeds")
    ecs.deploy("api:3")
    seen = ecs.component.snapshot().progress(done)
    assert seen.state == "replaced"
    assert "main/api serves api:3, not api:1: somebody else has deployed meanwhile" in seen.text


def test_a_rollback_of_long_ago_is_not_taken_for_that_of_now(ecs: ScriptedEcs) -> None:
    ecs.deploy("api:0")
    ecs.deploy("api:1", "rolled back")
    done = changed(ecs, "succeeds")
    ecs.deploy("api:3")
    assert ecs.component.snapshot().progress(done).state == "replaced"


def test_an_attempt_is_a_newer_deployment_of_what_was_wanted_be_it_listed_or_remembered(ecs: ScriptedEcs) -> None:
    first = ecs.deploy("api:1")
    was = ecs.component.snapshot().in_service
    ecs.deploy("api:2")
    ecs.listed.append(first | {"status": "ACTIVE"})
    now, shall = ecs.component.snapshot().in_service, InService(version=arn("api:1"))
    assert ecs.component.snapshot().attempt(now, shall) is None, "api:1 was deployed before, not since"
    made = ecs.deploy("api:1", "rolled back")
    found = ecs.component.snapshot().attempt(now, shall)
    assert found is not None
    assert found.version == arn("api:1")
    assert abs(found.since_us / 1e6 - made["createdAt"].timestamp()) < timedelta(seconds=10).total_seconds()
    ecs.listed.append(made | {"status": "ACTIVE"})
    listed = ecs.component.snapshot().attempt(now, shall)
    assert listed is not None
    assert listed.token == made["id"]
    assert was.token != made["id"]


def test_what_was_in_service_is_told_once_each_the_last_first(ecs: ScriptedEcs) -> None:
    for definition, became in (
        ("api:1", "succeeds"),
        ("api:2", "succeeds"),
        ("api:1", "succeeds"),
        ("api:3", "rolled back"),
        ("api:4", "succeeds"),
    ):
        ecs.deploy(definition, became)
    found: list[Earlier] = list(ecs.component.snapshot().earlier())
    assert [one.serving.version for one in found] == [arn("api:3"), arn("api:1"), arn("api:2")]
    assert [one.why_not is None for one in found] == [False, True, True]
