"""Whether the indexer is being called at all."""

from typing import Any

from dynamo_opensearch.core.aws.errors import denied, describe
from dynamo_opensearch.core.aws.patient_calls import PatientCalls
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import AccessDeniedError

_SERVICE = "Lambda"


def mapping_state(client: Any, uuid: str, clock: Clock, retry: RetryPolicy) -> str:
    """The ``State`` of an event source mapping, such as Enabled or Disabled. ``client``: boto3's, its retries off.

    Raises:
        AccessDeniedError: lambda:GetEventSourceMapping cannot be used, or there is no such mapping.
        ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
    """

    def refused(error: Exception, action: str) -> Exception:
        told = denied(error, _SERVICE, f"lambda:{action}", uuid)
        return told or AccessDeniedError(_SERVICE, f"lambda:{action}", uuid, describe(error))

    calls = PatientCalls(_SERVICE, uuid, refused, clock, retry)
    answer = calls.call("GetEventSourceMapping", client.get_event_source_mapping, UUID=uuid)
    return str(answer.content.get("State", "unknown"))
