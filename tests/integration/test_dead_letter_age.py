"""The age of the oldest dead letter, asked of MiniStack's CloudWatch."""

import time
import uuid

from dynamo_opensearch.core.clock import SystemClock
from dynamo_opensearch.core.dead_letters.alarm.oldest_age import oldest_age_s
from tests.support import oracle
from tests.support.fakes import quick_retry
from tools.local.processes import Server


def test_what_sqs_has_sent_last_is_found_by_the_queues_name_or_url(ministack_server: Server) -> None:
    client = oracle.client(ministack_server.url, "cloudwatch")
    queue = f"letters-{uuid.uuid4().hex[:8]}"
    for minutes_ago, age_s in ((8, 30_000.0), (5, 3_600.0), (2, 120.0)):
        client.put_metric_data(
            Namespace="AWS/SQS",
            MetricData=[
                {
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": queue}],
                    "Timestamp": time.time() - 60 * minutes_ago,
                    "Value": age_s,
                    "Unit": "Seconds",
                }
            ],
        )
    for name in (queue, f"https://sqs.eu-central-1.amazonaws.com/123456789012/{queue}"):
        assert oldest_age_s(client, name, SystemClock(), quick_retry()) == 120.0
    assert oldest_age_s(client, f"{queue}-other", SystemClock(), quick_retry()) is None
    client.close()
