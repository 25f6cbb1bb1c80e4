"""What differs between local, staging and production: connections, names and the AWS parts around a target."""

import re
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from dynamo_opensearch.core.credentials import has_login

Arn = Annotated[str, Field(pattern=r"^arn:[\w-]+:[\w-]+:[\w-]*:\d*:.+$")]
Action = Annotated[str, Field(pattern=r"^[a-z0-9-]+:[A-Za-z0-9]+$")]
"""An IAM action, such as dynamodb:Scan: one, without wildcards, since each is held against the role's policies."""


def _without_login(url: str) -> str:
    if has_login(url):
        raise ValueError("must not hold a login")
    return url


def _with_connection_at_most(place: str) -> str:
    if ":" in urlsplit(place).netloc.rpartition("@")[0]:
        raise ValueError("only the name of a connection may stand before the @, no login")
    return place


Address = Annotated[str, AfterValidator(_without_login)]
Place = Annotated[str, AfterValidator(_with_connection_at_most)]
"""An ObjectStoragePath, such as s3://aws_default@bucket/prefix."""


def _is_place(package: str) -> str:
    is_in_s3 = re.fullmatch(r"s3://([\w.-]+@)?[a-z0-9][a-z0-9.-]+/.*[^/]", package) is not None
    if "://" in package and not is_in_s3:
        raise ValueError("must be s3://bucket/key, s3://connection@bucket/key, or a path")
    return package


Package = Annotated[str, Field(min_length=1), AfterValidator(_is_place)]
AttributeName = Annotated[str, Field(min_length=1, max_length=255)]
_FROZEN = ConfigDict(extra="forbid", frozen=True)


class TableSettings(BaseModel):
    """What else the table must be like. What is left out is not asked for."""

    model_config = _FROZEN

    attributes: dict[AttributeName, Literal["S", "N", "B"]] = Field(
        default_factory=dict, description="Types of key attributes, of the table and of its indexes."
    )
    indexes: dict[str, tuple[AttributeName, ...]] = Field(
        default_factory=dict, description="Secondary indexes by name, with their key attributes."
    )
    billing_mode: Literal["PAY_PER_REQUEST", "PROVISIONED"] | None = Field(None, description="How reads are paid.")
    ttl_attribute: AttributeName | None = Field(None, description="Attribute by which items expire.")
    point_in_time_recovery: bool | None = Field(None, description="Whether the table can be restored to a moment.")


class StreamSettings(BaseModel):
    """The table's stream."""

    model_config = _FROZEN

    view_type: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] = Field(
        "NEW_AND_OLD_IMAGES", description="StreamViewType that preflight expects."
    )


class DeadLetterSettings(BaseModel):
    """Where the indexer's failures land and where replay parks what it cannot apply."""

    model_config = _FROZEN

    queue: Address = Field(min_length=1, description="Name or URL of the SQS queue.")
    parking: Place | None = Field(
        None, description="ObjectStoragePath for parked messages, such as s3://aws_default@b/p."
    )
    max_receives: int = Field(10, ge=1, le=1_000, description="Receives after which a message is parked.")
    consumers: int = Field(
        1, ge=1, le=64, description="Replaying tasks at once. Each looks at an item once, so 1 reads least."
    )
    replay_at: int | None = Field(
        None, ge=1, description="Messages from which on a replay starts by itself; default: by hand only."
    )
    alarm_messages: int | None = Field(
        None, ge=1, description="Waiting messages from which on DeadLettersPresentSensor calls the notifiers."
    )
    alarm_age_s: float | None = Field(
        None, gt=0, description="Age of the oldest message, in seconds, from which on it calls them."
    )
    destination: Arn | None = Field(
        None, description="ARN of the mapping's on-failure destination, where it is not the queue, such as a bucket."
    )
    alarm_action: Arn | None = Field(
        None, description="ARN that CloudWatch's alarm on the queue's depth must notify; default: any."
    )


class IndexerSettings(BaseModel):
    """The Lambda that carries each change into the index."""

    model_config = _FROZEN

    function: str = Field(min_length=1, description="Name of the Lambda function.")
    alias: str | None = Field(None, description="Lambda alias that the event source mapping invokes.")
    event_source_mapping: str | None = Field(None, description="UUID of the event source mapping.")
    package: Package | None = Field(
        None,
        description="The zip that a cutover deploys: s3://bucket/key, or a path, from include/ on where it is "
        "relative; default: the version that the alias leads to stays.",
    )
    batch_window_s: int = Field(
        5, ge=0, le=300, description="Longest time, in seconds, for which the mapping may collect a batch."
    )
    iterator_age_s: float = Field(
        300, gt=0, le=86_400, description="Seconds by which the function may be behind the stream, at most."
    )
    canary: dict[AttributeName, JsonValue] | Literal[False] = Field(
        default_factory=dict,
        description="Attributes of the item by which a cutover tries the indexer, besides its key, what the filter "
        "asks for, and required_fields; of a key attribute, the text it begins with. false: no item is written.",
    )


class ApiSettings(BaseModel):
    """The service that reads the alias."""

    model_config = _FROZEN

    kind: Literal["ecs", "lambda"] = Field(description="Where it runs.")
    cluster: str | None = Field(None, description="ECS cluster; required for ecs.")
    service: str | None = Field(None, description="ECS service; required for ecs.")
    function: str | None = Field(None, description="Lambda function; required for lambda.")
    alias: str | None = Field(None, description="Lambda alias; required for lambda.")
    health_url: Address | None = Field(None, description="Address that answers 200 when the service is well.")
    task_definition: (
        Annotated[
            str, Field(pattern=r"^(arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition/)?[A-Za-z0-9_-]{1,255}:[1-9]\d*$")
        ]
        | None
    ) = Field(
        None,
        description="family:revision or ARN that a cutover brings into service, for ecs; default: the newest ACTIVE "
        "one of the family in service.",
    )
    version: int | None = Field(
        None, ge=1, description="Published version that a cutover moves the alias to, for lambda; default: the newest."
    )

    @model_validator(mode="after")
    def _has_its_names(self) -> "ApiSettings":
        needed = ("cluster", "service") if self.kind == "ecs" else ("function", "alias")
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"kind {self.kind} needs {' and '.join(missing)}")
        other = "version" if self.kind == "ecs" else "task_definition"
        if getattr(self, other) is not None:
            raise ValueError(f"{other} is not for kind {self.kind}")
        return self


class CognitoSettings(BaseModel):
    """The user pool that guards the API."""

    model_config = _FROZEN

    user_pool: str = Field(min_length=1, description="Id of the user pool.")
    app_client: str = Field(min_length=1, description="Id of the app client.")
    flows: tuple[str, ...] = Field((), description="ExplicitAuthFlows that must be allowed.")
    callback_urls: tuple[str, ...] = Field((), description="Callback addresses that must be registered.")


class OpenSearchSettings(BaseModel):
    """The cluster or domain."""

    model_config = _FROZEN

    domain: Annotated[str, Field(pattern=r"^arn:[\w-]+:es:[\w-]+:\d{12}:domain/[a-z][a-z0-9-]+$")] | None = Field(
        None, description="ARN of the domain, where OpenSearch is Amazon's."
    )
    health: Literal["green", "yellow"] = Field(
        "green", description="Health that is good enough; yellow for a single node."
    )


class VpcEndpointSettings(BaseModel):
    """The way to OpenSearch within a VPC."""

    model_config = _FROZEN

    id: str = Field(
        min_length=1,
        description="Id of the endpoint: aos-… of OpenSearch Service, vpce-… of EC2; or the name of a domain that lies "
        "in the VPC itself.",
    )
    subnets: tuple[str, ...] = Field((), description="Subnets that it must be in.")
    from_security_groups: tuple[str, ...] = Field(
        (), description="Security groups of Airflow, indexer and API, which must reach port 443."
    )
    from_cidrs: tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/\d{1,3}$")], ...] = Field(
        (), description="Address ranges that must reach port 443."
    )

    @field_validator("from_cidrs")
    @classmethod
    def _are_networks(cls, cidrs: tuple[str, ...]) -> tuple[str, ...]:
        for cidr in cidrs:
            ip_network(cidr)
        return cidrs


class RoleSettings(BaseModel):
    """A role and the actions that this target needs of it."""

    model_config = _FROZEN

    arn: Arn = Field(description="ARN of the role.")
    assumed_by: tuple[str, ...] = Field((), description="Services that must be able to assume it.")
    actions: tuple[Action, ...] = Field((), description="Actions it must allow, such as dynamodb:Scan.")
    resources: dict[str, tuple[Arn | Literal["*"], ...]] = Field(
        default_factory=dict,
        description="ARNs by action or service, such as kms, where the rest of the file does not tell them.",
    )
    conditional: tuple[Action, ...] = Field(
        (), description="Actions that may be allowed under conditions which preflight cannot judge."
    )


class Environment(BaseModel):
    """One set of connections and names. Nothing else in the package knows which environment it acts on."""

    model_config = _FROZEN

    aws_conn_id: str = Field("aws_default", min_length=1, description="Airflow connection for AWS.")
    opensearch_conn_id: str = Field(
        "opensearch_default", min_length=1, description="Airflow connection for OpenSearch."
    )
    region: str | None = Field(None, description="AWS region; default: the connection's.")
    table: str | None = Field(None, description="The table's name here, where it differs.")
    alias: str | None = Field(None, description="The alias's name here, where it differs.")
    stream_rounding_s: float = Field(
        1.0,
        ge=0,
        le=600,
        description="Rounding of ApproximateCreationDateTime in seconds: 1 on AWS, 60 on DynamoDB Local.",
    )
    margin_s: float = Field(
        6.0,
        gt=0,
        le=3_600,
        description="Seconds between a read's start and its stamp; at least the rounding plus 5.",
    )
    reports: Place | None = Field(
        None,
        description="ObjectStoragePath for rejects and reports; default: reports/ below Airflow's home.",
    )
    table_settings: TableSettings | None = Field(None, description="What the table must be like.")
    stream: StreamSettings = Field(default_factory=StreamSettings, description="The table's stream.")
    opensearch: OpenSearchSettings = Field(default_factory=OpenSearchSettings, description="The cluster or domain.")
    dead_letters: DeadLetterSettings | None = Field(None, description="Dead-letter queue and parking place.")
    indexer: IndexerSettings | None = Field(None, description="The Lambda that feeds the index.")
    api: ApiSettings | None = Field(None, description="The service that reads the alias.")
    vpc_endpoint: VpcEndpointSettings | None = Field(None, description="The way to OpenSearch within a VPC.")
    cognito: CognitoSettings | None = Field(None, description="User pool and app client.")
    roles: dict[str, RoleSettings] = Field(default_factory=dict, description="Roles by a name of your own.")

    @model_validator(mode="after")
    def _margin_covers_rounding(self) -> "Environment":
        if self.margin_s < self.stream_rounding_s + 5:
            raise ValueError(
                f"margin_s must be at least stream_rounding_s + 5 (= {self.stream_rounding_s + 5:g}), "
                f"got {self.margin_s:g}"
            )
        return self
