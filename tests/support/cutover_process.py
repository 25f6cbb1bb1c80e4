"""A process that does one step of a cutover; a test may kill it.

`python -m tests.support.cutover_process AWS_URL OPENSEARCH_URL STATE_INDEX TARGET STEP [ARGUMENT]`
"""

import json
import sys
from pathlib import Path

from dynamo_opensearch.core.cutover.indexer.deployed import DeployedIndexer
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.services.component import Run
from dynamo_opensearch.core.targets.model import Target
from tests.support.cutover_steps import Steps
from tests.support.fakes import quick_retry
from tests.support.rig_connections import HurriedClock
from tests.support.service_rig import client_at

RUN = Run(deployment="local", dag_id="members_cutover", run_id="c1", triggered_us=4_000_000_000_000_000)
"""Triggered after everything that a test has done."""


def main(aws_url: str, opensearch_url: str, state_index: str, target: str, step: str, argument: str = "") -> None:
    cluster = PatientCluster(OpenSearchCluster(make_client(opensearch_url)), HurriedClock(), quick_retry())
    steps = Steps(lambda service: client_at(aws_url, service), cluster, state_index, Target.model_validate_json(target))
    print(done(steps, step, argument), flush=True)


def done(steps: Steps, step: str, argument: str) -> str:
    if step == "deploy":
        return steps.deploy(Path(argument).read_bytes()).version
    if step == "move":
        return steps.move(DeployedIndexer.from_json(json.loads(argument)), RUN).now.version
    if step == "enable":
        return steps.enable().uuid
    return steps.release(RUN).now.version


if __name__ == "__main__":
    main(*sys.argv[1:])
