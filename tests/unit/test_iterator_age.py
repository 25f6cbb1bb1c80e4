"""How far behind an indexer is, by the metric that Lambda sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from dynamo_opensearch.core.dynamodb.iterator_age import LOOK_BACK_S, iterator_age_s
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from dynamo_opensearch.core.rebuild.planning import follow_from_us
from tests.support.fakes import NOW_US, FakeClock, quick_retry

NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)


@contextmanager
def cloudwatch() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "cloudwatch",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()
    client.close()


def question(*dimensions: tuple[str, str]) -> dict[str, Any]:
    return {
        "Namespace": "AWS/Lambda",
        "MetricName": "IteratorAge",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
        "StartTime": NOW - timedelta(seconds=LOOK_BACK_S),
        "EndTime": NOW,
        "Period": 60,
        "Statistics": ["Maximum"],
    }


def answer(*points: tuple[float, float]) -> dict[str, Any]:
    """Points as seconds ago and age in milliseconds."""
    return {
        "Datapoints": [
            {"Timestamp": NOW - timedelta(seconds=ago), "Maximum": age, "Unit": "Milliseconds"} for ago, age in points
        ]
    }


def age(client: Any, function: str | None = "indexer", alias: str | None = None) -> float | None:
    return iterator_age_s(client, function, alias, FakeClock(), quick_retry())


def test_the_highest_age_counts_and_from_the_newest_minute_that_there_is() -> None:
    with cloudwatch() as (client, stubber):
        stubber.add_response(
            "get_metric_statistics", answer((600, 45_000.0), (120, 2_000.0)), question(("FunctionName", "indexer"))
        )
        assert age(client) == 120 + 45


def test_an_alias_has_its_own_metric() -> None:
    with cloudwatch() as (client, stubber):
        asked = question(("FunctionName", "indexer"), ("Resource", "indexer:live"))
        stubber.add_response("get_metric_statistics", answer((60, 500.0)), asked)
        assert age(client, alias="live") == 60.5


def test_without_indexer_or_metric_nothing_is_known() -> None:
    with cloudwatch() as (client, stubber):
        assert age(client, function=None) is None
        stubber.add_response("get_metric_statistics", answer())
        assert age(client) is None


def test_a_refusal_names_the_action_to_allow() -> None:
    with cloudwatch() as (client, stubber):
        stubber.add_client_error("get_metric_statistics", "AccessDenied", http_status_code=403)
        with pytest.raises(AccessDeniedError, match="CloudWatch refused cloudwatch:GetMetricStatistics on 'indexer'"):
            age(client)


def test_throttling_is_waited_out() -> None:
    with cloudwatch() as (client, stubber):
        stubber.add_client_error("get_metric_statistics", "Throttling", http_status_code=400)
        stubber.add_response("get_metric_statistics", answer((60, 500.0)))
        assert age(client) is not None


def test_an_endpoint_that_stays_away_ends_the_patience() -> None:
    class Away:
        def get_metric_statistics(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://monitoring")

    with pytest.raises(ServiceUnavailableError, match="CloudWatch did not complete"):
        age(Away())


def test_the_follower_begins_where_the_indexer_stands_and_five_minutes() -> None:
    assert follow_from_us(NOW_US, 165.0) == NOW_US - 465_000_000
    assert follow_from_us(NOW_US, None) == 0
    assert follow_from_us(1, 165.0) == 0
