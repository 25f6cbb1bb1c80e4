"""Waiting for a service or alias after it was changed."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseSensorOperator, Context

from dynamo_opensearch.core.services.in_service import InService
from dynamo_opensearch.core.services.settling import Outcome
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.run_identity import run_of
from dynamo_opensearch.triggers.service_settled import ServiceSettledTrigger
from dynamo_opensearch.wiring.services import recorded_changes, settling_of
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ServiceSettledSensor(BaseSensorOperator):
    """Wait until a component serves what it shall, and its `health_url` answers; fail with what came of it instead.

    The outcome is recorded. Safe to run again: it waits as long once more.

    :param target: name of the target.
    :param component: ``ecs``, ``lambda_api`` or ``lambda_indexer``.
    :param shall: what it shall serve, as the change returned it.
    :param wait_min: minutes after which it fails.
    :param poll_s: seconds between two looks.
    """

    template_fields: Sequence[str] = ("component", "shall")

    def __init__(
        self,
        *,
        target: str,
        component: str,
        shall: Any,
        wait_min: float = 60.0,
        poll_s: float = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target, self.component, self.shall = target, component, shall
        self.wait_min, self.poll_s = wait_min, poll_s

    def execute(self, context: Context) -> str:
        """Look once; then wait in the triggerer. Returns what was seen in the end."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            give_up_us = connections.clock.time_us() + round(self.wait_min * 60e6)
            outcome = settling_of(connections, self.component, InService.from_json(self.shall), give_up_us).look()
        if outcome is None:
            self.defer(
                trigger=ServiceSettledTrigger(self.target, self.component, self.shall, give_up_us, self.poll_s),
                method_name="resume",
            )
        return self._end(context, outcome)

    def resume(self, context: Context, event: dict[str, Any]) -> str:
        """Go on, or fail with what came of it.

        Raises:
            AirflowFailException: the component does not serve what it shall, or is not well.
        """
        return self._end(context, Outcome.from_json(event))

    def _end(self, context: Context, outcome: Outcome) -> str:
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            recorded_changes(connections).end(self.component, run_of(context), outcome.state)
        if not outcome.is_well:
            raise AirflowFailException(outcome.text)
        self.log.info("%s", outcome.text)
        return outcome.text
