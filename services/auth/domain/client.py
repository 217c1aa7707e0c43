"""Who asks, as far as it may be kept and shown: a network and a browser's name.

A full address is personal data that nothing here needs: limits count per network, and the person who
reads "from Firefox on Linux, network 203.0.113.0/24" can tell a stranger by it.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# The first word found names the browser: later ones also claim to be the earlier ones' engines.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class Client:
    """*network* is a /24 or /64 ("" when unknown), *user_agent* a name such as "Firefox on Linux"."""

    network: str = ""
    user_agent: str = ""


UNKNOWN = Client()


def describe_network(address: str) -> str:
    """The /24 (IPv4, also IPv4 mapped into IPv6) or /64 (IPv6) of *address*; "" when it is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    length = 24 if parsed.version == 4 else 64
    # By the packed bytes: a scope id ("fe80::1%eth0") is no part of a network.
    return str(ipaddress.ip_network((parsed.packed, length), strict=False))


def wider_networks(network: str) -> tuple[str, str, str]:
    """A /64 of `describe_network` with the /56 and the /48 around it; anything else three times."""
    if ":" not in network:
        return network, network, network
    parsed = ipaddress.ip_network(network)
    return network, str(parsed.supernet(new_prefix=56)), str(parsed.supernet(new_prefix=48))


def describe_browser(user_agent: str) -> str:
    """A browser's and a system's name; only words of ours, never the header's own text."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    return " on ".join(part for part in (browser, system) if part) or "an unknown browser"


def find_address(peer: str, forwarded: Sequence[str], trusted: Iterable[IPNetwork]) -> str:
    """The client's address: *peer*, unless that is a proxy of ours.

    *forwarded* are the values of X-Forwarded-For in order. They are read from the right, one hop for each
    trusted proxy, because everything left of the last untrusted address is the client's own invention.
    """
    networks = tuple(trusted)
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    address = peer
    while hops and is_within(address, networks):
        candidate = hops.pop()
        if not _is_address(candidate):
            break
        address = candidate
    return address


def is_within(address: str, networks: Iterable[IPNetwork]) -> bool:
    """Whether *address* is one of *networks*."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for mark, name in table if mark in text), "")
