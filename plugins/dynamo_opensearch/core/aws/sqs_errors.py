"""What SQS refuses for good, and what to do about it. Its own texts quote receipts and are left out."""

from dynamo_opensearch.core.aws.errors import denied, describe, error_code
from dynamo_opensearch.core.errors import OfMissingRight, PermanentError, SyncError

SERVICE = "SQS"

_MISSING = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


class QueueMissingError(PermanentError):
    """There is no such queue for this account and region."""

    def __init__(self, queue: str, region: str) -> None:
        super().__init__(queue, region)
        self.queue, self.region = queue, region

    def __str__(self) -> str:
        return (
            f"queue {self.queue!r} does not exist in region {self.region!r}. Check dead_letters.queue in the target "
            "file, and region and account of the AWS connection; a queue of another account is named by its URL."
        )


class QueueKeyError(OfMissingRight, PermanentError):
    """The KMS key of an encrypted queue cannot be used."""

    def __init__(self, queue: str, action: str, code: str) -> None:
        super().__init__(queue, action, code)
        self.queue, self.action, self.code = queue, action, code

    @property
    def missing(self) -> str:
        """The action on the key."""
        return "kms:Decrypt"

    def __str__(self) -> str:
        return (
            f"the KMS key of queue {self.queue!r} could not be used for {self.action} ({self.code}). "
            f"Check that the key is enabled, and allow {self.missing} on it to the connection's role: {self.standing}. "
            "Then start again."
        )


class QueueRequestError(PermanentError):
    """SQS refuses a request as it stands."""

    def __init__(self, queue: str, action: str, code: str) -> None:
        super().__init__(queue, action, code)
        self.queue, self.action, self.code = queue, action, code

    def __str__(self) -> str:
        return (
            f"SQS refused {self.action} on queue {self.queue!r}: {self.code}. "
            "Check dead_letters.queue in the target file, and the queue's settings and policy."
        )


def permanent_error(error: Exception, action: str, queue: str, region: str) -> SyncError:
    """What to raise for a failure that waiting does not mend."""
    code = error_code(error) or ""
    if code.startswith(("Kms", "KMS")):
        return QueueKeyError(queue, action, code)
    # A batch needs no right of its own.
    if refused := denied(error, SERVICE, f"sqs:{action.removesuffix('Batch')}", f"{queue} in {region}"):
        return refused
    if code in _MISSING:
        return QueueMissingError(queue, region)
    return QueueRequestError(queue, action, describe(error))
