"""The steps of a cutover that change services, as one process has them: on real servers, by a target's file."""

import io
import time
from collections.abc import Callable
from typing import Any

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.cutover.api.release import release_api
from dynamo_opensearch.core.cutover.indexer.alias import move_indexer
from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.cutover.indexer.deploying import bring_indexer
from dynamo_opensearch.core.cutover.indexer.package import S3Place, read_package
from dynamo_opensearch.core.cutover.mapping.enabling import IndexerMapping, enable_mapping
from dynamo_opensearch.core.cutover.mapping.wait import wait_for_mapping
from dynamo_opensearch.core.cutover.serving import Served
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.services.choosing import choose_component
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.services.settling import Outcome, Settling
from dynamo_opensearch.core.state.index_store import IndexStateStore
from dynamo_opensearch.core.targets.model import Target
from tests.support.dying import Fate
from tests.support.fakes import quick_retry
from tests.support.rig_connections import HurriedClock
from tools.local.ministack import REGION

LOCAL = "local"
_GIVE_UP_US = 30_000_000


class Steps:
    """``client``: a boto3 client of a service. ``fate``: after how many calls the process dies, if it does."""

    def __init__(
        self,
        client: Callable[[str], Any],
        cluster: PatientCluster,
        state_index: str,
        target: Target,
        fate: Fate | None = None,
    ) -> None:
        fate, self.clock = fate or Fate(), HurriedClock()
        self.target, self.environment, self._cluster = target, target.environments[LOCAL], cluster
        self.plane = fate.watch(BotoControlPlane(client, self.clock, quick_retry()), "ask")
        store = IndexStateStore(cluster, state_index, "services|members-live")
        self.changes = RecordedChanges(fate.watch(store, "load", "save"), self.clock)

    @property
    def side(self) -> Side:
        """What the checks of a preflight get, too."""
        return Side(
            name=LOCAL,
            target=self.target,
            environment=self.environment,
            mapping=MappingFile("members.json", {}, {}),
            aws=self.plane,
            cluster=self._cluster,
            clock=self.clock,
            retry=quick_retry(),
            region=REGION,
            endpoint="http://127.0.0.1:1",
        )

    def deploy(self, content: bytes | None, place: S3Place | None = None) -> DeployedIndexer:
        """The package, or what is there where there is none."""
        package = None if content is None else read_package("indexer.zip", io.BytesIO(content), place)
        assert self.environment.indexer is not None
        return bring_indexer(self.plane, self.clock, self.environment.indexer, package)

    def move(self, deployed: DeployedIndexer, run: Run) -> Served:
        """The indexer's alias."""
        assert self.environment.indexer is not None
        return move_indexer(self.plane, str(self.environment.indexer.alias), deployed, self.changes, run)

    def enable(self) -> IndexerMapping:
        """The event source mapping."""
        return enable_mapping(self.side)

    def wait(self, uuid: str) -> str:
        """Until it is Enabled."""
        return wait_for_mapping(self.plane, self.clock, uuid, 30)

    def release(self, run: Run) -> Served:
        """The API."""
        assert self.environment.api is not None
        return release_api(self.plane, self.environment.api, self.changes, run)

    def settle(self, served: Served, run: Run) -> Outcome:
        """As ``ServiceSettledSensor``."""
        component = choose_component(served.component, self.target.name, LOCAL, self.environment, self.plane)
        settling = Settling(component, served.now, None, self.clock, self.clock.time_us() + _GIVE_UP_US)
        while (outcome := settling.look()) is None:
            time.sleep(0.1)
        self.changes.end(served.component, run, outcome.state)
        return outcome
