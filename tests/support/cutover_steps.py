"""The steps of a cutover that change services, as one process has them: on real servers, by a target's file."""

import io
from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.cutover.indexer_alias import move_indexer
from dynamo_opensearch.core.cutover.indexer_code import DeployedIndexer, bring_indexer
from dynamo_opensearch.core.cutover.indexer_package import S3Place, read_package
from dynamo_opensearch.core.cutover.serving import Served
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.state.index_store import IndexStateStore
from dynamo_opensearch.core.targets.environment import Environment
from tests.support.dying import Fate
from tests.support.fakes import quick_retry
from tests.support.rig_connections import HurriedClock


class Steps:
    """``client``: a boto3 client of a service. ``fate``: after how many calls the process dies, if it does."""

    def __init__(
        self,
        client: Callable[[str], Any],
        cluster: PatientCluster,
        state_index: str,
        environment: Environment,
        fate: Fate | None = None,
    ) -> None:
        fate, self.clock, self.environment = fate or Fate(), HurriedClock(), environment
        self.plane = fate.watch(BotoControlPlane(client, self.clock, quick_retry()), "ask")
        store = IndexStateStore(cluster, state_index, "services|members-live")
        self.changes = RecordedChanges(fate.watch(store, "load", "save"), self.clock)

    def deploy(self, content: bytes | None, place: S3Place | None = None) -> DeployedIndexer:
        """The package, or what is there where there is none."""
        package = None if content is None else read_package("indexer.zip", io.BytesIO(content), place)
        assert self.environment.indexer is not None
        return bring_indexer(self.plane, self.clock, self.environment.indexer, package)

    def move(self, deployed: DeployedIndexer, run: Run) -> Served:
        """The indexer's alias."""
        assert self.environment.indexer is not None
        return move_indexer(self.plane, str(self.environment.indexer.alias), deployed, self.changes, run)
