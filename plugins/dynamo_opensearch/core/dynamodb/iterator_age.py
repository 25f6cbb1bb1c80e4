"""How far behind a table's indexer is, as CloudWatch knows it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dynamo_opensearch.core.aws.errors import CALL_ERRORS, describe, is_passing
from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError

LOOK_BACK_S = 900
_PERIOD_S = 60
_SERVICE = "CloudWatch"
_ACTION = "cloudwatch:GetMetricStatistics"


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
    points = _points(cloudwatch, function, alias, now_s, Backoff(retry, clock))
    if not points:
        return None
    newest_s: float = max(point["Timestamp"].timestamp() for point in points)
    highest_s = max(float(point["Maximum"]) for point in points) / 1e3
    return max(0.0, now_s - newest_s) + highest_s


def _points(cloudwatch: Any, function: str, alias: str | None, now_s: float, backoff: Backoff) -> list[dict[str, Any]]:
    now = datetime.fromtimestamp(now_s, UTC)
    while True:
        try:
            answer = cloudwatch.get_metric_statistics(
                Namespace="AWS/Lambda",
                MetricName="IteratorAge",
                Dimensions=_dimensions(function, alias),
                StartTime=now - timedelta(seconds=LOOK_BACK_S),
                EndTime=now,
                Period=_PERIOD_S,
                Statistics=["Maximum"],
            )
            return list(answer.get("Datapoints", []))
        except CALL_ERRORS as error:
            if not is_passing(error):
                raise AccessDeniedError(_SERVICE, _ACTION, function, describe(error)) from error
            if not backoff.wait():
                raise ServiceUnavailableError(
                    _SERVICE, _ACTION, backoff.attempts, backoff.waited_s, describe(error)
                ) from error


def _dimensions(function: str, alias: str | None) -> list[dict[str, str]]:
    """Of an alias, ``Resource`` is ``function:alias``."""
    named = [{"Name": "FunctionName", "Value": function}]
    return named if alias is None else [*named, {"Name": "Resource", "Value": f"{function}:{alias}"}]
