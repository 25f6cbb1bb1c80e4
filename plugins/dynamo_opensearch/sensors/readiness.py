"""Waiting for something that takes its time: a look at once, then in the triggerer."""

from typing import Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseSensorOperator, Context

from dynamo_opensearch.core.cutover.readiness import Readiness
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.triggers.readiness import ReadinessTrigger
from dynamo_opensearch.wiring.target_connections import TargetConnections


class ReadinessSensor(BaseSensorOperator):
    """Wait without a worker slot until what a trigger looks at is ready. Reads only; a second run waits as long again.

    :param target: name of the target.
    :param wait_min: minutes after which it fails with what was seen last.
    :param poll_s: seconds between two looks.
    """

    trigger_class: ClassVar[type[ReadinessTrigger]]
    advice: ClassVar[str]
    """Where to look when the time is up."""

    def __init__(self, *, target: str, wait_min: float = 60.0, poll_s: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.wait_min, self.poll_s = target, wait_min, poll_s

    def execute(self, context: Context) -> str:  # noqa: ARG002 - Airflow's signature
        """Look once; then wait in the triggerer. Returns what the wait is for."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            found = self.trigger_class.make_readiness(connections)()
        if not found.is_ready:
            self._wait(found, connections.clock.time_us() + round(self.wait_min * 60e6))
        return self._end(found)

    def resume(self, context: Context, event: dict[str, Any]) -> str:  # noqa: ARG002 - Airflow's signature
        """Go on, or fail with what was seen last.

        Raises:
            AirflowFailException: the time is up; a retry would wait as long once more.
        """
        return self._end(Readiness.from_json(event))

    def _wait(self, found: Readiness, give_up_us: int) -> NoReturn:
        self.log.info("waiting: %s", found.seen)
        self.defer(trigger=self.trigger_class(self.target, give_up_us, self.poll_s), method_name="resume")

    def _end(self, found: Readiness) -> str:
        if not found.is_ready:
            raise AirflowFailException(
                f"{found.seen}. Waited {self.wait_min:g} min. {self.advice} Then clear this task."
            )
        self.log.info("%s", found.seen)
        return found.value
