"""Which names a service's own headers may have: none that another header could be taken for.

CGI, WSGI and PHP fold case, ``-``, ``_`` and ``.`` into one name (CVE-2025-64484), so they are folded here too.
"""

import re
from typing import Final

# Set by the edge on every request that it lets pass.
IDENTITY_HEADERS: Final = (
    "X-User-Id",
    "X-User-Email",
    "X-User-Roles",
    "X-Org-Id",
    "X-Session-Id",
    "X-Token-Type",
    "X-Service-Name",
    "X-Request-Id",
    "X-Latchwire-Assertion",
)
# What gateways, browsers and frameworks read: a claim there would be taken for their word.
_TAKEN: Final = (
    *IDENTITY_HEADERS,
    "X-CSRF-Token",
    "X-XSRF-Token",
    "X-Requested-With",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Rewrite-URL",
    "X-HTTP-Method",
    "X-HTTP-Method-Override",
    "X-Method-Override",
)
_TAKEN_FAMILIES: Final = ("x-forwarded-", "x-original-", "x-latchwire-", "x-envoy-", "x-accel-")


def folded(name: str) -> str:
    """*name* as every reader that folds would spell it."""
    return re.sub(r"[^a-z0-9]", "-", name.lower())


_FOLDED: Final = frozenset(map(folded, _TAKEN))


def is_taken(name: str) -> bool:
    """Whether *name*, in some reader's spelling, is already somebody's."""
    plain = folded(name)
    return plain in _FOLDED or plain == "x-forwarded" or plain.startswith(_TAKEN_FAMILIES)
