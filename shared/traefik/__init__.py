"""Traefik's dynamic configuration, rendered from the catalogue: who is routed where, and past which check.

Every service of the catalogue goes through the edge, the open paths too: there the edge answers with
empty identity headers, which is what removes the ones a client may have sent (SECURITY.md, F-01).
Each has a middleware of its own, which tells the edge what Traefik chose: where the edge reads the request
otherwise, it refuses, and so no difference between the two readings opens anything. It names the entry too, so
that an upstream which Traefik still calls by an earlier catalogue is not opened by the rules for another one.

gateway.py   where the parts are       routers.py   who is routed where, and in which order past what
check.py     the question to the edge  shields.py   rate limits, CORS, security headers
labels.py    the same as labels
"""

from shared.traefik.check import CHECK_HEADERS, IDENTITY_HEADERS, aliases_of, forward_auth
from shared.traefik.gateway import Gateway
from shared.traefik.labels import labels_of
from shared.traefik.routers import path_rule, render

__all__ = [
    "CHECK_HEADERS",
    "IDENTITY_HEADERS",
    "Gateway",
    "aliases_of",
    "forward_auth",
    "labels_of",
    "path_rule",
    "render",
]
