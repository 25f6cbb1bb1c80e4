"""What rules of security groups let through, held against every single address."""

from ipaddress import IPv4Network, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_opensearch.core.preflight.security_groups import Peer, lets_through

PORT = 443
INDEXER = "sg-indexer"


def rule(protocol: str = "tcp", first: int = PORT, last: int = PORT, **sources: Any) -> dict[str, Any]:
    ports = {} if protocol == "-1" else {"FromPort": first, "ToPort": last}
    return {"IpProtocol": protocol, **ports, **sources}


def by_group(group: str = INDEXER, **more: Any) -> dict[str, Any]:
    return rule(UserIdGroupPairs=[{"GroupId": group, "UserId": "000000000000"}], **more)


def by_range(cidr: str, **more: Any) -> dict[str, Any]:
    return rule(IpRanges=[{"CidrIp": cidr}], **more)


def lets(*rules: dict[str, Any], group: str = INDEXER, networks: tuple[str, ...] = (), **lists: list[str]) -> bool:
    peer = Peer(groups=frozenset({group}), networks=tuple(map(ip_network, networks)))
    return lets_through(rules, PORT, peer, lambda name: lists[name])


def test_a_rule_that_names_the_group_lets_it_through() -> None:
    assert lets(by_group())
    assert not lets(by_group("sg-other"))
    assert not lets()


@pytest.mark.parametrize(
    ("protocol", "first", "last", "passes"),
    [
        ("tcp", 443, 443, True),
        ("tcp", 0, 65_535, True),
        ("6", 400, 500, True),
        ("-1", -1, -1, True),
        ("tcp", 80, 80, False),
        ("tcp", 444, 65_535, False),
        ("udp", 443, 443, False),
        ("icmp", -1, -1, False),
    ],
)
def test_protocol_and_ports_of_a_rule_count(protocol: str, first: int, last: int, passes: bool) -> None:
    assert lets(by_group(protocol=protocol, first=first, last=last)) is passes


def test_a_group_passes_by_addresses_only_where_all_that_its_members_may_have_are_let_in() -> None:
    assert lets(by_range("10.0.0.0/8"), networks=("10.0.0.0/16",))
    assert lets(by_range("10.0.0.0/8"), networks=("10.0.0.0/16", "10.1.0.0/16"))
    assert not lets(by_range("10.0.0.0/16"), networks=("10.0.0.0/16", "10.1.0.0/16"))
    assert not lets(by_range("10.0.1.0/24"), networks=("10.0.0.0/16",))
    assert not lets(by_range("10.0.0.0/8")), "nothing is known of the group's addresses"
    assert lets(by_range("0.0.0.0/0")), "it has one, whichever"


def test_two_ranges_beside_each_other_are_one() -> None:
    assert lets(by_range("10.0.0.0/17"), by_range("10.0.128.0/17"), networks=("10.0.0.0/16",))


def test_addresses_of_both_versions_are_told_apart() -> None:
    six = rule(Ipv6Ranges=[{"CidrIpv6": "fd00::/8"}])
    assert lets(six, networks=("fd00:1::/32",))
    assert not lets(six, networks=("10.0.0.0/16",))
    assert not lets(six, networks=("fd00:1::/32", "10.0.0.0/16"))


def test_the_entries_of_a_prefix_list_are_ranges() -> None:
    listed = rule(PrefixListIds=[{"PrefixListId": "pl"}])
    assert lets(listed, networks=("10.0.0.0/16",), pl=["10.0.0.0/8"])
    assert not lets(listed, networks=("10.0.0.0/16",), pl=["10.1.0.0/16"])


small = st.builds(
    lambda address, bits: IPv4Network((address & ~((1 << bits) - 1), 32 - bits)),
    st.integers(0x0A000000, 0x0A00003F),
    st.integers(0, 6),
)


@given(st.lists(small, max_size=5), small)
def test_a_network_passes_exactly_where_each_of_its_addresses_does(
    ranges: list[IPv4Network], wanted: IPv4Network
) -> None:
    rules = [by_range(str(one)) for one in ranges]
    peer = Peer(networks=(wanted,))
    each = all(any(address in one for one in ranges) for address in wanted)
    assert lets_through(rules, PORT, peer, lambda _name: ()) is each
