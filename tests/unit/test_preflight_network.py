"""The way through the VPC where local servers have no answer: prefix lists, peered networks, domains without a VPC."""

from typing import Any

import pytest

from dynamo_opensearch.core.errors import AccessDeniedError
from dynamo_opensearch.core.preflight.checklist import run_check
from dynamo_opensearch.core.preflight.findings import CheckResult
from tests.support import remedies
from tests.support.scripted_control_plane import scripted_side

OPEN = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
BY_LIST = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": "pl-1"}]}]
BY_VPC = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}]


def group(group_id: str, vpc: str = "vpc-1", ingress: Any = (), egress: Any = OPEN) -> dict[str, Any]:
    return {"GroupId": group_id, "VpcId": vpc, "IpPermissions": ingress, "IpPermissionsEgress": egress}


def check(*groups: dict[str, Any], settings: dict[str, Any] | None = None, **answers: Any) -> CheckResult:
    by_id = {one["GroupId"]: one for one in groups}
    endpoint = {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "State": "available",
        "VpcId": "vpc-1",
        "SubnetIds": ["subnet-1"],
        "Groups": [{"GroupId": "sg-endpoint"}],
    }
    scripted = {
        "ec2.describe_vpc_endpoints": {"VpcEndpoints": [endpoint]},
        "ec2.describe_security_groups": lambda GroupIds: {"SecurityGroups": [by_id[GroupIds[0]]]},  # noqa: N803
        "ec2.describe_vpcs": {"Vpcs": [{"CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/16"}]}]},
        **{name.replace("__", "."): answer for name, answer in answers.items()},
    }
    return run_check("vpc_endpoint", scripted_side(scripted, {"vpc_endpoint": {"id": "vpce-1", **(settings or {})}}))


def test_a_rule_for_the_whole_vpc_lets_every_group_of_it_in() -> None:
    found = check(group("sg-endpoint", ingress=BY_VPC), group("sg-a"), settings={"from_security_groups": ["sg-a"]})
    assert found.state == "passed", str(found)


def test_a_group_that_may_reach_the_endpoints_subnets_only_gets_through() -> None:
    narrow = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.1.0/24"}]}]
    groups = group("sg-endpoint", ingress=BY_VPC), group("sg-a", egress=narrow)
    settings = {"from_security_groups": ["sg-a"]}
    for cidr, what in (("10.0.1.0/25", []), ("10.0.2.0/24", ["port 443 out of sg-a"])):
        answer = {"Subnets": [{"SubnetId": "subnet-1", "CidrBlock": cidr}]}
        found = check(*groups, settings=settings, ec2__describe_subnets=answer)
        assert [one.what for one in found.findings] == what


def test_addresses_are_asked_for_only_where_rules_are_for_addresses() -> None:
    named = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": "sg-a"}]}]
    refusing = AccessDeniedError("ec2", "ec2:DescribeVpcs", "vpc-1", "UnauthorizedOperation")
    answers = {"ec2__describe_vpcs": refusing, "ec2__describe_subnets": refusing}
    settings = {"from_security_groups": ["sg-a"]}
    assert check(group("sg-endpoint", ingress=named), group("sg-a"), settings=settings, **answers).state == "passed"


def test_a_group_of_a_peered_vpc_must_be_named() -> None:
    settings = {"from_security_groups": ["sg-a"]}
    found = check(group("sg-endpoint", ingress=BY_VPC), group("sg-a", vpc="vpc-2"), settings=settings)
    assert [one.what for one in found.findings] == ["port 443 from sg-a"]
    named = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": "sg-a"}]}]
    assert check(group("sg-endpoint", ingress=named), group("sg-a", vpc="vpc-2"), settings=settings).state == "passed"


def test_all_pages_of_a_prefix_list_are_read_and_once() -> None:
    asked: list[Any] = []

    def entries(**arguments: Any) -> dict[str, Any]:
        asked.append(arguments.get("NextToken"))
        if "NextToken" in arguments:
            return {"Entries": [{"Cidr": "10.20.0.0/16"}, {"Cidr": "10.30.0.0/16"}]}
        return {"Entries": [{"Cidr": "10.10.0.0/16"}], "NextToken": "more"}

    settings = {"from_cidrs": ["10.20.1.0/24", "10.30.0.0/16"]}
    answers = {"ec2__get_managed_prefix_list_entries": entries}
    assert check(group("sg-endpoint", ingress=BY_LIST), settings=settings, **answers).state == "passed"
    assert asked == [None, "more"]
    found = check(group("sg-endpoint", ingress=BY_LIST), settings={"from_cidrs": ["10.40.0.0/16"]}, **answers)
    assert [one.what for one in found.findings] == ["port 443 from 10.40.0.0/16"]


def test_an_address_range_of_ipv6_is_let_in_by_rules_for_ipv6() -> None:
    six = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}]}]
    settings = {"from_cidrs": ["fd00:1::/32"]}
    assert check(group("sg-endpoint", ingress=six), settings=settings).state == "passed"
    (finding,) = check(group("sg-endpoint", ingress=BY_VPC), settings=settings).findings
    assert '"Ipv6Ranges":[{"CidrIpv6":"fd00:1::/32"}]' in finding.remedy
    remedies.check_line(finding.remedy)


def domain(**changes: Any) -> CheckResult:
    status = {"ARN": "arn:aws:es:eu-central-1:1:domain/search", "Created": True, "Deleted": False, **changes}
    settings = {"vpc_endpoint": {"id": "search", "subnets": ["subnet-1"], "from_cidrs": ["10.0.0.0/16"]}}
    return run_check("vpc_endpoint", scripted_side({"opensearch.describe_domain": {"DomainStatus": status}}, settings))


GROUPS = "security groups of the endpoint"
IN_VPC = {"VPCId": "vpc-1", "SubnetIds": ["subnet-1"]}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {"kind": "public domain", "subnets": "none", GROUPS: "none"}),
        ({"Created": False, "VPCOptions": IN_VPC}, {"state": "being created", GROUPS: "none"}),
        ({"Deleted": True, "VPCOptions": IN_VPC}, {"state": "deleted", GROUPS: "none"}),
        ({"VPCOptions": {**IN_VPC, "SubnetIds": ["subnet-2"]}}, {"subnets": "subnet-2", GROUPS: "none"}),
    ],
)
def test_a_domain_outside_a_vpc_or_on_its_way_leads_nowhere(changes: dict[str, Any], found: dict[str, str]) -> None:
    findings = {one.what: one for one in domain(**changes).findings}
    assert {what: one.found for what, one in findings.items()} == found
    for what, one in findings.items():
        for line in remedies.commands(one.remedy):
            remedies.check_line(line)
        if what == "state":
            assert "aws opensearch describe-domain --domain-name search" in one.remedy
        if what in ("subnets", GROUPS):
            assert "aws opensearch update-domain-config --domain-name search" in one.remedy


def test_further_subnets_of_a_managed_endpoint_come_with_those_that_it_has() -> None:
    endpoint = {
        "VpcEndpointId": "aos-1",
        "Status": "ACTIVE",
        "VpcOptions": {"VPCId": "vpc-1", "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-endpoint"]},
    }
    settings = {"vpc_endpoint": {"id": "aos-1", "subnets": ["subnet-1", "subnet-2"]}}
    side = scripted_side({"opensearch.describe_vpc_endpoints": {"VpcEndpoints": [endpoint]}}, settings)
    (finding,) = run_check("vpc_endpoint", side).findings
    assert "aws opensearch update-vpc-endpoint --vpc-endpoint-id aos-1" in finding.remedy
    assert '{"SecurityGroupIds":["sg-endpoint"],"SubnetIds":["subnet-1","subnet-2"]}' in finding.remedy
    remedies.check_line(finding.remedy)


def test_an_endpoint_of_opensearch_service_that_is_not_there_is_said_so() -> None:
    side = scripted_side(
        {"opensearch.describe_vpc_endpoints": {"VpcEndpoints": [], "VpcEndpointErrors": []}},
        {"vpc_endpoint": {"id": "aos-1"}},
    )
    (finding,) = run_check("vpc_endpoint", side).findings
    assert finding.what == "endpoint aos-1"
    for line in remedies.commands(finding.remedy):
        remedies.check_line(line)
