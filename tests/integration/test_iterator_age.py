"""The indexer's metric, asked of MiniStack's CloudWatch."""

import time
import uuid

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dynamodb.iterator_age import iterator_age_s
from tests.support import oracle
from tests.support.fakes import quick_retry
from tools.local.processes import Server


def test_what_lambda_has_sent_is_found_by_function_and_alias(ministack_server: Server) -> None:
    client = oracle.client(ministack_server.url, "cloudwatch")
    function = f"indexer-{uuid.uuid4().hex[:8]}"
    resource = {"Name": "Resource", "Value": f"{function}:live"}
    client.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "IteratorAge",
                "Dimensions": [{"Name": "FunctionName", "Value": function}, resource],
                "Timestamp": time.time() - 60,
                "Value": 7_000.0,
                "Unit": "Milliseconds",
            }
        ],
    )
    found = iterator_age_s(client, function, "live", SystemClock(), quick_retry())
    assert found is not None
    assert 7 <= found < 7 + 60 + 61
    assert iterator_age_s(client, f"{function}-other", "live", SystemClock(), quick_retry()) is None
    client.close()
