"""A process that does one of the first steps of a cutover on a rig; a test may kill it.

`python -m tests.support.preparing_process AWS_URL OPENSEARCH_URL RIG index|stream`
"""

import sys

import pytest

from dynamo_opensearch.wiring.cutover import make_index_behind_alias, switch_stream_on
from tests.support.cutover_rig import CutoverConnections
from tests.support.rig import Rig


def main(aws_url: str, opensearch_url: str, base: str, step: str) -> None:
    rig = Rig(direct_dynamodb=aws_url, direct_opensearch=opensearch_url, base=base, read_timeout_s=60.0)
    connections = CutoverConnections.of_rig(rig)
    with pytest.MonkeyPatch.context() as patch:
        connections.use(patch)
        if step == "index":
            print(make_index_behind_alias(connections, "run 1").was_there, flush=True)
        else:
            print(switch_stream_on(connections).was_on, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
