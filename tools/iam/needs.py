"""Rights that no recorded call shows: those on KMS keys, which AWS's services use for the caller, and a few others."""

from collections.abc import Iterator
from typing import NamedTuple

from tools.iam.operations import Right

DECRYPT, GENERATE = "kms:Decrypt", "kms:GenerateDataKey"

USES_OF_A_KEY = {
    "dynamodb:BatchGetItem": (DECRYPT,),
    "dynamodb:DeleteItem": (DECRYPT,),
    "dynamodb:GetItem": (DECRYPT,),
    "dynamodb:PutItem": (DECRYPT,),
    "dynamodb:Scan": (DECRYPT,),
    "dynamodbstreams:GetRecords": (DECRYPT,),
    "s3:CreateMultipartUpload": (GENERATE, DECRYPT),
    "s3:GetObject": (DECRYPT,),
    "s3:PutObject": (GENERATE, DECRYPT),  # the second where a larger one goes in parts
    "s3:UploadPart": (GENERATE, DECRYPT),
    "sqs:ReceiveMessage": (DECRYPT,),
}
"""Operations that hand over or take what a key of the customer's encrypts, with what the caller needs on that key.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

WITHOUT_A_KEY = frozenset(
    {
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:UpdateTable",
        "dynamodbstreams:DescribeStream",
        "dynamodbstreams:GetShardIterator",
        "s3:AbortMultipartUpload",
        "s3:CompleteMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjects",
        "s3:HeadBucket",
        "s3:HeadObject",
        "s3:ListObjectsV2",
        "sqs:ChangeMessageVisibilityBatch",
        "sqs:DeleteMessageBatch",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
    }
)
"""Operations of the same services that touch nothing encrypted."""

ENCRYPTED = ("dynamodb", "dynamodbstreams", "s3", "sqs")
"""Services of which each operation must stand in one of the two."""

_KEYS = {
    "<dead-letter-bucket>": "<dead-letter-bucket-key>",
    "<parking>": "<reports-key>",
    "<queue>": "<queue-key>",
    "<reports>": "<reports-key>",
    "<table>": "<table-key>",
}
VIA = {
    "<dead-letter-bucket-key>": "s3",
    "<queue-key>": "sqs",
    "<reports-key>": "s3",
    "<table-key>": "dynamodb",
}
"""The service through which alone a key may be used, by ``kms:ViaService``."""


class Reason(NamedTuple):
    """A right that is needed though no call names it, and why. ``kind``: the DAG's id without the target's name."""

    kind: str
    right: Right
    why: str


_CLEARED = "a reconciliation of all content, with repair, removes the parked messages that it has made good"
_REPLAYED = "a parked message whose items are done is removed"

_WRITE_STATE = (
    "backfill",
    "cutover",
    "dlq_replay",
    "reconcile",
    "reindex",
    "rollback_index",
    "rollback_service",
    "sync_follow",
    "sync_index_cleanup",
)

REASONS = (
    *(
        Reason(kind, Right("es:ESHttpPut", "<opensearch>/<state>"), "whoever writes to the state index first, makes it")
        for kind in _WRITE_STATE
    ),
    Reason("dlq_replay", Right("s3:DeleteObject", "<parking>/<name>/*"), _REPLAYED),
    Reason("reconcile", Right("s3:DeleteObject", "<parking>/<name>/*"), _CLEARED),
    Reason("reconcile", Right("s3:GetObject", "<parking>/<name>"), _CLEARED),
    Reason("reconcile", Right("s3:GetObject", "<parking>/<name>/*"), _CLEARED),
    Reason("reconcile", Right("s3:ListBucket", "<parking-bucket>"), _CLEARED),
    Reason(
        "rollback_service",
        Right("iam:PassRole", "<task-role>"),
        "ECS passes the roles of the task definition that UpdateService names",
    ),
    Reason(
        "cutover",
        Right("iam:PassRole", "<task-role>"),
        "ECS passes the roles of the task definition that UpdateService names",
    ),
    Reason(
        "cutover",
        Right("dynamodb:BatchGetItem", "<table>"),
        "where the indexer has left the canary's document, a delete is offered by what the table says of its item",
    ),
    Reason("cutover", Right("es:DescribeDomain", "<opensearch>"), "a domain that is being made is waited for"),
    Reason(
        "cutover",
        Right("s3:GetObject", "<indexer-package>"),
        "the zip is compared with what the function has, and Lambda fetches it with the caller's rights",
    ),
)


def rights_on_keys(operation: str, form: str) -> Iterator[Right]:
    """What the caller needs on the key of what ``form`` names."""
    placeholder = form.partition(">")[0] + ">"
    for action in USES_OF_A_KEY.get(operation, ()):
        if placeholder in _KEYS:
            yield Right(action, _KEYS[placeholder])
