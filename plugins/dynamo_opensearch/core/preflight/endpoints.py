"""Ways to OpenSearch within a VPC, described alike: endpoints of OpenSearch Service and of EC2, domains inside."""

from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.side import Side


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """``is_ready``: whether it takes connections. ``domain``: the ARN of the domain that it leads to, where it says."""

    id: str
    kind: str
    state: str
    is_ready: bool
    vpc: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    domain: str | None = None


def describe_endpoint(side: Side, endpoint_id: str) -> Endpoint:
    """The endpoint, of whichever kind its id says it is.

    Raises:
        ResourceMissingError: it is not there.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    if endpoint_id.startswith("vpce-"):
        return _of_ec2(side, endpoint_id)
    if endpoint_id.startswith("aos-"):
        return _managed(side, endpoint_id)
    return _domain(side, endpoint_id)


def _of_ec2(side: Side, endpoint_id: str) -> Endpoint:
    answer = side.aws.ask("ec2", "describe_vpc_endpoints", endpoint_id, VpcEndpointIds=[endpoint_id])
    if not answer["VpcEndpoints"]:
        raise ResourceMissingError("ec2", "DescribeVpcEndpoints", endpoint_id)
    found = answer["VpcEndpoints"][0]
    state = str(found.get("State", "unknown"))
    return Endpoint(
        id=endpoint_id,
        kind=str(found.get("VpcEndpointType", "unknown")),
        state=state,
        is_ready=state.lower() == "available",
        vpc=str(found.get("VpcId", "")),
        subnets=tuple(sorted(found.get("SubnetIds") or ())),
        groups=tuple(sorted(group["GroupId"] for group in found.get("Groups") or ())),
    )


def _managed(side: Side, endpoint_id: str) -> Endpoint:
    answer = side.aws.ask("opensearch", "describe_vpc_endpoints", endpoint_id, VpcEndpointIds=[endpoint_id])
    if not answer.get("VpcEndpoints"):
        raise ResourceMissingError("opensearch", "DescribeVpcEndpoints", endpoint_id)
    found = answer["VpcEndpoints"][0]
    state = str(found.get("Status", "unknown"))
    return Endpoint(
        id=endpoint_id,
        kind="OpenSearch",
        state=state,
        is_ready=state in ("ACTIVE", "UPDATING"),
        domain=found.get("DomainArn"),
        **_network(found.get("VpcOptions") or {}),
    )


def _domain(side: Side, name: str) -> Endpoint:
    found = side.aws.ask("opensearch", "describe_domain", name, DomainName=name)["DomainStatus"]
    network = _network(found.get("VPCOptions") or {})
    is_there = bool(found.get("Created")) and not found.get("Deleted")
    state = "active" if is_there else "deleted" if found.get("Deleted") else "being created"
    return Endpoint(
        id=name,
        kind="domain" if network["vpc"] else "public domain",
        state=state,
        is_ready=is_there,
        domain=found.get("ARN"),
        **network,
    )


def _network(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "vpc": str(options.get("VPCId") or ""),
        "subnets": tuple(sorted(options.get("SubnetIds") or ())),
        "groups": tuple(sorted(options.get("SecurityGroupIds") or ())),
    }
