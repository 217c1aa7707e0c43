"""What an edge is told: where to listen, whom to believe, and how stale it may be."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.setting_types import (
    EDGE_NAME,
    LOOPBACK,
    Admin,
    Audience,
    Listen,
    MaxStaleness,
    TrustedProxies,
)
from shared.settings import BrowserSettings


class EdgeSettings(BrowserSettings):
    """Settings of one edge process."""

    edge_id: str = Field(
        default="edge-1",
        pattern=EDGE_NAME,
        description="this edge's name and the name of its credential",
    )
    catalogue: Path = Field(
        default=Path("services.yaml"), description="the file of the services behind the gateway"
    )
    edge_listen: Listen = "127.0.0.1:9000"
    edge_admin: Admin = "127.0.0.1:9001"
    audience: Audience = "latchwire"
    max_staleness: MaxStaleness = 10.0
    trusted_proxies: TrustedProxies = LOOPBACK
    edge_fast_path: Literal["on", "off"] = Field(
        default="on",
        description="`off`: every check goes through aiohttp, also the plain ones, with the same answers",
    )
