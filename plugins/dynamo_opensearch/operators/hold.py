"""One run at a time changes what a target's alias leads to: taking the target, and letting it go."""

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowRuntimeError

from dynamo_opensearch.core.rebuild.write_block import BlockPorts, put_write_block_back
from dynamo_opensearch.core.state.holder import HolderLostError, TargetHeldError, TargetHold
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.wiring.acting_as import tell_acting_as
from dynamo_opensearch.wiring.deployment import deployment_name
from dynamo_opensearch.wiring.target_connections import TargetConnections

_NOT_FOUND = 404


class AirflowRunStates:
    """Whether a run has ended, asked of Airflow through the task that runs now."""

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance

    def is_finished(self, dag_id: str, run_id: str) -> bool:
        """Whether it ended, well or not; False for a run that this Airflow does not know."""
        return self.state(dag_id, run_id) in ("success", "failed")

    def is_known(self, dag_id: str, run_id: str) -> bool:
        """Whether there is such a run."""
        return self.state(dag_id, run_id) is not None

    def state(self, dag_id: str, run_id: str) -> str | None:
        """``queued``, ``running``, ``success`` or ``failed``; None for a run that this Airflow does not know."""
        try:
            state = self._task_instance.get_dagrun_state(dag_id=dag_id, run_id=run_id)
        except AirflowRuntimeError as error:
            if (error.error.detail or {}).get("status_code") == _NOT_FOUND:
                return None
            raise
        return str(getattr(state, "value", state))  # str() of it is "DagRunState.SUCCESS"


def target_hold(connections: TargetConnections, context: Context) -> TargetHold:
    """The hold on the target's alias, as this run sees it."""
    store = connections.state("holder")
    return TargetHold(store, AirflowRunStates(context["ti"]), connections.clock, deployment_name(), store.path)


def keep_hold(connections: TargetConnections, context: Context, purpose: str) -> None:
    """Make sure that this run holds the target, before a step that needs it.

    A task that was cleared after its run had ended, and let go, takes the target again.

    Raises:
        HolderLostError: another run has it by now.
    """
    instance = context["ti"]
    try:
        target_hold(connections, context).take(instance.dag_id, instance.run_id, purpose)
    except TargetHeldError as error:
        raise HolderLostError(instance.dag_id, instance.run_id, error.holder) from error


def _blocks(connections: TargetConnections) -> BlockPorts:
    return BlockPorts(cluster=connections.cluster, notes=connections.state("swap"), clock=connections.clock)


class HoldTargetOperator(BaseOperator):
    """Take the target for this run; waits, by Airflow's retries, while another run has it. Safe to run again.

    :param target: name of the target.
    :param purpose: ``rebuild``, ``rollback``, ``clean-up`` or ``cutover``.
    :param pre_empts: purposes of runs that have to give way to this one.
    """

    def __init__(self, *, target: str, purpose: str, pre_empts: frozenset[str] = frozenset(), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.purpose, self.pre_empts = target, purpose, pre_empts

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the holder."""
        tell_acting_as(self.target, self.log)
        instance = context["ti"]
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            hold = target_hold(connections, context)
            holder = hold.take(instance.dag_id, instance.run_id, self.purpose, self.pre_empts)
            put_write_block_back(_blocks(connections))  # a run that was killed in mid-swap may have left one
        self.log.info("target %s is held by this run: %s", self.target, holder)
        return holder.to_json()


class ReleaseTargetOperator(BaseOperator):
    """Take away a write block that this run's swap may have left, and let the target go. Safe to run again.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> None:
        """Fails when the block is still there; then the hold stays, too."""
        instance = context["ti"]
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            put_write_block_back(_blocks(connections), instance.run_id)
            was_ours = target_hold(connections, context).release(instance.dag_id, instance.run_id)
        self.log.info("target %s is %s", self.target, "free" if was_ours else "not held by this run any more")
