"""Whose word counts: only a configured proxy may say what was asked for."""

import ipaddress
from collections.abc import Iterable

MAX_REMEMBERED = 1024

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedPeers:
    """The proxies' networks; answers are remembered by address."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def trusts(self, address: str | None) -> bool:
        """Whether the peer at *address* is one of the proxies."""
        if address is None:
            return False
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._is_inside(address)
        return known

    def _is_inside(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)
