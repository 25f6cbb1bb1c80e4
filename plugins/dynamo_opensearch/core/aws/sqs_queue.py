"""Calls to one SQS queue: passing errors waited out, each entry of a batch answered for."""

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dynamo_opensearch.core.aws.patient_calls import PatientCalls
from dynamo_opensearch.core.aws.sqs_errors import SERVICE, permanent_error
from dynamo_opensearch.core.backoff import Backoff, RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.errors import ServiceUnavailableError

MOST_IN_A_BATCH = 10
LONGEST_POLL_S = 20
_ATTRIBUTES = ("ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message as SQS handed it over; times in microseconds since 1970.

    ``receives``: how often, this time included. ``began_s``: when the request began by the steady clock, so not after
    the receive.
    """

    id: str
    handle: str
    body: str
    receives: int
    sent_us: int | None
    first_received_us: int | None
    began_s: float


class SqsQueue:
    """One queue, by its name or URL, through a boto3 client whose own retries are off. Thread-safe.

    The client's read timeout must be longer than ``LONGEST_POLL_S``.
    """

    def __init__(self, client: Any, queue: str, clock: Clock, retry: RetryPolicy) -> None:
        self.queue = queue
        self._client, self._clock, self._retry = client, clock, retry
        self._calls = PatientCalls(SERVICE, f"queue {queue!r}", self._permanent, clock, retry)

    @cached_property
    def url(self) -> str:
        """The queue's address, looked up when the target gives its name."""
        if "://" in self.queue:
            return self.queue
        answer = self._calls.call("GetQueueUrl", self._client.get_queue_url, QueueName=self.queue)
        return str(answer.content["QueueUrl"])

    def receive(self, most: int, wait_s: float, visibility_s: int) -> list[ReceivedMessage]:
        """One long poll for up to ten; short polls, which ask only some servers, are not made.

        ``wait_s`` is taken up to whole seconds, 1 to 20. A message whose body was damaged on its way is left for
        another receive, and said.

        Raises:
            AccessDeniedError, QueueMissingError, QueueKeyError, QueueRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        answer = self._calls.call(
            "ReceiveMessage",
            self._client.receive_message,
            QueueUrl=self.url,
            MaxNumberOfMessages=min(most, MOST_IN_A_BATCH),
            WaitTimeSeconds=max(1, min(LONGEST_POLL_S, math.ceil(wait_s))),
            VisibilityTimeout=visibility_s,
            MessageSystemAttributeNames=list(_ATTRIBUTES),
        )
        messages = answer.content.get("Messages") or []
        whole = [message for message in messages if _is_whole(message)]
        if damaged := len(messages) - len(whole):
            log.warning("queue %s: %d bodies do not match their MD5; left for another receive", self.queue, damaged)
        return [_received(message, answer.began_s) for message in whole]

    def delete(self, handles: Sequence[str]) -> set[str]:
        """Delete up to ten; the receipts that were good. Safe to run again.

        A receipt is refused when its message was received again, and on some servers when it is deleted already.

        Raises:
            AccessDeniedError, QueueMissingError, QueueKeyError, QueueRequestError: waiting would not help.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """
        return self._batch("DeleteMessageBatch", self._client.delete_message_batch, handles, {})

    def change_visibility(self, handles: Sequence[str], visibility_s: int) -> set[str]:
        """Keep up to ten invisible for so long from now, 0 for not at all; the receipts that were good.

        Raises as ``delete``.
        """
        return self._batch(
            "ChangeMessageVisibilityBatch",
            self._client.change_message_visibility_batch,
            handles,
            {"VisibilityTimeout": visibility_s},
        )

    def attributes(self, *names: str) -> dict[str, str]:
        """Attributes of the queue. Raises as ``receive``."""
        answer = self._calls.call(
            "GetQueueAttributes", self._client.get_queue_attributes, QueueUrl=self.url, AttributeNames=list(names)
        )
        return dict(answer.content["Attributes"])

    def _batch(
        self, action: str, method: Callable[..., dict[str, Any]], handles: Sequence[str], settings: dict[str, Any]
    ) -> set[str]:
        """Those that succeeded; the others are the caller's fault. What SQS itself failed of is tried again."""
        left = {str(number): handle for number, handle in enumerate(handles)}
        done: set[str] = set()
        backoff = Backoff(self._retry, self._clock)
        while left:
            entries = [{"Id": name, "ReceiptHandle": handle, **settings} for name, handle in left.items()]
            answer = self._calls.call(action, method, QueueUrl=self.url, Entries=entries).content
            done |= {left.pop(one["Id"]) for one in answer.get("Successful") or []}
            failed = answer.get("Failed") or []
            for one in failed:
                if one["SenderFault"]:
                    left.pop(one["Id"])
            if left and not backoff.wait():
                raise ServiceUnavailableError(
                    SERVICE,
                    f"{action} on queue {self.queue!r} for {len(left)} messages",
                    backoff.attempts,
                    backoff.waited_s,
                    str(failed[0].get("Code", "unknown")) if failed else "an answer that left them out",
                )
        return done

    def _permanent(self, error: Exception, action: str) -> Exception:
        return permanent_error(error, action, self.queue, str(self._client.meta.region_name))


def _is_whole(message: dict[str, Any]) -> bool:
    """Whether the body is as SQS has it; botocore does not look."""
    expected = message.get("MD5OfBody")
    return expected is None or hashlib.md5(message["Body"].encode(), usedforsecurity=False).hexdigest() == expected


def _received(message: dict[str, Any], began_s: float) -> ReceivedMessage:
    attributes = message.get("Attributes") or {}
    return ReceivedMessage(
        id=message["MessageId"],
        handle=message["ReceiptHandle"],
        body=message["Body"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        sent_us=_microseconds(attributes.get("SentTimestamp")),
        first_received_us=_microseconds(attributes.get("ApproximateFirstReceiveTimestamp")),
        began_s=began_s,
    )


def _microseconds(milliseconds: str | None) -> int | None:
    return None if milliseconds is None else int(milliseconds) * 1_000
