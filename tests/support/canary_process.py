"""A process that lets a canary fly; a test may kill it.

`python -m tests.support.canary_process DYNAMODB_URL OPENSEARCH_URL RIG MARK TRY`
"""

import sys

import pytest

from dynamo_opensearch.wiring.canary import planned_canary, try_indexer
from tests.support.cutover_rig import CutoverConnections
from tests.support.rig import Rig


def main(dynamodb_url: str, opensearch_url: str, base: str, mark: str, attempt: str) -> None:
    rig = Rig(direct_dynamodb=dynamodb_url, direct_opensearch=opensearch_url, base=base)
    connections = CutoverConnections.of_rig(rig)
    with pytest.MonkeyPatch.context() as patch:
        connections.use(patch)
        report = try_indexer(connections, planned_canary(connections, mark, int(attempt)), None, 60.0)
    print(f"written {report.written_s:.1f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
