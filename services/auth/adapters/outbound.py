"""The one way out: HTTP to providers, bounded in time, size and direction.

No redirect is followed, no proxy and no cookie is used. The guard looks at the very address a socket is about
to be connected to, whatever name or literal led there, so that DNS cannot lead it elsewhere in between.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from services.auth.domain.plain_json import NotPlainJSONError, parse_plain_json
from services.auth.ports.providers import ProviderBrokenError, ProviderUnavailableError

log = structlog.get_logger()

CONNECT_SECONDS = 4.0
MAX_BYTES = 256 * 1024
CONNECTIONS = 32
USER_AGENT = "auth"  # GitHub refuses requests without one
# What is not called private, yet answers only inside a cloud (Azure's, Oracle's), or translates to IPv4.
_INSIDE = (
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"),
)

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, Any]


class InsideAddressError(OSError):
    """A provider's name leads to an address inside: loopback, link-local, private, metadata."""


@dataclass(frozen=True)
class Fetched:
    """An answer: its status and the JSON in it."""

    status: int
    document: Any


def is_outside(address: str) -> bool:
    """Whether *address* is one of the public internet."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    inside = any(parsed in network for network in _INSIDE if network.version == parsed.version)
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or inside)


def guarded_socket(info: AddressInfo) -> socket.socket:
    """A socket for *info*. Raises: InsideAddressError."""
    family, kind, protocol, _name, address = info
    if not is_outside(str(address[0])):
        raise InsideAddressError
    return socket.socket(family, kind, protocol)


class Outbound:
    """A client for providers; *allow_private* ones may be on this machine and speak plain HTTP."""

    def __init__(self, *, allow_private: bool, seconds: float) -> None:
        self._allow_private = allow_private
        self._timeout = ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        self._session: ClientSession | None = None

    async def __aenter__(self) -> "Outbound":
        guard = {} if self._allow_private else {"socket_factory": guarded_socket}
        self._session = ClientSession(
            connector=TCPConnector(limit=CONNECTIONS, **guard),  # type: ignore[arg-type]
            cookie_jar=DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,  # a few bytes could unfold to gigabytes
            trust_env=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, url: str, *, bearer: str = "") -> Fetched:
        """GET *url*. Raises: ProviderUnavailableError, ProviderBrokenError."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return await self._send("GET", url, headers, None)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Fetched:
        """POST *form* to *url*. Raises: ProviderUnavailableError, ProviderBrokenError."""
        return await self._send("POST", url, headers, form)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Fetched:
        assert self._session is not None
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                headers={"Accept": "application/json", **headers},
                data=form,
                allow_redirects=False,
            ) as response:
                return await _read(response)
        except (ClientError, OSError, TimeoutError) as error:
            # By the kind alone: what it says may have addresses and codes in it.
            log.warning("provider.unreachable", error=type(error).__name__)
            raise ProviderUnavailableError from error
        except ValueError as error:
            raise ProviderBrokenError("address") from error


async def _read(response: ClientResponse) -> Fetched:
    """Judge by the head, then read no more than may be there."""
    if response.status >= 500 or response.status == 429:
        raise ProviderUnavailableError
    if 300 <= response.status < 400:
        raise ProviderBrokenError("redirect")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProviderBrokenError("encoding")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise ProviderBrokenError("too_large")
    try:
        return Fetched(response.status, parse_plain_json(bytes(body)))
    except NotPlainJSONError as error:
        raise ProviderBrokenError("not_json") from error
