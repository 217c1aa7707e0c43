"""Traefik's static configuration: its doors, and whom it asks for routes."""

from collections.abc import Mapping
from typing import Any

from ctl.up.ports import LOOPBACK

ENTRY_POINT, INTERNAL = "web", "internal"


def traefik_static(doors: Mapping[str, int], routes: str) -> dict[str, Any]:
    """Traefik's static configuration: its doors, whom it asks for *routes*, no calls home.

    ``aliasHeadersStrategy``: upstreams that read headers like CGI take X_User_Id for X-User-Id.
    ``maxHeaderBytes``: instead of a megabyte, which is sent on to the edge.
    ``forwardedHeaders``: no peer is trusted, so what clients say about themselves is dropped.
    ``providersThrottleDuration``: its two seconds are for providers that say the same many times.
    """
    door = {
        "http": {"aliasHeadersStrategy": "delete", "maxHeaderBytes": 64 * 1024},
        "forwardedHeaders": {"insecure": False, "trustedIPs": []},
        "transport": {"lifeCycle": {"graceTimeOut": "2s"}},
    }
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "WARN"},
        "entryPoints": {
            name: {"address": f"{LOOPBACK}:{port}", **door} for name, port in doors.items()
        },
        "providers": {
            "providersThrottleDuration": "100ms",
            "http": {"endpoint": routes, "pollInterval": "200ms", "pollTimeout": "5s"},
        },
    }
