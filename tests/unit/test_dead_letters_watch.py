"""The watch over a dead-letter queue: when it starts a replay, and what it survives."""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger

from dynamo_opensearch.core.dead_letters.alarm.filling import FillingRule
from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import dead_letters_asset
from dynamo_opensearch.triggers import dead_letters_watch
from dynamo_opensearch.triggers.dead_letters_watch import DeadLettersFillingTrigger
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target
from tests.support.adapters import FakeConnections, connect

HOUR_S = 3_600.0


def depth(visible: int, in_flight: int = 0) -> Depth:
    return Depth(visible=visible, in_flight=in_flight)


def dues(rule: FillingRule, *looks: tuple[float, Depth]) -> list[float]:
    """The moments at which it was due."""
    return [now_s for now_s, found in looks if rule.is_due(found, now_s)]


def test_it_is_due_when_the_queue_has_become_so_full_and_not_at_each_look() -> None:
    looks = [(float(now_s), depth(visible)) for now_s, visible in enumerate([0, 9, 10, 11, 50])]
    assert dues(FillingRule(10, HOUR_S), *looks) == [2.0]


def test_it_is_due_again_once_the_queue_was_emptied_and_has_filled_again() -> None:
    looks = [(float(now_s), depth(visible)) for now_s, visible in enumerate([10, 10, 9, 10, 10])]
    assert dues(FillingRule(10, HOUR_S), *looks) == [0.0, 3.0]


def test_it_is_due_again_each_hour_while_the_queue_stays_full() -> None:
    looks = [(600.0 * number, depth(12)) for number in range(19)]
    assert dues(FillingRule(10, HOUR_S), *looks) == [0.0, HOUR_S, 2 * HOUR_S, 3 * HOUR_S]


def test_a_replay_that_gives_its_messages_back_does_not_start_the_next_one() -> None:
    looks = [(0.0, depth(12)), (60.0, depth(2, 10)), (120.0, depth(0, 12)), (180.0, depth(12)), (240.0, depth(12))]
    assert dues(FillingRule(10, HOUR_S), *looks) == [0.0]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FakeConnections, list[str]]]:
    """Answers of the queue, one a look; a number is how many wait. Returns the connections and the queues opened."""

    def prepare(*answers: int | Exception) -> tuple[FakeConnections, list[str]]:
        connections, left, opened = connect(monkeypatch), list(answers), []

        class Queue:
            def depth(self) -> Depth:
                answer = left.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return depth(answer)

        def open_queue(_: Any, name: str) -> Queue:
            opened.append(name)
            return Queue()

        monkeypatch.setattr(dead_letters_watch, "dead_letter_queue", open_queue)
        return connections, opened

    return prepare


def trigger(**arguments: Any) -> DeadLettersFillingTrigger:
    return DeadLettersFillingTrigger("members", "letters", 10, **arguments)


def test_it_comes_back_as_it_was_saved() -> None:
    path, saved = trigger(again_s=60.0, poll_s=5.0).serialize()
    assert saved == {"target": "members", "queue": "letters", "replay_at": 10, "again_s": 60.0, "poll_s": 5.0}
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)(**saved)
    assert isinstance(found, BaseEventTrigger)
    assert found.serialize() == (path, saved)


def test_airflow_knows_it_again_after_its_database_and_sees_a_change() -> None:
    path, saved = trigger().serialize()
    known = BaseEventTrigger.hash(path, saved)
    assert BaseEventTrigger.hash(path, dict(saved)) == known
    for change in ({"replay_at": 11}, {"queue": "others"}):
        assert BaseEventTrigger.hash(path, {**saved, **change}) != known


def test_it_fires_with_the_figures_each_time_that_the_queue_has_filled(watched: Callable[..., Any]) -> None:
    _, opened = watched(3, 10, 11, 0, 12, 12)

    async def events() -> list[Any]:
        found = []
        async with asyncio.timeout(10):
            async for event in trigger(poll_s=0.001).run():
                found.append(event.payload)
                if len(found) == 2:
                    break
        return found

    assert asyncio.run(events()) == [
        {"target": "members", "messages": 10, "in_flight": 0},
        {"target": "members", "messages": 12, "in_flight": 0},
    ]
    assert opened == ["letters"], "the connection is kept"


def test_it_fires_again_after_an_hour(watched: Callable[..., Any]) -> None:
    connections, _ = watched(10, 10, 10)
    look = trigger().make_look()
    assert look() is not None
    connections.clock.pass_s(HOUR_S - 1)
    assert look() is None
    connections.clock.pass_s(1)
    assert look() is not None


def test_what_a_look_fails_of_is_logged_and_forgets_nothing(
    watched: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    _, opened = watched(10, PassingError("away"), PermanentError("refused"), 10, 0, 10)
    look = trigger().make_look()
    assert [look() is not None for _ in range(6)] == [True, False, False, False, False, True]
    assert opened == ["letters"] * 3, "what failed is connected anew"


def test_a_target_file_with_mistakes_does_not_end_the_watch(
    watched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(10)
    of = TargetConnections.of

    def broken(_: str) -> Any:
        raise PermanentError("members.yaml: line 3")

    monkeypatch.setattr(TargetConnections, "of", broken)
    look = trigger().make_look()
    assert look() is None
    monkeypatch.setattr(TargetConnections, "of", of)
    assert look() is not None


def target_with(settings: DeadLetterSettings | None) -> Target:
    target = load_target("members")
    local = target.environments["local"].model_copy(update={"dead_letters": settings})
    return target.model_copy(update={"environments": {"local": local}})


@pytest.mark.parametrize("settings", [None, DeadLetterSettings(queue="letters")])
def test_a_target_that_does_not_ask_for_it_is_not_watched(settings: DeadLetterSettings | None) -> None:
    assert dead_letters_asset(target_with(settings)) is None


def test_a_target_of_another_environment_is_not_watched() -> None:
    target = target_with(DeadLetterSettings(queue="letters", replay_at=100))
    assert (
        dead_letters_asset(target.model_copy(update={"environments": {"production": target.environments["local"]}}))
        is None
    )


def test_the_asset_is_watched_as_the_target_says() -> None:
    asset = dead_letters_asset(target_with(DeadLetterSettings(queue="letters", replay_at=100)))
    assert isinstance(asset, Asset)
    assert (asset.name, asset.uri) == ("members_dead_letters", "dead-letters://members/")
    (watcher,) = asset.watchers
    _, arguments = watcher.trigger.serialize()
    assert arguments == {
        "target": "members",
        "queue": "letters",
        "replay_at": 100,
        "again_s": HOUR_S,
        "poll_s": 60.0,
    }
