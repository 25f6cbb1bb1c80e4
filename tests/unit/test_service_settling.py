"""The wait after a change: stable and well, or what came of it instead, within its time."""

import pytest

from dynamo_opensearch.core.services.component import Progress
from dynamo_opensearch.core.services.health import health_probe
from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.settling import HEALTH_S, Outcome, Settling
from tests.support.fake_component import FakeComponent
from tests.support.fakes import NOW_US, FakeClock

SHALL = InService(version="2")


class Wait:
    """Looks each ten seconds. ``well_after_s``: of its first question; None: it has no health_url."""

    def __init__(self, component: FakeComponent, well_after_s: float | None = None, most_s: float = 300.0) -> None:
        self.clock, self.asked = FakeClock(), 0
        self.well_from_s = None if well_after_s is None else self.clock.monotonic_s() + well_after_s
        probe = None if well_after_s is None else self.probe
        self.settling = Settling(component, SHALL, probe, self.clock, NOW_US + round(most_s * 1e6))

    def probe(self) -> str | None:
        self.asked += 1
        assert self.well_from_s is not None
        return None if self.clock.monotonic_s() >= self.well_from_s else "answered 503"

    def outcome(self) -> tuple[Outcome, float]:
        began_s = self.clock.monotonic_s()
        while (found := self.settling.look()) is None:
            assert self.clock.monotonic_s() - began_s < 3_600
            self.clock.pass_s(10)
        return found, self.clock.monotonic_s() - began_s


@pytest.fixture
def component() -> FakeComponent:
    return FakeComponent()


def test_stable_is_enough_where_no_health_url_is_named(component: FakeComponent) -> None:
    assert Wait(component).outcome() == (Outcome(state="stable", text="is stable"), 0)


def test_a_stable_service_has_time_until_it_is_well(component: FakeComponent) -> None:
    outcome, seconds = Wait(component, well_after_s=60).outcome()
    assert (outcome.state, seconds) == ("stable", 60)
    assert outcome.text == "is stable; health_url answered 200"
    assert outcome.is_well


def test_a_service_that_does_not_become_well_is_told_and_the_change_stays(component: FakeComponent) -> None:
    outcome, seconds = Wait(component, well_after_s=10_000).outcome()
    assert (outcome.state, seconds) == ("not healthy", HEALTH_S)
    assert not outcome.is_well
    for part in (
        "health_url answered 503, for 120 s",
        "The change stays",
        "start the target's rollback_service to undo it",
    ):
        assert part in outcome.text


def test_health_is_not_asked_before_it_is_stable_and_its_time_begins_then(component: FakeComponent) -> None:
    component.state = Progress(state="under way", text="1 of 2")
    wait = Wait(component, well_after_s=0)
    assert wait.settling.look() is None
    assert wait.asked == 0
    wait.clock.pass_s(10_000)
    component.state = Progress(state="stable", text="is stable")
    assert wait.outcome()[0].is_well


def test_what_does_not_become_stable_is_given_up_in_time_with_what_was_seen(component: FakeComponent) -> None:
    component.state = Progress(state="under way", text="main/api, api:1: 1 of 2 tasks run")
    outcome, seconds = Wait(component, most_s=300).outcome()
    assert (outcome.state, seconds) == ("not stable in time", 300)
    for part in ("1 of 2 tasks run", "AWS goes on trying", "Clear this task to wait", "to undo the change"):
        assert part in outcome.text


@pytest.mark.parametrize("state", ["rolled back", "failed", "replaced"])
def test_what_came_of_it_instead_is_told_at_once(component: FakeComponent, state: str) -> None:
    component.state = Progress(state=state, text="so it is")  # type: ignore[arg-type]
    wait = Wait(component, well_after_s=0)
    assert wait.outcome() == (Outcome.from_json({"state": state, "text": "so it is"}), 0)
    assert wait.asked == 0


def test_an_address_of_another_kind_is_not_opened() -> None:
    assert health_probe("file:///etc/passwd")() == "has no http or https address"
