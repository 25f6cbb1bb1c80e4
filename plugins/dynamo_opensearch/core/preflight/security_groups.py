"""What rules of security groups let through. Pure, but for the entries of prefix lists, which are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
_TCP = ("tcp", "6")
_ALL_PROTOCOLS = "-1"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The other end of a connection: any of these security groups, or all of these networks."""

    groups: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()


def lets_through(
    permissions: Iterable[Mapping[str, Any]],
    port: int,
    peer: Peer,
    entries_of: Callable[[str], Sequence[str]],
) -> bool:
    """Whether TCP to or from the peer passes, by rules as EC2 describes them (``IpPermissions``, ``…Egress``).

    A group passes where a rule names it, or where rules for addresses cover all of the peer's networks: then it does
    not matter which address a member has. Of a peer without networks nothing is known: only rules for every address
    cover it. ``entries_of``: the networks of a prefix list.
    """
    rules = [rule for rule in permissions if _covers_port(rule, port)]
    if any(pair.get("GroupId") in peer.groups for rule in rules for pair in rule.get("UserIdGroupPairs") or ()):
        return True
    open_to = list(_networks(rules, entries_of))
    if not peer.networks:
        return any(one.prefixlen == 0 for one in open_to)
    return all(_is_covered(network, open_to) for network in peer.networks)


def _covers_port(rule: Mapping[str, Any], port: int) -> bool:
    protocol = str(rule.get("IpProtocol"))
    if protocol == _ALL_PROTOCOLS:
        return True
    return protocol in _TCP and int(rule.get("FromPort", 0)) <= port <= int(rule.get("ToPort", 65_535))


def _networks(rules: Iterable[Mapping[str, Any]], entries_of: Callable[[str], Sequence[str]]) -> Iterator[Network]:
    for rule in rules:
        yield from (ip_network(one["CidrIp"]) for one in rule.get("IpRanges") or ())
        yield from (ip_network(one["CidrIpv6"]) for one in rule.get("Ipv6Ranges") or ())
        for one in rule.get("PrefixListIds") or ():
            yield from map(ip_network, entries_of(one["PrefixListId"]))


def _is_covered(network: Network, open_to: Iterable[Network]) -> bool:
    """By one range, or by several that lie beside each other."""
    if isinstance(network, IPv4Network):
        ranges4 = collapse_addresses(one for one in open_to if isinstance(one, IPv4Network))
        return any(network.subnet_of(one) for one in ranges4)
    ranges6 = collapse_addresses(one for one in open_to if isinstance(one, IPv6Network))
    return any(network.subnet_of(one) for one in ranges6)
