"""What IAM calls an operation of botocore's, and on which resource it must be allowed.

By the Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/). A form
has the call's parameters in braces; a parameter with several values makes several resources. An operation that stands
here nowhere fails the tests when it is first called: add it to a line.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

EVERYTHING = "*"
"""For operations that know no resources."""

_FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "cloudwatch": {EVERYTHING: ("DescribeAlarmsForMetric", "GetMetricStatistics")},
    "cognito-idp": {"userpool/{UserPoolId}": ("DescribeUserPool", "DescribeUserPoolClient")},
    "dynamodb": {
        "table/{TableName}": ("DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "Scan"),
        "table/{RequestItems}": ("BatchGetItem",),
    },
    "dynamodbstreams": {
        "{StreamArn}": ("DescribeStream", "GetShardIterator"),
        "<table>/stream/*": ("GetRecords",),  # an iterator says nothing of its stream
    },
    "ec2": {
        EVERYTHING: (
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeVpcEndpoints",
            "DescribeVpcs",
            "GetManagedPrefixListEntries",  # of AWS's own lists too
        )
    },
    "ecs": {
        EVERYTHING: ("DescribeTaskDefinition",),
        "service/{cluster}/{service}": ("ListServiceDeployments", "UpdateService"),
        "service/{cluster}/{services}": ("DescribeServices",),
        "<service>": ("DescribeServiceDeployments", "DescribeServiceRevisions"),  # as well as what they name
        "{serviceDeploymentArns}": ("DescribeServiceDeployments",),
        "{serviceRevisionArns}": ("DescribeServiceRevisions",),
    },
    "iam": {
        "role/{RoleName}": ("GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"),
        "{PolicySourceArn}": ("SimulatePrincipalPolicy",),
        "policy/*": ("GetPolicy", "GetPolicyVersion"),
        "arn:aws:iam::aws:policy/*": ("GetPolicy", "GetPolicyVersion"),
    },
    "kms": {"<queue-key>": ("DescribeKey",)},
    "lambda": {
        "function:{FunctionName}": ("GetAlias", "GetFunctionConfiguration", "ListVersionsByFunction", "UpdateAlias"),
        "function:{FunctionName}:{Qualifier}": ("GetFunctionConfiguration",),
        "event-source-mapping:{UUID}": ("GetEventSourceMapping",),
    },
    "opensearch": {EVERYTHING: ("DescribeVpcEndpoints",), "domain/{DomainName}": ("DescribeDomain",)},
    "s3": {
        "{Bucket}": ("HeadBucket", "ListObjectsV2"),
        "{Bucket}/{Key}": (
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CreateMultipartUpload",
            "DeleteObject",
            "GetObject",
            "HeadObject",
            "PutObject",
            "UploadPart",
        ),
        "{Bucket}/{Delete}": ("DeleteObjects",),
    },
    "sqs": {
        "{QueueName}": ("GetQueueUrl",),
        "{QueueUrl}": (
            "ChangeMessageVisibilityBatch",
            "DeleteMessageBatch",
            "GetQueueAttributes",
            "ReceiveMessage",
        ),
    },
    "sts": {"": ("GetCallerIdentity",)},
}
"""Service by botocore's name → form of the resource → operations. Nothing where no right is needed."""

SERVICES = tuple(_FORMS)
"""By botocore's names."""

_ACTIONS = {
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:UploadPart": "s3:PutObject",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
"""Operations that are allowed under another name."""

_PREFIXES = {"dynamodbstreams": "dynamodb", "opensearch": "es"}
_BEGINNINGS = {"iam": "arn:aws:iam::{account}:", "s3": "arn:aws:s3:::"}
_PARAMETER = re.compile(r"{(\w+)}")


class Right(NamedTuple):
    """An action on a resource: an ARN, a pattern of one, or ``*``."""

    action: str
    resource: str


class UnknownOperationError(LookupError):
    """A call of which nothing says how it is allowed."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.operation = operation

    def __str__(self) -> str:
        return f"{self.operation} is in no line of tools/iam/operations.py: add it, with the resource that it is for"


def rights_of(operation: str, names: Mapping[str, Any], region: str, account: str) -> Iterator[Right]:
    """What must be allowed for a call. ``operation``: as ``dynamodb:Scan``; ``names``: its parameters.

    Raises:
        UnknownOperationError: it stands in no line of the table.
    """
    service, _, name = operation.partition(":")
    forms = [form for form, operations in _FORMS.get(service, {}).items() if name in operations]
    if not forms:
        raise UnknownOperationError(operation)
    for form in forms:
        for resource in _filled(form, names):
            if resource:
                yield Right(action_of(operation), _arn(service, resource, region, account))


def action_of(operation: str) -> str:
    """The action that an operation is allowed as."""
    service, _, name = operation.partition(":")
    return _ACTIONS.get(operation, f"{_PREFIXES.get(service, service)}:{name}")


def _filled(form: str, names: Mapping[str, Any]) -> list[str]:
    """The form with every value of its parameters; none where the call did not have one of them."""
    found = [form]
    for parameter in _PARAMETER.findall(form):
        values = names.get(parameter, [])
        listed = [values] if isinstance(values, str) else list(values)
        found = [one.replace(f"{{{parameter}}}", _short(value)) for one in found for value in listed]
    return found


def _short(value: str) -> str:
    """A queue by its name, where it is given by its URL."""
    return value.rsplit("/", 1)[-1] if "://" in value else value


def _arn(service: str, resource: str, region: str, account: str) -> str:
    if resource == EVERYTHING or resource.startswith(("arn:", "<")):
        return resource
    prefix = _PREFIXES.get(service, service)
    beginning = _BEGINNINGS.get(service, f"arn:aws:{prefix}:{region}:{account}:")
    return beginning.format(account=account) + resource
