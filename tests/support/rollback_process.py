"""A process that makes a planned change; a test may kill it.

`python -m tests.support.rollback_process AWS_URL OPENSEARCH_URL STATE_INDEX FUNCTION ALIAS PLAN`
"""

import json
import sys

from dynamo_opensearch.core.aws.control_plane import BotoControlPlane
from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.opensearch.cluster import OpenSearchCluster, make_client
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.services.changing import make_change
from dynamo_opensearch.core.services.lambda_alias import LAMBDA_INDEXER, LambdaAliasComponent
from dynamo_opensearch.core.services.plan import ServiceRollbackPlan
from dynamo_opensearch.core.services.recorded import RecordedChanges
from dynamo_opensearch.core.state.index_store import IndexStateStore
from tests.support.fakes import quick_retry
from tests.support.service_rig import client_at


def main(aws_url: str, opensearch_url: str, state_index: str, function: str, alias: str, text: str) -> None:
    clock, retry = SystemClock(), quick_retry()
    cluster = PatientCluster(OpenSearchCluster(make_client(opensearch_url)), clock, retry)
    changes = RecordedChanges(IndexStateStore(cluster, state_index, "services|members-live"), clock)
    plane = BotoControlPlane(lambda service: client_at(aws_url, service), clock, retry)
    component = LambdaAliasComponent(plane, LAMBDA_INDEXER, function, alias)
    plan = ServiceRollbackPlan.from_json(json.loads(text))
    now = make_change(plan.change("local", "members_rollback_service", "r1"), plan.after, component, changes)
    print(now.version, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
