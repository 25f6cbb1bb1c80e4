"""How old the oldest dead letter is, by the metric that SQS sends; and what thresholds say of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from dynamo_opensearch.core.dead_letters.alarm.figures import DeadLetterFigures
from dynamo_opensearch.core.dead_letters.alarm.oldest_age import oldest_age_s
from tests.support.fakes import NOW_US, FakeClock, quick_retry

NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)


class CloudWatch:
    """Answers with points as minutes ago and age in seconds, or fails."""

    def __init__(self, *points: tuple[int, float], failure: Exception | None = None) -> None:
        self.points, self.failure = points, failure
        self.asked: list[dict[str, Any]] = []

    def get_metric_statistics(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        if self.failure:
            raise self.failure
        return {
            "Datapoints": [
                {"Timestamp": NOW - timedelta(minutes=ago), "Maximum": age, "Unit": "Seconds"}
                for ago, age in self.points
            ]
        }


def denied() -> ClientError:
    return ClientError(
        {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetMetricStatistics"
    )


def age(client: CloudWatch, queue: str = "letters") -> float | None:
    return oldest_age_s(client, queue, FakeClock(), quick_retry(60.0))


@pytest.mark.parametrize("queue", ["letters", "https://sqs.eu-central-1.amazonaws.com/123456789012/letters"])
def test_the_newest_minute_says_how_old_the_oldest_is(queue: str) -> None:
    client = CloudWatch((8, 9_000.0), (2, 540.0), (3, 480.0))
    assert age(client, queue) == 540.0
    (asked,) = client.asked
    assert (asked["Namespace"], asked["MetricName"]) == ("AWS/SQS", "ApproximateAgeOfOldestMessage")
    assert asked["Dimensions"] == [{"Name": "QueueName", "Value": "letters"}]
    assert asked["Statistics"] == ["Maximum"]
    assert asked["EndTime"] - asked["StartTime"] == timedelta(minutes=10)


@pytest.mark.parametrize(
    "client",
    [CloudWatch(), CloudWatch(failure=denied()), CloudWatch(failure=ConnectTimeoutError(endpoint_url="u"))],
    ids=["no metric", "no right", "no way to it"],
)
def test_where_nobody_says_it_is_not_known(client: CloudWatch) -> None:
    assert age(client) is None


def test_it_is_not_waited_for_as_long_as_for_other_services() -> None:
    clock = FakeClock()
    oldest_age_s(CloudWatch(failure=ConnectTimeoutError(endpoint_url="u")), "letters", clock, quick_retry(10_000.0))
    assert sum(clock.slept) < 6


@pytest.mark.parametrize(
    ("messages", "age_s", "is_reached"),
    [
        (None, None, False),
        (10, None, True),
        (11, None, False),
        (None, 60.0, True),
        (None, 60.5, False),
        (11, 60.0, True),
    ],
)
def test_one_threshold_is_enough_and_none_is_none(messages: int | None, age_s: float | None, is_reached: bool) -> None:
    figures = DeadLetterFigures(messages=10, in_flight=99, oldest_age_s=60.0)
    assert figures.reaches(messages, age_s) is is_reached


def test_an_age_that_is_not_known_reaches_nothing() -> None:
    assert not DeadLetterFigures(messages=10, in_flight=0).reaches(None, 1.0)
