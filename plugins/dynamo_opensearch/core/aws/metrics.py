"""What CloudWatch has measured lately."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dynamo_opensearch.core.aws.errors import denied, describe
from dynamo_opensearch.core.aws.patient_calls import PatientCalls
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import AccessDeniedError

_PERIOD_S = 60
_SERVICE = "CloudWatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of one resource, which is named in errors."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    resource: str


class MetricPoint(NamedTuple):
    """The highest value of the minute that began at ``at_s`` (seconds since 1970)."""

    at_s: float
    value: float


def highest_values(
    cloudwatch: Any, metric: Metric, look_back_s: float, clock: Clock, retry: RetryPolicy
) -> list[MetricPoint]:
    """The minutes for which something was measured, in any order. ``cloudwatch``: boto3's client, its retries off.

    Raises:
        AccessDeniedError: cloudwatch:GetMetricStatistics cannot be used.
        ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
    """

    def refused(error: Exception, action: str) -> Exception:
        told = denied(error, _SERVICE, f"cloudwatch:{action}", metric.resource)
        return told or AccessDeniedError(_SERVICE, f"cloudwatch:{action}", metric.resource, describe(error))

    now = datetime.fromtimestamp(clock.time_us() / 1e6, UTC)
    answer = PatientCalls(_SERVICE, metric.resource, refused, clock, retry).call(
        "GetMetricStatistics",
        cloudwatch.get_metric_statistics,
        Namespace=metric.namespace,
        MetricName=metric.name,
        Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions],
        StartTime=now - timedelta(seconds=look_back_s),
        EndTime=now,
        Period=_PERIOD_S,
        Statistics=["Maximum"],
    )
    points = answer.content.get("Datapoints", [])
    return [MetricPoint(point["Timestamp"].timestamp(), float(point["Maximum"])) for point in points]
