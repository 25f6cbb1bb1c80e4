"""How far behind a table's indexer is, as CloudWatch knows it."""

from typing import Any

from dynamo_opensearch.core.aws.metrics import Metric, highest_values
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock

LOOK_BACK_S = 900


def iterator_age_s(
    cloudwatch: Any, function: str | None, alias: str | None, clock: Clock, retry: RetryPolicy
) -> float | None:
    """Seconds before now up to which the indexer has worked the stream off; None where nothing says so.

    The metric IteratorAge (AWS/Lambda) is how old, in milliseconds, the last record of a batch was when the function
    had finished with it (https://docs.aws.amazon.com/lambda/latest/dg/events-dynamodb-metrics.html). An indexer that
    is throttled, stuck or switched off sends none. So the highest age of the last 15 minutes is taken to be of the
    newest minute that there is, not of now. ``cloudwatch`` is a boto3 client, its own retries off. Reads only.

    Raises:
        AccessDeniedError: cloudwatch:GetMetricStatistics cannot be used.
        ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
    """
    if function is None:
        return None
    now_s = clock.time_us() / 1e6
    metric = Metric(
        namespace="AWS/Lambda", name="IteratorAge", dimensions=_dimensions(function, alias), resource=function
    )
    points = highest_values(cloudwatch, metric, LOOK_BACK_S, clock, retry)
    if not points:
        return None
    newest_s = max(point.at_s for point in points)
    highest_s = max(point.value for point in points) / 1e3
    return max(0.0, now_s - newest_s) + highest_s


def _dimensions(function: str, alias: str | None) -> tuple[tuple[str, str], ...]:
    """Of an alias, ``Resource`` is ``function:alias``."""
    named = (("FunctionName", function),)
    return named if alias is None else (*named, ("Resource", f"{function}:{alias}"))
