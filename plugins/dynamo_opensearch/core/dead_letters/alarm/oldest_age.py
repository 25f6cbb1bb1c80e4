"""How old the oldest dead letter is, as CloudWatch knows it: a queue itself does not say."""

import logging
from dataclasses import replace
from typing import Any

from dynamo_opensearch.core.aws.metrics import Metric, highest_values
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError

LOOK_BACK_S = 600
_PATIENCE_S = 5.0

log = logging.getLogger(__name__)


def oldest_age_s(cloudwatch: Any, queue: str, clock: Clock, retry: RetryPolicy) -> float | None:
    """Seconds that the oldest message has waited, by the newest of the last ten minutes; None where nothing says so.

    The metric ApproximateAgeOfOldestMessage (AWS/SQS) comes some minutes late, and leaves out what was received three
    times (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html).
    It is worth having, not worth failing or waiting for. ``queue``: name or URL; ``cloudwatch``: a boto3 client, its
    own retries off. Reads only.
    """
    name = queue.rsplit("/", 1)[-1]
    metric = Metric(
        namespace="AWS/SQS",
        name="ApproximateAgeOfOldestMessage",
        dimensions=(("QueueName", name),),
        resource=name,
    )
    brief = replace(retry, give_up_after_s=min(retry.give_up_after_s, _PATIENCE_S))
    try:
        points = highest_values(cloudwatch, metric, LOOK_BACK_S, clock, brief)
    except (AccessDeniedError, ServiceUnavailableError) as error:
        log.info("how old the oldest message is cannot be told: %s", error)
        return None
    return max(points).value if points else None
