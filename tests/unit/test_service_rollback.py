"""Planning, recording and making a change, whatever the component: undo, two runs at once, kills in between."""

import json
from typing import Any

import pytest

from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Run, Unfit
from dynamo_opensearch.core.services.errors import (
    ServiceChangedError,
    ServiceMovedError,
    ServiceRollbackRefusedError,
)
from dynamo_opensearch.core.services.in_service import InService, shown, time_us, utc
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import BEGUN, KEPT_CHANGES, NOT_MADE, RecordedChanges
from dynamo_opensearch.core.state.index_store import StateConflictError
from tests.support.fake_component import FakeComponent
from tests.support.fakes import FakeClock, MemoryStore


class Killed(BaseException):
    """The process is gone."""


class Desk:
    """One target's component and records, and runs that a test starts, goes through and kills."""

    def __init__(self, component: FakeComponent | None = None) -> None:
        self.component = component or FakeComponent()
        self.clock, self.store = FakeClock(), MemoryStore()
        self.changes = RecordedChanges(self.store, self.clock)
        self.runs = 0

    def run(self, deployment: str = "prod") -> Run:
        """A run that is triggered now."""
        self.runs += 1
        self.clock.pass_s(60)
        return Run(
            deployment=deployment,
            dag_id="members_rollback_service",
            run_id=f"r{self.runs}",
            triggered_us=self.clock.time_us(),
        )

    def plan(self, run: Run) -> ServiceRollbackPlan:
        self.clock.pass_s(1)
        plan = plan_service_rollback("members", self.component, self.changes, run)
        return ServiceRollbackPlan.from_json(json.loads(json.dumps(plan.to_json())))

    def change(self, run: Run, plan: ServiceRollbackPlan) -> InService:
        self.clock.pass_s(1)
        planned = plan.change(run.deployment, run.dag_id, run.run_id)
        return make_change(planned, plan.after, self.component, self.changes)

    def go_through(self, run: Run | None = None) -> str:
        """A whole run; what is in service then."""
        run = run or self.run()
        self.change(run, self.plan(run))
        self.clock.pass_s(30)
        self.changes.end(self.component.name, run, "stable")
        return self.component.in_service.version

    @property
    def recorded(self) -> list[tuple[str, str, str]]:
        changes = (self.store.load() or {}).get(self.component.name, [])
        return [(one["was"]["version"], one["shall"]["version"], one["outcome"]) for one in changes]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_goes_back_and_forth_by_what_it_recorded(desk: Desk) -> None:
    desk.component.past = ("2", "1")
    assert desk.go_through() == "2"
    assert desk.go_through() == "3"
    assert desk.go_through() == "2"
    assert desk.recorded == [("3", "2", "stable"), ("2", "3", "stable"), ("3", "2", "stable")]


def test_an_undo_asks_for_what_was_there_not_for_the_deployment_that_brought_it(desk: Desk) -> None:
    desk.go_through()
    plan = desk.plan(desk.run())
    assert plan.is_undo
    assert plan.shall == InService(version="3")


def test_a_plan_changes_nothing_and_records_nothing(desk: Desk) -> None:
    plan = desk.plan(desk.run())
    assert (plan.was.version, plan.shall.version, plan.is_undo) == ("3", "2", False)
    assert plan.details == ("version 3: image 3", "version 2: image 2")
    assert desk.component.changes == []
    assert desk.store.saved == []


def test_the_text_of_a_plan_says_what_and_why() -> None:
    plan = ServiceRollbackPlan(
        target="members",
        component="ecs",
        resource="ECS service main/api",
        was=InService(version="arn:aws:ecs:eu-central-1:1:task-definition/api:7"),
        shall=InService(version="arn:aws:ecs:eu-central-1:1:task-definition/api:5"),
        basis="it was deployed",
        passed_over=("api:6 is INACTIVE",),
        warnings=("nothing runs",),
    )
    assert str(plan) == (
        "rollback of ecs of target 'members'\n"
        "  - ECS service main/api goes back from api:7 to api:5\n"
        "  - how that is known: it was deployed\n"
        "  - passed over: api:6 is INACTIVE\n"
        "  - warning: nothing runs"
    )


def test_the_change_is_recorded_before_it_is_made(desk: Desk) -> None:
    seen: list[list[tuple[str, str, str]]] = []
    make = desk.component.change

    def change(was: InService, shall: InService) -> InService:
        seen.append(desk.recorded)
        return make(was, shall)

    desk.component.change = change  # type: ignore[method-assign]
    desk.go_through()
    assert seen == [[("3", "2", BEGUN)]]


def test_a_run_that_was_killed_before_the_change_makes_it_when_it_is_tried_again(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)

    def killed(was: InService, shall: InService) -> InService:
        raise Killed

    desk.component.change = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        desk.change(run, plan)
    del desk.component.change
    assert desk.recorded == [("3", "2", BEGUN)]
    desk.change(run, plan)
    assert desk.component.changes == [("3", "2")]
    assert desk.recorded == [("3", "2", BEGUN)]


def test_a_run_that_was_killed_after_the_change_does_not_make_it_twice(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)
    desk.change(run, plan)
    again = desk.change(run, plan)
    assert desk.component.changes == [("3", "2")]
    assert again == desk.component.in_service
    assert len(desk.recorded) == 1


def test_a_run_whose_plan_is_cleared_after_the_change_plans_the_same_and_no_undo(desk: Desk) -> None:
    run = desk.run()
    desk.change(run, desk.plan(run))
    plan = desk.plan(run)
    assert (plan.was.version, plan.shall.version) == ("3", "2")
    assert "this run began it" in plan.basis
    desk.change(run, plan)
    assert desk.component.changes == [("3", "2")]


def test_a_change_that_ecs_turned_round_before_the_next_try_is_not_made_again(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)
    desk.change(run, plan)
    desk.component.serve(plan.was)
    desk.component.earlier_try = InService(version="2", token="turned-round", since_us=9)
    assert desk.change(run, plan).token == "turned-round"
    assert desk.component.changes == [("3", "2")]


def test_a_first_try_asks_for_no_earlier_one(desk: Desk) -> None:
    desk.component.earlier_try = InService(version="2", token="somebody else's")
    assert desk.go_through() == "2"
    assert desk.component.changes == [("3", "2")]


def test_what_somebody_else_changed_since_the_plan_is_left_alone_and_the_record_says_so(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)
    desk.component.serve(InService(version="4"))
    with pytest.raises(ServiceMovedError, match="serves version 4, the plan expected version 3"):
        desk.change(run, plan)
    assert desk.component.changes == []
    assert desk.recorded == [("3", "2", NOT_MADE)]


def test_a_change_that_was_not_made_is_nothing_to_undo(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)
    desk.component.serve(InService(version="4"))
    with pytest.raises(ServiceMovedError):
        desk.change(run, plan)
    desk.component.serve(InService(version="2"))
    desk.component.past = ("1",)
    assert desk.plan(desk.run()).shall.version == "1"


def test_somebody_else_who_has_done_the_same_is_no_obstacle(desk: Desk) -> None:
    run = desk.run()
    plan = desk.plan(run)
    desk.component.serve(InService(version="2"))
    assert desk.change(run, plan).version == "2"
    assert desk.component.changes == []


def test_a_second_run_that_was_asked_for_before_the_first_had_ended_does_not_undo_it(desk: Desk) -> None:
    first = desk.run()
    plan = desk.plan(first)
    desk.change(first, plan)
    second = desk.run()
    desk.clock.pass_s(600)
    desk.changes.end("ecs", first, "stable")
    with pytest.raises(ServiceChangedError, match=r"version 3 replaced by version 2 .*stable"):
        desk.plan(second)
    assert desk.component.in_service.version == "2"


def test_a_second_run_that_was_asked_for_before_the_first_had_begun_does_not_undo_it(desk: Desk) -> None:
    first, second = desk.run(), desk.run()
    desk.change(first, desk.plan(first))
    with pytest.raises(ServiceChangedError):
        desk.plan(second)


def test_of_two_deployments_that_planned_the_same_at_once_one_makes_it(desk: Desk) -> None:
    first, second = desk.run(), desk.run("another Airflow")
    plans = desk.plan(first), desk.plan(second)
    desk.change(first, plans[0])
    with pytest.raises(ServiceChangedError):
        desk.change(second, plans[1])
    assert desk.component.changes == [("3", "2")]
    assert len(desk.recorded) == 1


def test_the_one_who_comes_second_at_the_record_sees_it_there(desk: Desk) -> None:
    first, second = desk.run(), desk.run("another Airflow")
    plans = desk.plan(first), desk.plan(second)
    save, waiting = desk.store.save, [plans[0]]

    def save_after_the_other(value: dict[str, Any]) -> None:
        if waiting:
            desk.store.save = save  # type: ignore[method-assign]
            desk.change(first, waiting.pop())
            raise StateConflictError("services|members-live")
        save(value)

    desk.store.save = save_after_the_other  # type: ignore[method-assign]
    with pytest.raises(ServiceChangedError):
        desk.change(second, plans[1])
    assert desk.component.changes == [("3", "2")]


def test_what_was_deployed_since_is_known_better_by_a_component_that_knows_its_past(desk: Desk) -> None:
    desk.go_through()
    desk.component.serve(InService(version="4"))
    desk.component.changes.append(("2", "4"))
    desk.component.serve(InService(version="2"))
    desk.component.past = ("4", "3")
    assert desk.plan(desk.run()).shall.version == "4"
    desk.component.knows_its_past = False
    assert desk.plan(desk.run()).shall.version == "3"


def test_the_record_is_the_last_resort_of_a_component_that_has_forgotten_its_past(desk: Desk) -> None:
    desk.go_through()
    desk.component.changes.append(("2", "2"))
    desk.component.serve(InService(version="2"))
    desk.component.past = ()
    plan = desk.plan(desk.run())
    assert (plan.shall.version, plan.is_undo) == ("3", True)


def test_an_undo_of_what_cannot_be_served_any_more_is_passed_over(desk: Desk) -> None:
    desk.go_through()
    desk.component.barred = {"3": Unfit(reason="is INACTIVE")}
    desk.component.past = ("3", "1")
    plan = desk.plan(desk.run())
    assert plan.shall.version == "1"
    assert plan.passed_over == ("version 3 is INACTIVE",)


def test_what_could_be_served_soon_is_not_passed_over(desk: Desk) -> None:
    desk.component.barred = {"2": Unfit(reason="is asleep", is_passing=True)}
    with pytest.raises(ServiceRollbackRefusedError, match="version 2 is asleep"):
        desk.plan(desk.run())


def test_problems_of_the_component_are_all_told(desk: Desk) -> None:
    desk.component.troubles = ("first", "second")
    with pytest.raises(ServiceRollbackRefusedError) as error:
        desk.plan(desk.run())
    assert error.value.problems == ("first", "second")


def test_a_record_of_another_service_by_an_older_target_file_is_not_used(desk: Desk) -> None:
    desk.go_through()
    desk.component.resource = "ECS service main/api-v2"
    desk.component.in_service = InService(version="2")
    desk.component.past, desk.component.knows_its_past = ("1",), False
    assert desk.plan(desk.run()).shall.version == "1"
    assert desk.go_through() == "1"


def test_each_component_has_its_own_records(desk: Desk) -> None:
    desk.go_through()
    desk.component = FakeComponent(name="lambda_api", resource="Lambda alias api:live")
    desk.go_through()
    assert set(desk.store.load() or {}) == {"ecs", "lambda_api"}


def test_the_last_changes_are_kept(desk: Desk) -> None:
    for _ in range(KEPT_CHANGES + 5):
        desk.go_through()
    assert len(desk.recorded) == KEPT_CHANGES


def test_the_token_of_the_change_is_recorded_with_it(desk: Desk) -> None:
    desk.go_through()
    last = desk.changes.last("ecs", "ECS service main/api")
    assert last is not None
    assert last.shall == desk.component.in_service
    assert last.ended_us > last.began_us


def test_the_end_of_a_run_that_recorded_nothing_is_nothing(desk: Desk) -> None:
    desk.changes.end("ecs", desk.run(), "stable")
    assert desk.store.saved == []


def test_versions_are_named_as_people_do() -> None:
    assert shown("arn:aws:ecs:eu-central-1:1:task-definition/api:7") == "api:7"
    assert str(InService(version="3", weights={"4": 0.25})) == "version 3 (25% to version 4)"
    assert time_us(None) == 0
    assert utc(1_800_000_000_000_000) == "2027-01-15 08:00 UTC"
