"""Waiting for dead letters."""

from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseSensorOperator, Context

from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.operators.dead_letter_alarm import notify_dead_letters
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.triggers.dead_letters_present import DeadLettersPresentTrigger
from dynamo_opensearch.wiring.dead_letters import dead_letter_depth, dead_letter_figures, dead_letter_settings
from dynamo_opensearch.wiring.target_connections import TargetConnections


class DeadLettersPresentSensor(BaseSensorOperator):
    """Wait until messages are in a target's dead-letter queue; receives none.

    Returns ``{"messages": …, "in_flight": …, "oldest_age_s": …}``; the age in seconds, None where nobody knows it.
    Where the target's file has an alarm and the figures reach it, its notifiers are called.

    :param target: name of the target.
    :param at_least: messages that must wait, those that somebody works on not counted.
    :param wait_h: hours after which it fails, or skips with ``soft_fail``.
    """

    def __init__(self, *, target: str, at_least: int = 1, wait_h: float = 24.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if at_least < 1:
            raise ValueError(f"at_least must be 1 or more, got {at_least}")
        self.target, self.at_least, self.wait_h = target, at_least, wait_h

    def execute(self, context: Context) -> dict[str, Any]:
        """Look once; then wait in the triggerer."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            depth = dead_letter_depth(connections)
        if depth.visible < self.at_least:
            self._wait(connections, depth)
        return self._found(connections, depth, context)

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return what was found.

        Raises:
            AirflowFailException: the time is up.
        """
        depth = Depth(visible=event["messages"], in_flight=event["in_flight"])
        if depth.visible < self.at_least:
            raise AirflowFailException(
                f"target {self.target!r} has {depth.visible} dead letters after {self.wait_h:g} h, {self.at_least} "
                "were waited for. Clear this task to wait on, or give it soft_fail=True where that is no failure."
            )
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
        return self._found(connections, depth, context)

    def _wait(self, connections: TargetConnections, depth: Depth) -> NoReturn:
        self.log.info("waiting: %d dead letters, %d more are being worked on", depth.visible, depth.in_flight)
        give_up_us = connections.clock.time_us() + round(self.wait_h * 3_600e6)
        self.defer(trigger=DeadLettersPresentTrigger(self.target, self.at_least, give_up_us), method_name="resume")

    def _found(self, connections: TargetConnections, depth: Depth, context: Context) -> dict[str, Any]:
        with failures_for_airflow():
            figures = dead_letter_figures(connections, depth)
            settings = dead_letter_settings(connections)
        notify_dead_letters(context, connections.target, settings, figures)
        return figures.to_json()
