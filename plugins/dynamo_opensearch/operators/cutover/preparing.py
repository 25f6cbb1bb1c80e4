"""The first tasks of a cutover: whom it acts as, the index behind the alias, the table's stream."""

from typing import Any

from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.cutover.own_environment import check_own_environment
from dynamo_opensearch.core.state.holder import CUTOVER
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.hold import keep_hold
from dynamo_opensearch.operators.preflight import IdentifyCallerOperator
from dynamo_opensearch.wiring.cutover import make_index_behind_alias, switch_stream_on
from dynamo_opensearch.wiring.target_connections import TargetConnections, load_target


class IdentifyCutoverOperator(IdentifyCallerOperator):
    """Say whom this run acts as, and on what; refuse an environment that is not this deployment's. Reads only."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return who acts on what."""
        own = environment_name()
        with failures_for_airflow():
            known = list(load_target(self.target).environments)
            check_own_environment(context["ti"].dag_id, self.environment or own, own, known)
        return super().execute(context)


class MakeIndexOperator(BaseOperator):
    """Make the index behind the alias where there is none, by the mapping file. Safe to run again.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the index: ``alias``, ``index``, ``uuid``, ``was_there``, ``made_by``."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            keep_hold(connections, context, CUTOVER)
            made = make_index_behind_alias(connections, str(context["run_id"]))
        self.log.info("%s", made)
        return made.to_json()


class EnableStreamOperator(BaseOperator):
    """Switch the table's stream on where it is off; one of another view type is refused. Safe to run again.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Do it; that it can be read is for the sensor to wait for."""
        with failures_for_airflow():
            switch = switch_stream_on(TargetConnections.of(self.target))
        self.log.info("%s", switch)
