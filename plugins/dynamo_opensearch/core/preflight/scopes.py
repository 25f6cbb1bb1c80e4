"""On which resources a role needs an action: told by the action's service and the rest of the target file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import RoleSettings

_STRANGER = "xq-of-nobody-xq"
"""A name that no pattern for a target's own resources is meant to fit."""

_ACCOUNT_WIDE = frozenset(
    {
        "cloudwatch:GetMetricData",
        "cloudwatch:GetMetricStatistics",
        "cloudwatch:ListMetrics",
        "cloudwatch:PutMetricData",
        "dynamodb:ListTables",
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:UnassignPrivateIpAddresses",
        "lambda:ListEventSourceMappings",
        "lambda:ListFunctions",
        "sqs:ListQueues",
        "sts:GetCallerIdentity",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
)
"""Actions that know no resources, or that Lambda asks for on all of them: ``*`` is right for these."""

_KIND = re.compile(r"[^/:]+[/:]")
"""What a resource's name begins with in most ARNs, such as ``table/`` or ``function:``."""

_STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
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


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a target's resources are: partition, region and account."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, role_arn: str, region: str) -> "Place":
        """The role's account, in a region."""
        parts = role_arn.split(":")
        return cls(partition=parts[1], region=region, account=parts[4])

    def arn(self, service: str, resource: str) -> str:
        """An ARN there."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


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
    environment = side.environment
    if service == "dynamodb":
        yield _of_table(name, side, place, stream_arn)
    elif service == "sqs" and environment.dead_letters is not None:
        yield _plain(queue_arn(environment.dead_letters.queue, place))
    elif service == "es" and environment.opensearch.domain is not None:
        yield _of_domain(name, environment.opensearch.domain, side.target.alias)
    elif service == "lambda" and environment.indexer is not None:
        yield _plain(place.arn("lambda", f"function:{environment.indexer.function}"))
    elif service == "logs" and environment.indexer is not None:
        yield _of_logs(environment.indexer.function, place)
    elif service == "s3":
        parking = None if environment.dead_letters is None else environment.dead_letters.parking
        for path in (environment.reports, parking):
            if path is not None and path.startswith("s3://"):
                yield _of_bucket(name, path, place)


def _plain(arn: str) -> Scope:
    return Scope(pattern=arn, sample=arn, stranger=stranger_of(arn))


def _of_table(name: str, side: Side, place: Place, stream_arn: str | None) -> Scope:
    table = place.arn("dynamodb", f"table/{side.target.table}")
    other = place.arn("dynamodb", f"table/{_STRANGER}")
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
    group = place.arn("logs", f"log-group:/aws/lambda/{function}")
    return Scope(
        pattern=f"{group}:*",
        sample=f"{group}:log-stream:x",
        stranger=place.arn("logs", f"log-group:/aws/lambda/{_STRANGER}:log-stream:x"),
    )


def queue_arn(queue: str, place: Place) -> str:
    """The ARN of a queue by its name, or by its URL, which names the account."""
    name = queue.rsplit("/", 1)[-1]
    parts = urlsplit(queue).path.split("/") if "://" in queue else []
    account = parts[-2] if len(parts) > 1 and parts[-2].isdigit() else place.account
    return Place(partition=place.partition, region=place.region, account=account).arn("sqs", name)


def _of_bucket(name: str, path: str, place: Place) -> Scope:
    bucket, prefix = bucket_of(path)
    arn = f"arn:{place.partition}:s3:::{bucket}"
    other = f"arn:{place.partition}:s3:::{_STRANGER}"
    if name in _BUCKET_ACTIONS:
        return Scope(pattern=arn, sample=arn, stranger=other)
    below = f"{prefix}/" if prefix else ""
    return Scope(pattern=f"{arn}/{below}*", sample=f"{arn}/{below}x", stranger=f"{other}/x")


def bucket_of(path: str) -> tuple[str, str]:
    """Bucket and prefix of a path such as ``s3://conn_id@bucket/prefix``; no slash at the prefix's end."""
    bucket, _, prefix = path.removeprefix("s3://").rpartition("@")[2].partition("/")
    return bucket, prefix.strip("/")
