"""What an edge is told: where to listen, whom to believe, and how stale it may be."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from shared.catalogue import MAX_STALENESS_SECONDS, parse_duration
from shared.settings import WorkerSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# Shorter prefixes than the private networks have name everyone, whatever was meant.
SHORTEST_PREFIX = {4: 8, 6: 7}


def _networks(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


def _seconds(value: Any) -> Any:
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        return parse_duration(value)
    return value


class EdgeSettings(WorkerSettings):
    """Settings of one edge process."""

    edge_id: str = Field(default="edge-1", pattern=r"^edge[a-z0-9-]{0,60}$")
    catalogue: Path = Path("services.yaml")
    edge_listen: str = "127.0.0.1:9000"
    edge_admin: str = "127.0.0.1:9001"
    audience: str = "latchwire"
    cookie_domain: str | None = None
    max_staleness: Annotated[float, BeforeValidator(_seconds)] = Field(
        default=10.0, ge=1, le=MAX_STALENESS_SECONDS, description="seconds, or 10s"
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        default=LOOPBACK, description="CIDRs of the proxies whose X-Forwarded-* count"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _somebody_but_not_everybody(cls, value: tuple[Network, ...]) -> tuple[Network, ...]:
        if not value:
            raise ValueError("name at least one proxy")
        for network in value:
            if network.prefixlen < SHORTEST_PREFIX[network.version]:
                raise ValueError(
                    f"{network} trusts everyone to say what was asked for: name the proxy's network"
                )
        return value
