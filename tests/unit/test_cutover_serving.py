"""A version is put in service once, recorded before that, by which a rollback takes it back; also after kills."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from dynamo_opensearch.core.cutover.serving import Served, VersionNotAwakeError, VersionUnfitError, check_fit
from dynamo_opensearch.core.cutover.serving import put_in_service as put
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.component import Run, Unfit
from dynamo_opensearch.core.services.errors import ServiceChangedError, ServiceMovedError
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.planning import plan_service_rollback
from dynamo_opensearch.core.services.recorded import RecordedChanges
from tests.support.dying import Died, Fate
from tests.support.fake_component import FakeComponent
from tests.support.fakes import FakeClock, MemoryStore

FOUR = InService(version="4")


class Desk:
    """A component that serves version 3, the records, and runs of a cutover and of a rollback."""

    def __init__(self) -> None:
        self.component = FakeComponent()
        self.clock, self.store = FakeClock(), MemoryStore()
        self.changes = RecordedChanges(self.store, self.clock)
        self.runs = 0

    def run(self, dag_id: str = "members_cutover") -> Run:
        """A run that is triggered now."""
        self.runs += 1
        self.clock.pass_s(60)
        return Run(deployment="prod", dag_id=dag_id, run_id=f"r{self.runs}", triggered_us=self.clock.time_us())

    def put(self, run: Run, shall: InService = FOUR, fate: Fate | None = None) -> Served:
        self.clock.pass_s(1)
        fate = fate or Fate()
        component = fate.watch(self.component, "snapshot", "change")
        changes = RecordedChanges(fate.watch(self.store, "load", "save"), self.clock)
        return put(component, shall, changes, run, lambda _seen, _shall: ("looked at",))

    def roll_back(self) -> str:
        """A whole run of the rollback; what is in service then."""
        run = self.run("members_rollback_service")
        plan = plan_service_rollback("members", self.component, self.changes, run)
        self.clock.pass_s(1)
        planned = plan.change(run.deployment, run.dag_id, run.run_id)
        make_change(planned, plan.after, self.component, self.changes)
        self.changes.end("ecs", run, "stable")
        return self.component.in_service.version

    @property
    def recorded(self) -> list[tuple[str, str, str, str]]:
        found: list[dict[str, Any]] = (self.store.load() or {}).get("ecs", [])
        return [(one["purpose"], one["was"]["version"], one["shall"]["version"], one["outcome"]) for one in found]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_is_changed_and_recorded_and_said(desk: Desk) -> None:
    served = desk.put(desk.run())
    assert desk.component.in_service.version == "4"
    assert desk.recorded == [("cutover", "3", "4", "begun")]
    assert str(served) == "ECS service main/api: version 4 in place of version 3\n  warning: looked at"


def test_what_is_in_service_is_left_alone_and_not_recorded(desk: Desk) -> None:
    served = desk.put(desk.run(), InService(version="3"))
    assert not served.was_changed
    assert served.now.token == "t0"
    assert str(served) == "ECS service main/api: version 3 is in service already, nothing was to do"
    assert (desk.component.changes, desk.recorded) == ([], [])


def test_a_second_try_of_the_run_and_another_run_change_nothing(desk: Desk) -> None:
    run = desk.run()
    first = desk.put(run)
    assert desk.put(run).now == first.now
    assert not desk.put(desk.run()).was_changed
    assert desk.component.changes == [("3", "4")]
    assert len(desk.recorded) == 1


def test_weights_are_cleared_even_where_the_version_is_right(desk: Desk) -> None:
    desk.component.serve(InService(version="4", weights={"3": 0.1}))
    assert desk.put(desk.run()).was_changed
    assert desk.component.in_service.weights == {}


def test_a_rollback_takes_it_back_and_goes_forward_again(desk: Desk) -> None:
    run = desk.run()
    desk.put(run)
    desk.changes.end("ecs", run, "stable")
    assert desk.roll_back() == "3"
    assert desk.roll_back() == "4"
    assert [one[0] for one in desk.recorded] == ["cutover", "rollback", "rollback"]


def test_killed_at_any_call_and_tried_again_it_is_changed_once(desk: Desk) -> None:
    for survived in itertools.count():
        desk = Desk()
        run, fate, was_killed = desk.run(), Fate(survived), False
        try:
            desk.put(run, fate=fate)
        except Died:
            was_killed = True
            desk.put(run)
        assert desk.component.changes == [("3", "4")], f"killed after {survived} calls"
        assert desk.recorded == [("cutover", "3", "4", "begun")]
        token = (desk.store.load() or {})["ecs"][-1]["shall"]["token"]
        assert token == desk.component.in_service.token, f"killed after {survived} calls"
        if not was_killed:
            assert survived > 5
            return


def test_what_ecs_has_taken_back_while_the_task_was_dead_is_not_brought_a_second_time(desk: Desk) -> None:
    run = desk.run()
    attempt = replace(FOUR, token="t9")

    def change(was: InService, shall: InService) -> InService:
        desk.component.changes.append((was.version, shall.version))
        desk.component.earlier_try = attempt
        raise Died

    desk.component.change = change  # type: ignore[method-assign]
    with pytest.raises(Died):
        desk.put(run)
    assert desk.put(run).now == attempt
    assert len(desk.component.changes) == 1


def test_what_came_to_a_bad_end_is_brought_once_more_when_the_task_is_cleared(desk: Desk) -> None:
    run = desk.run()
    desk.put(run)
    desk.component.serve(InService(version="3"))
    desk.changes.end("ecs", run, "rolled back")
    assert desk.put(run).was_changed
    assert desk.component.in_service.version == "4"
    assert [one[3] for one in desk.recorded] == ["rolled back", "begun"]


def test_a_cleared_task_that_finds_another_version_to_bring_brings_that(desk: Desk) -> None:
    run = desk.run()
    desk.put(run)
    assert desk.put(run, InService(version="5")).was.version == "4"
    assert desk.component.in_service.version == "5"
    assert [one[1:3] for one in desk.recorded] == [("3", "4"), ("4", "5")]
    desk.changes.end("ecs", run, "stable")
    assert desk.roll_back() == "4"


def test_a_change_of_another_run_since_this_one_was_triggered_is_not_undone(desk: Desk) -> None:
    desk.put(desk.run())
    late = desk.run()
    desk.clock.pass_s(5)
    assert desk.roll_back() == "3"
    with pytest.raises(ServiceChangedError, match="since this one was triggered"):
        desk.put(late)
    assert desk.component.in_service.version == "3"
    assert desk.put(desk.run()).was_changed


def test_a_deployment_at_the_same_moment_wins(desk: Desk) -> None:
    load, loads = desk.store.load, itertools.count()

    def deployed_meanwhile() -> dict[str, Any] | None:
        if next(loads) == 1:
            desk.component.serve(InService(version="9"))
        return load()

    desk.store.load = deployed_meanwhile  # type: ignore[method-assign]
    run = desk.run()
    with pytest.raises(ServiceMovedError, match="serves version 9, the plan expected version 3"):
        desk.put(run)
    assert desk.component.in_service.version == "9"
    assert desk.recorded == [("cutover", "3", "4", "not made")]
    assert desk.put(run).was_changed, "who clears the task wants it over what is there"


def test_a_check_that_raises_changes_and_records_nothing(desk: Desk) -> None:
    def check(_seen: Any, _shall: InService) -> tuple[str, ...]:
        raise VersionUnfitError("main/api", "version 4", "was deleted")

    with pytest.raises(VersionUnfitError):
        put(desk.component, FOUR, desk.changes, desk.run(), check)
    assert (desk.component.changes, desk.recorded) == ([], [])


def test_a_version_that_cannot_be_served_is_refused_and_one_that_sleeps_is_waited_for(desk: Desk) -> None:
    desk.component.barred["4"] = Unfit(reason="was deleted")
    with pytest.raises(VersionUnfitError, match="main/api was not changed: version 4 was deleted"):
        check_fit("main/api", desk.component, FOUR)
    desk.component.barred["4"] = Unfit(reason="is Pending", is_passing=True)
    with pytest.raises(VersionNotAwakeError, match="the task tries again: version 4 is Pending"):
        check_fit("main/api", desk.component, FOUR)
    check_fit("main/api", desk.component, InService(version="5"))
