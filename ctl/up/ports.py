"""Ports: the two that people type are fixed, all others are whatever is free."""

import socket
from collections.abc import Iterable
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether *port* can be listened on at loopback, in IPv4 and (where there is one) IPv6.

    Both are asked because a browser may try ``::1`` first for ``localhost`` and would meet a stranger there.
    """
    if not _can_bind(socket.AF_INET, (LOOPBACK, port)):
        return False
    return not _has_ipv6() or _can_bind(socket.AF_INET6, ("::1", port))


def choose(names: Iterable[str], wanted: dict[str, int]) -> dict[str, int]:
    """A port for each name: the wanted one, else a free one; all different."""
    chosen: dict[str, int] = {}
    with ExitStack() as held:
        for name in names:
            if name in wanted:
                chosen[name] = wanted[name]
                continue
            # Held until all are chosen, so that the system does not offer one twice.
            listener = held.enter_context(socket.socket())
            listener.bind((LOOPBACK, 0))
            chosen[name] = listener.getsockname()[1]
    return chosen


def _can_bind(family: int, address: tuple[str, int]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without this a port whose last user has just ended would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
        return True


def _has_ipv6() -> bool:
    return socket.has_ipv6 and _can_bind(socket.AF_INET6, ("::1", 0))
