"""The wait for dead letters, and whom it tells."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import BaseNotifier
from jinja2 import Environment as JinjaEnvironment

from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.errors import PassingError, PermanentError
from dynamo_opensearch.core.targets.airflow_settings import AirflowSettings, Notifier
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.hooks.connection_rules import LiteralCredentialsError
from dynamo_opensearch.hooks.dynamodb import DynamoDbTableHook
from dynamo_opensearch.sensors import dead_letters_present as sensors
from dynamo_opensearch.sensors.dead_letters_present import DeadLettersPresentSensor
from dynamo_opensearch.triggers import dead_letters_present as triggers
from dynamo_opensearch.triggers.dead_letters_present import DeadLettersPresentTrigger
from dynamo_opensearch.wiring import dead_letters as wiring
from dynamo_opensearch.wiring.dead_letters import NoDeadLetterQueueError
from dynamo_opensearch.wiring.target_connections import load_target
from tests.support.adapters import FakeConnections, FakeInstance, connect
from tests.support.fakes import NOW_US

QUEUE = "members-indexer-dlq"
told: list[tuple[str, dict[str, Any]]] = []
"""What notifiers were told: their rendered text, and the context's figures."""


class ListNotifier(BaseNotifier):
    """Renders as Airflow's own notifiers do."""

    template_fields: Sequence[str] = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def get_template_env(self, dag: Any = None) -> JinjaEnvironment:
        return JinjaEnvironment(autoescape=False)

    def notify(self, context: Any) -> None:
        told.append((self.text, context["dead_letters"]))


class BrokenNotifier(ListNotifier):
    def notify(self, context: Any) -> None:
        raise ConnectionError("no mail today")


@pytest.fixture(autouse=True)
def nobody_told_yet() -> None:
    told.clear()


def notifier(kind: type[BaseNotifier], text: str) -> Notifier:
    return Notifier(notifier=f"{__name__}.{kind.__name__}", arguments={"text": text})


def connected(
    monkeypatch: pytest.MonkeyPatch,
    *depths: Depth | Exception,
    age_s: float | None = 90.0,
    notifiers: tuple[Notifier, ...] = (),
    **settings: Any,
) -> FakeConnections:
    """The sample target, with these answers of its queue, one a look; the last stays."""
    target = load_target("members")
    local = target.environments["local"].model_copy(
        update={"dead_letters": DeadLetterSettings(queue=QUEUE, **settings)}
    )
    airflow = AirflowSettings(notifiers=notifiers)
    connections = connect(monkeypatch, {"environments": {"local": local}, "airflow": airflow})
    answers, last = iter(depths), [depths[-1]]

    class Queue:
        def depth(self) -> Depth:
            last[0] = next(answers, last[0])
            if isinstance(last[0], Exception):
                raise last[0]
            return last[0]

    monkeypatch.setattr(sensors, "dead_letter_depth", lambda _: Queue().depth())
    monkeypatch.setattr(triggers, "dead_letter_queue", lambda _: Queue())
    monkeypatch.setattr(wiring, "oldest_age_s", lambda *_: age_s)
    monkeypatch.setattr(DynamoDbTableHook, "cloudwatch_client", lambda _: None)
    return connections


def sensor(**arguments: Any) -> DeadLettersPresentSensor:
    return DeadLettersPresentSensor(task_id="wait_for_dead_letters", target="members", **arguments)


def depth(visible: int, in_flight: int = 0) -> Depth:
    return Depth(visible=visible, in_flight=in_flight)


def test_it_returns_the_figures_at_once_when_messages_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, depth(3, 2))
    assert sensor().execute(FakeInstance().context) == {"messages": 3, "in_flight": 2, "oldest_age_s": 90.0}


def test_it_waits_in_the_triggerer_until_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, depth(9, 100))
    with pytest.raises(TaskDeferred) as deferred:
        sensor(at_least=10, wait_h=2.0).execute(FakeInstance().context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, DeadLettersPresentTrigger)
    assert (trigger.target, trigger.at_least, trigger.poll_s) == ("members", 10, 30.0)
    assert trigger.give_up_us == NOW_US + 2 * 3_600_000_000
    assert deferred.value.method_name == "resume"


def test_it_goes_on_with_what_the_trigger_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, depth(0), age_s=None)
    found = sensor().resume(FakeInstance().context, {"messages": 4, "in_flight": 1})
    assert found == {"messages": 4, "in_flight": 1, "oldest_age_s": None}


def test_when_its_time_is_up_it_fails_with_what_there_was() -> None:
    with pytest.raises(AirflowFailException, match=r"'members' has 4 dead letters after 2 h, 5 were waited for.*soft"):
        sensor(at_least=5, wait_h=2.0).resume(FakeInstance().context, {"messages": 4, "in_flight": 1})


def test_fewer_than_one_message_cannot_be_waited_for() -> None:
    with pytest.raises(ValueError, match="at_least must be 1 or more, got 0"):
        sensor(at_least=0)


def test_a_queue_that_is_away_is_left_to_a_retry_and_what_is_permanent_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, PassingError("away"))
    with pytest.raises(PassingError):
        sensor().execute(FakeInstance().context)
    connected(monkeypatch, PermanentError("refused"))
    with pytest.raises(AirflowFailException):
        sensor().execute(FakeInstance().context)


def test_a_target_without_a_queue_is_told_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    connections = connected(monkeypatch, depth(1))
    without = connections.target.environments["local"].model_copy(update={"dead_letters": None})
    connections = connect(monkeypatch, {"environments": {"local": without}})
    for function in (wiring.dead_letter_queue, wiring.dead_letter_depth):
        with pytest.raises(NoDeadLetterQueueError, match=r"set environments.local.dead_letters.queue in its file"):
            function(connections)


def test_local_servers_without_a_cloudwatch_have_no_age(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise LiteralCredentialsError("aws_default", ("login", "password"))

    connected(monkeypatch, depth(1))
    monkeypatch.setattr(DynamoDbTableHook, "cloudwatch_client", refuse)
    assert sensor().execute(FakeInstance().context)["oldest_age_s"] is None


TEXT = (
    "{{ dead_letters.messages }} of {{ dead_letters.target }}, {{ dead_letters.oldest_age_s }} s old, in {{ run_id }}"
)


def test_an_alarm_tells_each_notifier_the_figures_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    two = (notifier(ListNotifier, TEXT), notifier(ListNotifier, "look at {{ dead_letters.queue }}"))
    connected(monkeypatch, depth(50, 7), alarm_messages=50, notifiers=two)
    context = FakeInstance().context
    sensor().execute(context)
    named = {"target": "members", "queue": QUEUE, "runbook": "docs/runbook.md#dead-letters-are-waiting"}
    figures = {"messages": 50, "in_flight": 7, "oldest_age_s": 90.0, **named}
    assert told == [
        (f"50 of members, 90.0 s old, in {context['run_id']}", figures),
        (f"look at {QUEUE}", figures),
    ]
    assert not {"dead_letters", "text"} & context.keys(), "the task's own context stays as it was"


def test_the_next_alarm_says_the_next_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, depth(50), depth(60), alarm_messages=50, notifiers=(notifier(ListNotifier, TEXT[:28]),))
    sensor().execute(FakeInstance().context)
    sensor().execute(FakeInstance().context)
    assert [figures["messages"] for _, figures in told] == [50, 60]
    assert [text[:2] for text, _ in told] == ["50", "60"]


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        ({}, False),
        ({"alarm_messages": 51}, False),
        ({"alarm_age_s": 90.0}, True),
        ({"alarm_age_s": 91.0}, False),
    ],
)
def test_nobody_is_told_before_a_threshold_is_reached(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], is_told: bool
) -> None:
    connected(monkeypatch, depth(50), notifiers=(notifier(ListNotifier, "x"),), **settings)
    sensor().execute(FakeInstance().context)
    assert bool(told) is is_told


def test_a_notifier_that_fails_keeps_no_other_from_being_called_and_fails_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = (notifier(BrokenNotifier, "x"), notifier(ListNotifier, "y"))
    connected(monkeypatch, depth(50), alarm_messages=1, notifiers=both)
    with pytest.raises(ConnectionError, match="no mail today"):
        sensor().execute(FakeInstance().context)
    assert [text for text, _ in told] == ["y"]


def fired(trigger: DeadLettersPresentTrigger) -> Any:
    async def first() -> Any:
        async with asyncio.timeout(10):
            return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(first())
    return payload


def test_the_trigger_comes_back_as_it_was_saved() -> None:
    trigger = DeadLettersPresentTrigger("members", 5, NOW_US, poll_s=7.0)
    path, saved = trigger.serialize()
    assert path == f"{triggers.__name__}.DeadLettersPresentTrigger"
    assert saved == {"target": "members", "at_least": 5, "give_up_us": NOW_US, "poll_s": 7.0}
    assert DeadLettersPresentTrigger(**saved).serialize() == (path, saved)


@pytest.mark.parametrize(
    ("give_up_us", "expected"),
    [(NOW_US + 1, {"messages": 5, "in_flight": 1}), (NOW_US, {"messages": 0, "in_flight": 9})],
)
def test_the_trigger_fires_when_so_many_wait_or_its_time_has_come(
    monkeypatch: pytest.MonkeyPatch, give_up_us: int, expected: dict[str, int]
) -> None:
    connected(monkeypatch, depth(0, 9), depth(4, 9), depth(5, 1))
    assert fired(DeadLettersPresentTrigger("members", 5, give_up_us, poll_s=0.001)) == expected
