"""On which resources a role needs an action: told by the action's service and the rest of the target file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.arns import Place, arns_of
from dynamo_opensearch.core.targets.environment import RoleSettings

_STRANGER = "xq-of-nobody-xq"
"""A name that no pattern for a target's own resources is meant to fit."""

_ACCOUNT_WIDE = frozenset(
    {
        "cloudwatch:DescribeAlarmsForMetric",
        "cloudwatch:GetMetricData",
        "cloudwatch:GetMetricStatistics",
        "cloudwatch:ListMetrics",
        "cloudwatch:PutMetricData",
        "dynamodb:ListTables",
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:GetManagedPrefixListEntries",
        "ec2:UnassignPrivateIpAddresses",
        "ecs:DescribeTaskDefinition",
        "ecs:ListTaskDefinitions",
        "es:DescribeVpcEndpoints",
        "lambda:CreateEventSourceMapping",
        "lambda:ListEventSourceMappings",
        "lambda:ListFunctions",
        "sqs:ListQueues",
        "sts:GetCallerIdentity",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
)
"""Actions that know no resources, or that are asked for on any of them: ``*`` is right for these."""

_KIND = re.compile(r"[^/:]+[/:]")
"""What a resource's name begins with in most ARNs, such as ``table/`` or ``function:``."""

_STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
_FUNCTIONS = ("indexer", "api-function")
_THINGS = {
    "cognito-idp": ("user-pool",),
    "ecs": ("service",),
    "ecs:DescribeServiceDeployments": ("service", "service-deployment"),
    "ecs:DescribeServiceRevisions": ("service", "service-revision"),
    "iam": ("role",),
    "iam:PassRole": (),
    "lambda": ("indexer",),
    "lambda:GetAlias": _FUNCTIONS,
    "lambda:GetEventSourceMapping": ("event-source-mapping",),
    "lambda:GetFunctionConfiguration": _FUNCTIONS,
    "lambda:ListVersionsByFunction": _FUNCTIONS,
    "lambda:UpdateAlias": _FUNCTIONS,
    "lambda:UpdateEventSourceMapping": ("event-source-mapping",),
    "sqs": ("queue",),
}
"""By action or service, what of the target's it is for; as ``arns_of`` calls it."""

_ON_POLICIES = ("iam:GetPolicy", "iam:GetPolicyVersion")
_BELOW = ("service-deployment", "service-revision")
_BUCKET_ACTIONS = ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """``pattern``: what a policy should say. ``sample``: one such resource. ``stranger``: one that is not the target's.

    ``stranger`` is None where ``*`` is right.
    """

    pattern: str
    sample: str
    stranger: str | None


EVERYTHING = Scope(pattern="*", sample="*", stranger=None)


def scopes_of(action: str, role: RoleSettings, side: Side, place: Place, stream_arn: str | None) -> list[Scope]:
    """Where the action is needed; none where nothing tells. ``stream_arn``: of the table's stream, where it has one."""
    service = action.partition(":")[0]
    named = role.resources.get(action, role.resources.get(service))
    if named is not None:
        return [_named(arn) for arn in named]
    if action in _ACCOUNT_WIDE or action.startswith("ec2:Describe"):
        return [EVERYTHING]
    return list(_told(action, side, place, stream_arn))


def _named(arn: str) -> Scope:
    if arn == "*":
        return EVERYTHING
    return Scope(pattern=arn, sample=arn.replace("*", "x"), stranger=stranger_of(arn))


def stranger_of(arn: str) -> str:
    """A resource of the same kind, in the same place, that is somebody else's."""
    *head, resource = arn.split(":", 5)
    kind = "" if head[2] == "s3" else (_KIND.match(resource) or [""])[0]
    below = "/x" if "/" in resource[len(kind) :] else ""
    return ":".join([*head, f"{kind}{_STRANGER}{below}"])


def _told(action: str, side: Side, place: Place, stream_arn: str | None) -> Iterator[Scope]:
    service, _, name = action.partition(":")
    arns = arns_of(side.target, side.environment, place)
    if service == "dynamodb":
        yield _of_table(name, arns["table"][0], stream_arn)
    elif service == "es":
        yield from (_of_domain(name, domain, side.target.alias) for domain in arns.get("opensearch", ()))
    elif service == "logs":
        yield from (_of_logs(function, place) for function in arns.get("indexer", ()))
    elif service == "s3":
        yield from _of_buckets(name, arns, side.target.name)
    elif action in _ON_POLICIES:
        policies = f"arn:{place.partition}:iam::{place.account}:policy"
        yield Scope(pattern=f"{policies}/*", sample=f"{policies}/x", stranger=None)
    else:
        for thing in _THINGS.get(action, _THINGS.get(service, ())):
            yield from (_of_thing(thing, arn) for arn in arns.get(thing, ()))


def _of_thing(thing: str, arn: str) -> Scope:
    """What belongs to a service comes below it."""
    return _named(f"{arn}/*") if thing in _BELOW else _plain(arn)


def _plain(arn: str) -> Scope:
    return Scope(pattern=arn, sample=arn, stranger=stranger_of(arn))


def _of_table(name: str, table: str, stream_arn: str | None) -> Scope:
    other = stranger_of(table)
    if name not in _STREAM_ACTIONS:
        return Scope(pattern=table, sample=table, stranger=other)
    sample = stream_arn or f"{table}/stream/2024-01-01T00:00:00.000"
    return Scope(pattern=f"{table}/stream/*", sample=sample, stranger=f"{other}/stream/2024-01-01T00:00:00.000")


def _of_domain(name: str, domain: str, alias: str) -> Scope:
    if not name.startswith("ESHttp"):
        return _plain(domain)
    request = "_bulk" if name in ("ESHttpPost", "ESHttpPut") else "_search"
    return Scope(
        pattern=f"{domain}/*",
        sample=f"{domain}/{alias}/{request}",
        stranger=f"{domain.rpartition('/')[0]}/{_STRANGER}/{alias}/{request}",
    )


def _of_logs(function: str, place: Place) -> Scope:
    group = place.arn("logs", f"log-group:/aws/lambda/{function.rpartition(':')[2]}")
    return Scope(
        pattern=f"{group}:*",
        sample=f"{group}:log-stream:x",
        stranger=place.arn("logs", f"log-group:/aws/lambda/{_STRANGER}:log-stream:x"),
    )


def _of_buckets(name: str, arns: Mapping[str, tuple[str, ...]], target: str) -> Iterator[Scope]:
    """The reports and the parking place, each with a folder for the target; dead letters are only read."""
    for thing, folder in (("reports", f"rejects/{target}"), ("parking", target)):
        for arn, bucket in zip(arns.get(thing, ()), arns.get(f"{thing}-bucket", ()), strict=True):
            yield _plain(bucket) if name in _BUCKET_ACTIONS else _of_objects(arn, f"{arn}/{folder}/x")
    if name == "GetObject":
        yield from (_of_objects(bucket, f"{bucket}/x") for bucket in arns.get("dead-letter-bucket", ()))


def _of_objects(place: str, sample: str) -> Scope:
    return Scope(pattern=f"{place}/*", sample=sample, stranger=f"{stranger_of(place.partition('/')[0])}/x")
