"""The tasks of the follower: which targets need it, and one target's round."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.clock import Clock, SystemClock
from dynamo_opensearch.core.follow.follower import Follower
from dynamo_opensearch.operators.failures import current_dag_id, refusals_of_dag
from dynamo_opensearch.operators.object_storage import ObjectStorageRejectSink, reports_path
from dynamo_opensearch.triggers.follow_needed import FollowNeededTrigger
from dynamo_opensearch.triggers.stream_activity import StreamActivityTrigger
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.followed_targets import FollowedTargets
from dynamo_opensearch.wiring.following import make_follower
from dynamo_opensearch.wiring.target_connections import TargetConnections

ROUND_S = 600.0
_WAKE_S = 1_800.0
_LOOK_EVERY_S = 4.0
_WORTH_DEFERRING_S = 5.0
"""A shorter wait costs less than a process that starts again."""


class PlanFollowOperator(BaseOperator):
    """Name the targets with an index that is being built or kept; wait in the triggerer until there is one."""

    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Return their names."""
        with refusals_of_dag(current_dag_id()):
            return self._look()

    def resume(self, context: Context, event: dict[str, Any]) -> list[str]:  # noqa: ARG002 - Airflow's signature
        """Return what the trigger has found, or wait on."""
        targets: list[str] = event["targets"]
        with refusals_of_dag(current_dag_id()):
            return targets or self._look()

    def _look(self) -> list[str]:
        needed = FollowedTargets().needed(or_silent=True)
        if not needed:
            self.log.info("no index is being built or kept; waiting until one is")
            wake_us = SystemClock().time_us() + round(_WAKE_S * 1e6)
            self.defer(
                trigger=FollowNeededTrigger(wake_us), method_name="resume", timeout=timedelta(seconds=1.5 * _WAKE_S)
            )
        return needed


class FollowStreamOperator(BaseOperator):
    """Carry each change of a table into the indices that are being built or kept. Safe to kill and start again.

    What it fails of is always tried again, permanent or not: the next run begins at once, and Airflow's growing
    delays between tries are what keeps a target without a stream from failing many times a minute.

    Ends when there is nothing to feed any more, after a round, or when another target needs to be followed. While the
    stream is silent it waits in the triggerer.

    :param target: name of the target.
    :param planned: names of all targets that this run serves.
    :param round_s: seconds after which the round ends.
    """

    template_fields: Sequence[str] = ("target", "planned")

    def __init__(self, *, target: str, planned: Any, round_s: float = ROUND_S, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.planned, self.round_s = target, planned, round_s

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return what was done, as the follower saved it."""
        tell_acting_as(self.target, self.log)
        connections = TargetConnections.of(self.target)
        with refusals_of_dag(current_dag_id()):
            return self._follow(connections, connections.clock.time_us() + round(self.round_s * 1e6))

    def resume(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Go on with the round."""
        connections = TargetConnections.of(self.target)
        with refusals_of_dag(current_dag_id()):
            return self._follow(connections, event["until_us"])

    def _follow(self, connections: TargetConnections, until_us: int) -> dict[str, Any]:
        folder = reports_path(connections.environment.reports) / "rejects" / self.target / "follow"
        follower = make_follower(connections, lambda index: ObjectStorageRejectSink(folder / index))
        silence = self._steps(follower, connections.clock, until_us)
        if silence is not None:
            self.log.info("the stream is silent; waiting for its next record")
            wake_us = min(until_us, connections.clock.time_us() + round(silence.seconds * 1e6))
            self.defer(
                trigger=StreamActivityTrigger(self.target, list(self.planned), silence.markers, wake_us, until_us),
                method_name="resume",
                timeout=timedelta(seconds=self.round_s + 600),
            )
        counts = follower.state.to_json()["counts"]
        self.log.info("round of target %s is over: %s", self.target, counts)
        return dict(counts)

    def _steps(self, follower: Follower, clock: Clock, until_us: int) -> "_Silence | None":
        """Step until the round is over (None), or nothing is to be done for a while."""
        targets = FollowedTargets()
        looked_s = clock.monotonic_s()
        markers: list[str] | None = None
        while clock.time_us() < until_us:
            step = follower.step()
            if not step.is_fed:
                return None
            if not step.has_work:
                clock.sleep(step.wait_s)
            is_quiet = step.quiet_s is not None and step.quiet_s >= _WORTH_DEFERRING_S
            if clock.monotonic_s() - looked_s < _LOOK_EVERY_S:
                continue
            if is_quiet and markers is not None:
                return _Silence(float(step.quiet_s or 0), markers)
            # The follower looks at the markers at least once between this and the next time.
            markers = targets.markers(self.target) if is_quiet else None
            looked_s = clock.monotonic_s()
            if newcomers := sorted(set(targets.needed()) - set(self.planned)):
                self.log.info("the round ends early: %s must be followed, too", ", ".join(newcomers))
                return None
        return None


@dataclass(frozen=True)
class _Silence:
    """For how many seconds nothing is to be done, if the aliases and markers stay where they were."""

    seconds: float
    markers: list[str]
