"""Whether an address is this machine's own."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """True for localhost and for the loopback ranges of IPv4 and IPv6; names are not looked up."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
