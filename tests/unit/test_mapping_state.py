"""Whether Lambda calls the indexer, as the API of its event source mappings tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from dynamo_opensearch.core.aws.event_source_mapping import mapping_state
from dynamo_opensearch.core.errors import AccessDeniedError, ServiceUnavailableError
from tests.support.fakes import FakeClock, quick_retry

UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"


@contextmanager
def lambda_service() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "lambda",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()
    client.close()


def state(client: Any) -> str:
    return mapping_state(client, UUID, FakeClock(), quick_retry())


@pytest.mark.parametrize("name", ["Enabled", "Disabled", "Updating"])
def test_the_state_is_what_lambda_says(name: str) -> None:
    with lambda_service() as (client, stubber):
        stubber.add_response("get_event_source_mapping", {"UUID": UUID, "State": name}, {"UUID": UUID})
        assert state(client) == name


def test_an_answer_without_a_state_is_unknown() -> None:
    with lambda_service() as (client, stubber):
        stubber.add_response("get_event_source_mapping", {"UUID": UUID})
        assert state(client) == "unknown"


@pytest.mark.parametrize(("code", "status"), [("AccessDeniedException", 403), ("ResourceNotFoundException", 404)])
def test_a_refusal_and_a_mapping_that_is_not_there_name_the_action_and_the_mapping(code: str, status: int) -> None:
    with lambda_service() as (client, stubber):
        stubber.add_client_error("get_event_source_mapping", code, http_status_code=status)
        with pytest.raises(AccessDeniedError, match=f"refused lambda:GetEventSourceMapping on '{UUID}' .{code}"):
            state(client)


def test_throttling_is_waited_out() -> None:
    with lambda_service() as (client, stubber):
        stubber.add_client_error("get_event_source_mapping", "TooManyRequestsException", http_status_code=429)
        stubber.add_response("get_event_source_mapping", {"State": "Enabled"})
        assert state(client) == "Enabled"


def test_an_endpoint_that_stays_away_ends_the_patience() -> None:
    class Away:
        def get_event_source_mapping(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://lambda")

    with pytest.raises(ServiceUnavailableError, match="Lambda did not complete GetEventSourceMapping"):
        state(Away())
