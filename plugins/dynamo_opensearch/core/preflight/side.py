"""One environment of a target, and what it is asked through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ControlPlane, ResourceMissingError
from dynamo_opensearch.core.backoff import RetryPolicy
from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.opensearch.mapping_file import MappingFile
from dynamo_opensearch.core.opensearch.patient import PatientCluster
from dynamo_opensearch.core.preflight.findings import BlockedError
from dynamo_opensearch.core.preflight.lines import aws_line, compact, curl_line
from dynamo_opensearch.core.targets.environment import Environment
from dynamo_opensearch.core.targets.model import Target

_GLOBAL_SERVICES = ("iam",)


@dataclass(frozen=True, kw_only=True)
class Side:
    """An environment under its ``name``, and the ports to it. ``target`` has that environment's table and alias.

    ``endpoint``: the URL of OpenSearch, without credentials. ``is_signed``: whether requests to it are signed (SigV4).
    ``aws_url_of``: the address of a service by boto3's name; None where it is AWS's own. ``asks_all``: without it, a
    check keeps to the calls that the DAGs make anyway, so that a run needs no further rights for its first step.
    """

    name: str
    target: Target
    environment: Environment
    mapping: MappingFile
    aws: ControlPlane
    cluster: PatientCluster
    clock: Clock
    retry: RetryPolicy
    region: str
    endpoint: str
    is_signed: bool = False
    aws_url_of: Callable[[str], str | None] = field(default=lambda _service: None)
    asks_all: bool = True

    def aws_line(self, service: str, operation: str, **arguments: Any) -> str:
        """A line of the AWS CLI for this side's region, and its endpoint where that is not AWS's own."""
        region = None if service in _GLOBAL_SERVICES else self.region
        return aws_line(service, operation, **arguments, region=region, endpoint_url=self.aws_url_of(service))

    def curl_line(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """A request to this side's OpenSearch."""
        signed_for = (self.region, "es") if self.is_signed else None
        return curl_line(method, f"{self.endpoint}{path}", body, signed_for)

    def file_line(self, field: str, value: Any) -> str:
        """What to write into the target's file, below this environment."""
        return f"in the target file of {self.target.name}: environments.{self.name}.{field}: {compact(value)}"

    def table(self) -> dict[str, Any]:
        """DescribeTable's ``Table``.

        Raises:
            ResourceMissingError, AccessDeniedError, ServiceUnavailableError: as ``ControlPlane.ask``.
        """
        name = self.target.table
        return dict(self.aws.ask("dynamodb", "describe_table", name, TableName=name)["Table"])

    def table_that_is_there(self) -> dict[str, Any]:
        """As ``table``, for checks that are about something else.

        Raises:
            BlockedError: there is none, which the check of the table says.
        """
        try:
            return self.table()
        except ResourceMissingError as error:
            raise BlockedError("table", f"there is no table {self.target.table!r}") from error
