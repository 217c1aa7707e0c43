"""Whether a name is this machine's, as far as it can tell: what answers there is then our own listener."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

Resolve = Callable[[str], Awaitable[frozenset[str]]]
ANY_PORT = 9  # nothing is sent there


class NotThisMachineError(Exception):
    """The name leads somewhere else too, or nowhere; the message says where."""


async def resolve(name: str) -> frozenset[str]:
    """Every address of *name*. Raises: OSError: it has none here."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(str(row[4][0]) for row in found)


async def own_addresses(name: str, ask: Resolve = resolve) -> frozenset[str]:
    """Those of *name*, all of them this machine's.

    Raises:
        NotThisMachineError: one is not, or there is none.
    """
    try:
        found = await ask(name)
    except (OSError, UnicodeError):  # too long a label is no OSError
        found = frozenset()
    if not found:
        raise NotThisMachineError(f"{name} is not known to this machine")
    for address in sorted(found):
        if not is_own(address):
            leads = name if address == name else f"{name} leads to {address}, which"
            raise NotThisMachineError(f"{leads} is not this machine")
    return found


def is_own(address: str) -> bool:
    """Whether *address* is one of this machine's: to such a one the kernel would speak from itself.

    To bind it would prove less: where ``ip_nonlocal_bind`` is on, everything can be bound. But the kernel
    connects nothing from an address of IPv4 that is not its own, and to a second one of a network it would by
    itself speak from the first.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return True
    if parsed.is_unspecified or parsed.is_multicast:
        return False  # where it leads depends on who asks, or it is many machines'
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            if parsed.version == 4:
                probe.bind((address, 0))
            probe.connect((address, ANY_PORT))
            return str(probe.getsockname()[0]) == address
    except OSError:
        return False  # there is no way to it
