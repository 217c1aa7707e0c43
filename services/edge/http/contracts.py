"""What each proxy says and what it understands: measured at the real ones (docs/proxies.md).

=========  ================================  ============================================================
proxy      where it says what was asked for  what it makes of an answer
=========  ================================  ============================================================
traefik    X-Forwarded-*, its own            2xx passes; anything else goes to the client as it is
caddy      X-Forwarded-*, its own            the same
haproxy    X-Forwarded-*, our script's       the same, by our script; only 200 passes
nginx      X-Original-Method and -URL        2xx passes; 401 and 403 are the client's; the rest becomes 500
envoy      the check's own line and Host     200 passes; another 2xx and 3xx, 4xx go to the client; 5xx
                                             becomes its status_on_error, 503 in our configuration
=========  ================================  ============================================================
"""

from dataclasses import dataclass
from typing import Final

from services.edge.domain.sources import Source, forwarded, original_url, own_line

_FORWARDED: Final = (
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-uri",
)


@dataclass(frozen=True, slots=True)
class Contract:
    """One proxy. *lines*: the headers *source* reads. *redirects*: whether it hands a 302 or 303 on."""

    proxy: str
    source: Source
    lines: tuple[str, ...]
    redirects: bool = True


CONTRACTS: Final = (
    Contract("traefik", forwarded, _FORWARDED),
    Contract("caddy", forwarded, _FORWARDED),
    Contract("haproxy", forwarded, _FORWARDED),
    Contract("nginx", original_url, ("x-original-method", "x-original-url"), redirects=False),
    Contract("envoy", own_line, ("host", "x-forwarded-proto")),
)
