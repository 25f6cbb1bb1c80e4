"""Dead letters that S3 keeps: the objects of Lambda's on-failure destination."""

from contextlib import closing
from typing import Any

from botocore.exceptions import ParamValidationError

from dynamo_opensearch.core.aws.errors import denied, describe, error_code
from dynamo_opensearch.core.aws.patient_calls import PatientCalls
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.dead_letters.messages import NotUnderstoodError, StoredObject
from dynamo_opensearch.core.errors import PermanentError

MOST_BYTES = 64_000_000
"""Lambda's event is 6 MB at most, and stands in the object as an escaped string."""

_SERVICE = "S3"
_MISSING = frozenset(
    {
        "InvalidBucketName",
        "KeyTooLongError",
        "MethodNotAllowed",  # the version is a delete marker
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchVersion",
    }
)


class StoredObjectMissingError(PermanentError):
    """There is no such object, or no such bucket. ``key`` is not in the text."""

    def __init__(self, bucket: str, key: str, code: str) -> None:
        super().__init__(bucket, key, code)
        self.bucket, self.key, self.code = bucket, key, code

    def __str__(self) -> str:
        return (
            f"a dead letter points to an object of bucket {self.bucket!r} that is not there ({self.code}). "
            "Check whether a lifecycle rule of the bucket removes objects too soon."
        )


class StoredObjectRefusedError(PermanentError):
    """S3 does not hand the object out as it stands: it is archived, or its KMS key cannot be used."""

    def __init__(self, bucket: str, key: str, code: str) -> None:
        super().__init__(bucket, key, code)
        self.bucket, self.key, self.code = bucket, key, code

    def __str__(self) -> str:
        return (
            f"S3 refused GetObject for a dead letter in bucket {self.bucket!r}: {self.code}. "
            "Check that the object is not archived and that its KMS key can be used; then start again."
        )


class StoredObjects:
    """Objects through a boto3 client for S3 whose own retries are off. Thread-safe. Reads only."""

    def __init__(self, client: Any, clock: Clock, retry: RetryPolicy, most_bytes: int = MOST_BYTES) -> None:
        self._client, self._clock, self._retry, self._most_bytes = client, clock, retry, most_bytes

    def fetch(self, stored: StoredObject) -> bytes:
        """The whole object.

        Raises:
            StoredObjectMissingError: it is not there.
            NotUnderstoodError: it is larger than ``most_bytes``, or its name cannot be one.
            AccessDeniedError: the right to it is missing, or, without s3:ListBucket, the object itself.
            StoredObjectRefusedError: S3 refuses it for another reason.
            ServiceUnavailableError: passing failures went on for longer than the retry policy waits.
        """

        def permanent(error: Exception, _action: str) -> Exception:
            return _permanent_error(error, stored)

        calls = PatientCalls(_SERVICE, f"bucket {stored.bucket!r}", permanent, self._clock, self._retry)
        version = {"VersionId": stored.version} if stored.version else {}
        answer = calls.call("GetObject", self._get, Bucket=stored.bucket, Key=stored.key, **version)
        content: bytes = answer.content["Body"]
        return content

    def _get(self, **arguments: Any) -> dict[str, Any]:
        """The answer with its body read, so that a body that is cut off is a failure of the call."""
        answer = self._client.get_object(**arguments)
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] > self._most_bytes:
                raise NotUnderstoodError(f"an S3 object of more than {self._most_bytes / 1e6:g} MB")
            return {**answer, "Body": body.read()}


def _permanent_error(error: Exception, stored: StoredObject) -> Exception:
    if isinstance(error, ParamValidationError):
        return NotUnderstoodError("an S3 object whose name cannot be one")
    if refused := denied(error, _SERVICE, "s3:GetObject", f"bucket {stored.bucket}"):
        return refused
    if error_code(error) in _MISSING:
        return StoredObjectMissingError(stored.bucket, stored.key, describe(error))
    return StoredObjectRefusedError(stored.bucket, stored.key, describe(error))
