"""The tasks of a cutover that bring the indexer's code, and let its alias lead to it."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import BaseOperator, Context

from dynamo_opensearch.core.cutover.indexer.alias import move_indexer
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.indexer.deploying import bring_indexer
from dynamo_opensearch.core.targets.environment import IndexerSettings
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.operators.cutover.package_files import indexer_package
from dynamo_opensearch.operators.failures import failures_for_airflow
from dynamo_opensearch.operators.run_identity import run_of
from dynamo_opensearch.wiring.services import control_plane, recorded_changes
from dynamo_opensearch.wiring.target_connections import TargetConnections


def indexer_asked_for(connections: TargetConnections) -> IndexerSettings:
    """What the target file says of the indexer.

    Raises:
        AirflowSkipException: nothing, so there is nothing to do.
    """
    indexer = connections.environment.indexer
    if indexer is None:
        raise AirflowSkipException(f"environments.{environment_name()}.indexer is not in the target file")
    return indexer


class DeployIndexerOperator(BaseOperator):
    """Upload the indexer's code where it is other code, and publish it as a version; nothing invokes that yet.

    Without ``indexer.package`` in the target file the version that the alias leads to is taken. Skipped without
    ``indexer``. Safe to run again, also after a kill.

    :param target: name of the target.
    """

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Return the version, and what was done for it."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            indexer = indexer_asked_for(connections)
            package = indexer_package(connections.environment)
            deployed = bring_indexer(control_plane(connections), connections.clock, indexer, package)
        self.log.info("%s", deployed)
        return deployed.to_json()


class MoveIndexerOperator(BaseOperator):
    """Let the indexer's alias lead to the version that was deployed; made where it is missing. Recorded for a rollback.

    Skipped without ``indexer`` in the target file. Safe to run again, also after a kill.

    :param target: name of the target.
    :param deployed: what the deployment returned.
    """

    template_fields: Sequence[str] = ("deployed",)

    def __init__(self, *, target: str, deployed: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target, self.deployed = target, deployed

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what is in service now, for ``ServiceSettledSensor``."""
        with failures_for_airflow():
            connections = TargetConnections.of(self.target)
            alias = str(indexer_asked_for(connections).alias)
            deployed = DeployedIndexer.from_json(self.deployed)
            changes = recorded_changes(connections)
            served = move_indexer(control_plane(connections), alias, deployed, changes, run_of(context))
        self.log.info("%s", served)
        return served.now.to_json()
