"""The ARNs of what a target's file names."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from dynamo_opensearch.core.targets.environment import (
    ApiSettings,
    DeadLetterSettings,
    Environment,
    IndexerSettings,
)
from dynamo_opensearch.core.targets.model import Target

Named = Iterator[tuple[str, str]]
"""Names of things, such as ``table``, and their ARNs."""


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


def arns_of(target: Target, environment: Environment, place: Place) -> dict[str, tuple[str, ...]]:
    """By name; nothing of what the file does not name. ``target``: as in that environment.

    ``reports`` and ``parking`` are places in S3, a bucket or a prefix in it, ``indexer-package`` an object there;
    ``opensearch`` is the cluster's domain, ``vpc-domain`` one that stands in a VPC itself. Only ``role`` may have
    several.
    """
    one_each = (
        ("table", place.arn("dynamodb", f"table/{target.table}")),
        *_of_dead_letters(environment.dead_letters, place),
        *_of_indexer(environment.indexer, place),
        *_of_api(environment.api, place),
        *_of_what_is_around(environment, place),
        *_of_buckets(environment, place),
    )
    roles = tuple(role.arn for role in environment.roles.values())
    return {**{name: (arn,) for name, arn in one_each}, **({"role": roles} if roles else {})}


def _of_dead_letters(settings: DeadLetterSettings | None, place: Place) -> Named:
    if settings is not None:
        yield "queue", queue_arn(settings.queue, place)
        if settings.destination is not None and ":s3:::" in settings.destination:
            yield "dead-letter-bucket", settings.destination


def _of_indexer(settings: IndexerSettings | None, place: Place) -> Named:
    if settings is not None:
        yield "indexer", place.arn("lambda", f"function:{settings.function}")
        if (uuid := settings.event_source_mapping) is not None:
            yield "event-source-mapping", place.arn("lambda", f"event-source-mapping:{uuid}")
        if settings.package is not None and settings.package.startswith("s3://"):
            bucket, key = _bucket_of(settings.package)
            yield "indexer-package", f"arn:{place.partition}:s3:::{bucket}/{key}"


def _of_api(api: ApiSettings | None, place: Place) -> Named:
    if api is not None and api.kind == "lambda":
        yield "api-function", place.arn("lambda", f"function:{api.function}")
    if api is not None and api.kind == "ecs":
        for kind in ("service", "service-deployment", "service-revision"):
            yield kind, place.arn("ecs", f"{kind}/{api.cluster}/{api.service}")


def _of_what_is_around(environment: Environment, place: Place) -> Named:
    if environment.cognito is not None:
        yield "user-pool", place.arn("cognito-idp", f"userpool/{environment.cognito.user_pool}")
    if environment.opensearch.domain is not None:
        yield "opensearch", environment.opensearch.domain
    endpoint = environment.vpc_endpoint
    if endpoint is not None and not endpoint.id.startswith(("aos-", "vpce-")):
        yield "vpc-domain", place.arn("es", f"domain/{endpoint.id}")


def _of_buckets(environment: Environment, place: Place) -> Named:
    parking = None if environment.dead_letters is None else environment.dead_letters.parking
    for name, path in (("reports", environment.reports), ("parking", parking)):
        if path is not None and path.startswith("s3://"):
            bucket, prefix = _bucket_of(path)
            arn = f"arn:{place.partition}:s3:::{bucket}"
            yield name, f"{arn}/{prefix}" if prefix else arn
            yield f"{name}-bucket", arn


def _bucket_of(path: str) -> tuple[str, str]:
    """Bucket and prefix of an ObjectStoragePath such as ``s3://conn_id@bucket/prefix``."""
    bucket, _, prefix = path.removeprefix("s3://").rpartition("@")[2].partition("/")
    return bucket, prefix.strip("/")


def queue_arn(queue: str, place: Place) -> str:
    """The ARN of a queue by its name, or by its URL, which names the account."""
    name = queue.rsplit("/", 1)[-1]
    parts = urlsplit(queue).path.split("/") if "://" in queue else []
    account = parts[-2] if len(parts) > 1 and parts[-2].isdigit() else place.account
    return Place(partition=place.partition, region=place.region, account=account).arn("sqs", name)
