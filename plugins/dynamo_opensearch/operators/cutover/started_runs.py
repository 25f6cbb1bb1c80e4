"""Runs of other DAGs, as steps of this one: started once, waited for, and their failure this step's."""

from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk import Context
from airflow.utils.helpers import build_airflow_dagrun_url

from dynamo_opensearch.operators.hold import AirflowRunStates

_ENDS = ("success", "failed")


class RunDagOperator(TriggerDagRunOperator):
    """Start a run of another DAG and wait for its end, without a worker slot; fails as it fails.

    Safe to run again: a run of this id is found, waited for, and not started twice.

    :param trigger_dag_id: the other DAG.
    :param trigger_run_id: id of its run, made of this run's.
    :param conf: its parameters.
    :param poll_s: seconds between two looks.
    """

    def __init__(self, *, poll_s: int = 15, **kwargs: Any) -> None:
        super().__init__(wait_for_completion=True, deferrable=True, poke_interval=poll_s, **kwargs)

    def execute(self, context: Context) -> None:
        """Start it, unless an earlier try did."""
        dag_id, run_id = self.trigger_dag_id, str(self.trigger_run_id)
        state = AirflowRunStates(context["ti"]).state(dag_id, run_id)
        if state is None:
            _check_unpaused(context["ti"], dag_id)
            super().execute(context)
        self.log.info("run %r of DAG %r was started by an earlier try, and is %s", run_id, dag_id, state)
        if state in _ENDS:
            self._end(str(state))
        else:
            trigger = DagStateTrigger(dag_id, list(_ENDS), run_ids=[run_id], poll_interval=self.poke_interval)  # type: ignore[arg-type]
            self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Context, event: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Go on, or fail with what to do.

        Raises:
            AirflowFailException: the run has failed.
        """
        _, seen = event
        state = seen.get(str(self.trigger_run_id))
        self._end(str(getattr(state, "value", state)))

    def _end(self, state: str) -> None:
        dag_id, run_id = self.trigger_dag_id, str(self.trigger_run_id)
        if state != "success":
            raise AirflowFailException(
                f"run {run_id!r} of DAG {dag_id!r} is {state}: {build_airflow_dagrun_url(dag_id, run_id)}. Its red "
                "tasks say why. Mend that, clear them there, then clear this task: it waits for that run. Or start "
                "this DAG again: what was done before is found done, and a new run of that DAG is started."
            )
        self.log.info("run %r of DAG %r has succeeded", run_id, dag_id)


def _check_unpaused(instance: Any, dag_id: str) -> None:
    """A run of a paused DAG waits for ever. Airflow before 3.2 does not tell.

    Raises:
        AirflowFailException: it is paused.
    """
    if hasattr(instance, "get_dag") and instance.get_dag(dag_id).is_paused:
        raise AirflowFailException(
            f"DAG {dag_id!r} is paused, so a run of it would wait for ever; none was started. "
            f"airflow dags unpause {dag_id}, then clear this task."
        )
