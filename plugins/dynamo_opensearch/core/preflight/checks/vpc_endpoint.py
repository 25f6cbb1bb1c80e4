"""The way to OpenSearch within a VPC: there, available, in the right subnets, open for those who need it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from ipaddress import ip_network
from typing import Any

from dynamo_opensearch.core.aws.control_plane import ResourceMissingError
from dynamo_opensearch.core.preflight.endpoints import Endpoint, describe_endpoint
from dynamo_opensearch.core.preflight.findings import Finding, NotAskedForError
from dynamo_opensearch.core.preflight.look import Look
from dynamo_opensearch.core.preflight.security_groups import Network, Peer, lets_through
from dynamo_opensearch.core.preflight.side import Side
from dynamo_opensearch.core.targets.environment import VpcEndpointSettings

PORT = 443
_WITHIN_A_VPC = ("Interface", "OpenSearch", "domain")
Group = dict[str, Any]
Networks = Callable[[], tuple[Network, ...]]


def look_at_vpc_endpoint(side: Side) -> Look:
    """Endpoint, subnets and security groups against the target file.

    Raises:
        NotAskedForError: the target file names no endpoint.
        AccessDeniedError, ServiceUnavailableError: it cannot be asked.
    """
    settings = side.environment.vpc_endpoint
    if settings is None:
        raise NotAskedForError(f"environments.{side.name}.vpc_endpoint is not in the target file")
    try:
        endpoint = describe_endpoint(side, settings.id)
    except ResourceMissingError:
        return Look(seen="no such endpoint", findings=(_missing(side, settings),))
    return Look(
        seen=f"{endpoint.id}: {endpoint.state}, {len(endpoint.subnets)} subnets, {len(endpoint.groups)} groups",
        findings=(
            *_state_findings(side, endpoint),
            *_subnet_findings(side, settings, endpoint),
            *_rule_findings(side, settings, endpoint),
        ),
        fields={"kind": endpoint.kind, "number of subnets": len(endpoint.subnets)},
    )


def _missing(side: Side, settings: VpcEndpointSettings) -> Finding:
    if settings.id.startswith("vpce-"):
        line = side.aws_line("ec2", "describe-vpc-endpoints", query="VpcEndpoints[].[VpcEndpointId,ServiceName]")
    elif settings.id.startswith("aos-"):
        line = side.aws_line("opensearch", "list-vpc-endpoints")
    else:
        line = side.aws_line("opensearch", "list-domain-names")
    return Finding(
        what=f"endpoint {settings.id}",
        found="nothing",
        expected="an endpoint, or a domain in a VPC",
        remedy=f"{line}; write its id {side.file_line('vpc_endpoint.id', '<id>')}",
    )


def _state_findings(side: Side, endpoint: Endpoint) -> Iterator[Finding]:
    if endpoint.kind not in _WITHIN_A_VPC:
        yield Finding(
            what="kind",
            found=endpoint.kind,
            expected=f"one of {', '.join(_WITHIN_A_VPC)}: nothing else leads to OpenSearch within a VPC",
            remedy=side.file_line("vpc_endpoint.id", "<id>"),
        )
    if not endpoint.is_ready:
        yield Finding(
            what="state",
            found=endpoint.state,
            expected="available",
            remedy=f"{_describe_line(side, endpoint)}; accept or wait for it, or make it anew",
        )
    wanted = side.environment.opensearch.domain
    if wanted is not None and endpoint.domain is not None and endpoint.domain != wanted:
        yield Finding(
            what="domain that the endpoint leads to",
            found=endpoint.domain,
            expected=wanted,
            remedy=side.file_line("opensearch.domain", endpoint.domain),
        )


def _describe_line(side: Side, endpoint: Endpoint) -> str:
    if endpoint.kind == "OpenSearch":
        return side.aws_line("opensearch", "describe-vpc-endpoints", vpc_endpoint_ids=[endpoint.id])
    if endpoint.id.startswith("vpce-"):
        return side.aws_line("ec2", "describe-vpc-endpoints", vpc_endpoint_ids=[endpoint.id])
    return side.aws_line("opensearch", "describe-domain", domain_name=endpoint.id)


def _subnet_findings(side: Side, settings: VpcEndpointSettings, endpoint: Endpoint) -> Iterator[Finding]:
    lacking = [subnet for subnet in settings.subnets if subnet not in endpoint.subnets]
    if not lacking:
        return
    yield Finding(
        what="subnets",
        found=", ".join(endpoint.subnets) or "none",
        expected=f"also {', '.join(lacking)}",
        remedy=_change_line(side, endpoint, subnets=lacking),
    )


def _change_line(side: Side, endpoint: Endpoint, subnets: Sequence[str] = (), groups: Sequence[str] = ()) -> str:
    """Further subnets or groups for the endpoint; OpenSearch Service takes the whole of both lists."""
    if endpoint.id.startswith("vpce-"):
        more = {"add_subnet_ids": list(subnets), "add_security_group_ids": list(groups)}
        given = {name: value for name, value in more.items() if value}
        return side.aws_line("ec2", "modify-vpc-endpoint", vpc_endpoint_id=endpoint.id, **given)
    options = {"SubnetIds": [*endpoint.subnets, *subnets], "SecurityGroupIds": [*endpoint.groups, *groups]}
    if endpoint.kind == "OpenSearch":
        return side.aws_line("opensearch", "update-vpc-endpoint", vpc_endpoint_id=endpoint.id, vpc_options=options)
    return side.aws_line("opensearch", "update-domain-config", domain_name=endpoint.id, vpc_options=options)


def _rule_findings(side: Side, settings: VpcEndpointSettings, endpoint: Endpoint) -> Iterator[Finding]:
    """Both ends of each way: in at the endpoint, and out of the group that comes."""
    if not settings.from_security_groups and not settings.from_cidrs:
        return
    if not endpoint.groups:
        yield Finding(
            what="security groups of the endpoint",
            found="none",
            expected="one that lets port 443 in",
            remedy=_change_line(side, endpoint, groups=["<group>"]),
        )
        return
    rules = _Rules(side, endpoint)
    for cidr in settings.from_cidrs:
        yield from rules.into_endpoint(Peer(networks=(ip_network(cidr),)), cidr, _ranges(cidr))
    for group in settings.from_security_groups:
        yield from rules.from_group(group)


def _ranges(cidr: str) -> dict[str, Any]:
    return {"Ipv6Ranges": [{"CidrIpv6": cidr}]} if ":" in cidr else {"IpRanges": [{"CidrIp": cidr}]}


class _Rules:
    """The rules of the endpoint's security groups, and of those that must reach it."""

    def __init__(self, side: Side, endpoint: Endpoint) -> None:
        self._side, self._endpoint = side, endpoint
        described = [self._group(group) for group in endpoint.groups]
        self._ingress = [rule for group in described for rule in group.get("IpPermissions") or ()]
        self._entries_of = cache(self._ask_for_entries)

    def from_group(self, group_id: str) -> Iterator[Finding]:
        try:
            group = self._group(group_id)
        except ResourceMissingError:
            yield Finding(
                what=f"security group {group_id}",
                found="nothing",
                expected="a group that Airflow, the indexer or the API runs in",
                remedy=self._side.file_line("vpc_endpoint.from_security_groups", ["<group>"]),
            )
            return
        is_neighbour = group.get("VpcId") == self._endpoint.vpc
        yield from self.into_endpoint(
            Peer(groups=frozenset({group_id})),
            group_id,
            {"UserIdGroupPairs": [{"GroupId": group_id}]},
            self._vpc_networks if is_neighbour else tuple,
        )
        endpoint = Peer(groups=frozenset(self._endpoint.groups))
        if not self._is_open(group.get("IpPermissionsEgress") or (), endpoint, self._subnet_networks):
            source = {"UserIdGroupPairs": [{"GroupId": self._endpoint.groups[0]}]}
            yield Finding(
                what=f"port {PORT} out of {group_id}",
                found="no rule",
                expected=f"a rule to {', '.join(self._endpoint.groups)}",
                remedy=self._line("authorize-security-group-egress", group_id, source),
            )

    def into_endpoint(
        self, peer: Peer, name: str, source: dict[str, Any], networks_of: Networks = tuple
    ) -> Iterator[Finding]:
        if not self._is_open(self._ingress, peer, networks_of):
            yield Finding(
                what=f"port {PORT} from {name}",
                found=f"no rule in {', '.join(self._endpoint.groups)}",
                expected="a rule that lets it in",
                remedy=self._line("authorize-security-group-ingress", self._endpoint.groups[0], source),
            )

    def _is_open(self, rules: Iterable[dict[str, Any]], peer: Peer, networks_of: Networks) -> bool:
        """By the peer itself, else by where it is, which is asked for only then."""
        if lets_through(rules, PORT, peer, self._entries_of):
            return True
        networks = networks_of()
        return bool(networks) and lets_through(rules, PORT, Peer(networks=networks), self._entries_of)

    def _line(self, operation: str, group_id: str, source: dict[str, Any]) -> str:
        permission = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, **source}
        return self._side.aws_line("ec2", operation, group_id=group_id, ip_permissions=[permission])

    def _group(self, group_id: str) -> Group:
        answer = self._side.aws.ask("ec2", "describe_security_groups", group_id, GroupIds=[group_id])
        if not answer["SecurityGroups"]:
            raise ResourceMissingError("ec2", "DescribeSecurityGroups", group_id)
        return dict(answer["SecurityGroups"][0])

    def _subnet_networks(self) -> tuple[Network, ...]:
        """Where the endpoint is."""
        subnets = list(self._endpoint.subnets)
        if not subnets:
            return ()
        answer = self._side.aws.ask("ec2", "describe_subnets", ", ".join(subnets), SubnetIds=subnets)
        return tuple(ip_network(one["CidrBlock"]) for one in answer["Subnets"])

    def _vpc_networks(self) -> tuple[Network, ...]:
        """Where a group of the same VPC may be."""
        vpc = self._endpoint.vpc
        found = self._side.aws.ask("ec2", "describe_vpcs", vpc, VpcIds=[vpc])["Vpcs"]
        blocks = [block for one in found for block in one.get("CidrBlockAssociationSet") or ()]
        return tuple(ip_network(block["CidrBlock"]) for block in blocks)

    def _ask_for_entries(self, prefix_list: str) -> Sequence[str]:
        answer = self._side.aws.ask(
            "ec2", "get_managed_prefix_list_entries", prefix_list, PrefixListId=prefix_list, MaxResults=100
        )
        entries = list(answer["Entries"])
        while token := answer.get("NextToken"):
            answer = self._side.aws.ask(
                "ec2",
                "get_managed_prefix_list_entries",
                prefix_list,
                PrefixListId=prefix_list,
                MaxResults=100,
                NextToken=token,
            )
            entries += answer["Entries"]
        return [entry["Cidr"] for entry in entries]
