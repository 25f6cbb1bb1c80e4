"""The task of a cutover that puts the API's new version in service."""

from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.cutover.api.release import release_api
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.run_identity import run_of
from dynamo_opensearch.wiring.services import control_plane, recorded_changes
from dynamo_opensearch.wiring.target_connections import TargetConnections

COMPONENT_KEY = "component"


class DeployApiOperator(BaseOperator):
    """Put the API's newest version in service, or the one that the target file names. Recorded for a rollback.

    Pushes ``component`` (``ecs`` or ``lambda_api``) for ``ServiceSettledSensor``, which has to follow: nothing is
    waited for here. Skipped without ``api`` in the target file. Safe to run again, also after a kill.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what is in service now."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            api = connections.environment.api
            if api is None:
                raise AirflowSkipException(f"environments.{environment_name()}.api is not in the target file")
            changes = recorded_changes(connections)
            served = release_api(control_plane(connections), api, changes, run_of(context))
        self.log.info("%s", served)
        context["ti"].xcom_push(key=COMPONENT_KEY, value=served.component)
        return served.now.to_json()
