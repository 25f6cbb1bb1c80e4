"""Waiting for the follower of a target."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseSensorOperator, Context

from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.triggers.stream_caught_up import StreamCaughtUpTrigger
from dynamo_opensearch.wiring.following import ask_for, follower_lag
from dynamo_opensearch.wiring.target_connections import TargetConnections


class StreamCaughtUpSensor(BaseSensorOperator):
    """Wait until `sync_follow` feeds an index, and has brought it to the moment when the waiting began.

    Without ``to_now`` it is enough that the follower has taken the index on, saved its first position, and one margin
    has gone by since: from then on a copy misses nothing.

    :param target: name of the target.
    :param index: the index that is being built or kept.
    :param to_now: wait for all that was in the stream when this task began.
    :param wait_h: hours after which it fails with the reason.
    """

    template_fields: Sequence[str] = ("index",)

    def __init__(self, *, target: str, index: Any, to_now: bool = False, wait_h: float = 6.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.index, self.to_now, self.wait_h = target, index, to_now, wait_h

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Look once; then wait in the triggerer."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            now_us = connections.clock.time_us()
            moment_us = now_us if self.to_now else 0
            reason = follower_lag(connections, self.index, moment_us)
            ask_for(connections, moment_us)
        if reason is None:
            return
        self.log.info("waiting: %s", reason)
        give_up_us = now_us + round(self.wait_h * 3_600e6)
        self.defer(
            trigger=StreamCaughtUpTrigger(self.target, self.index, moment_us, give_up_us),
            method_name="resume",
        )

    def resume(self, context: Context, event: dict[str, Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Go on, or fail with the reason; a retry would wait as long once more.

        Raises:
            AirflowFailException: the time is up.
        """
        if event["reason"] is not None:
            raise AirflowFailException(
                f"{event['reason']} Waited {self.wait_h:g} h. Look at the runs of sync_follow: is it paused, or does "
                "its task `follow` fail? Then clear this task."
            )
