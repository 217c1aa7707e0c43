"""The original request, as the proxy in front tells it: method, scheme, host and target, each once.

Each in exactly the form a proxy writes; what is missing is never guessed. Which of the check's own lines
say it is the proxy's contract (`services.edge.domain.sources`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

# Request headers by lower-case name: each line's raw value, in order.
Fields: TypeAlias = Mapping[bytes, list[bytes]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_METHOD: Final = re.compile(rb"[A-Z][A-Z-]{0,31}")
# A name without empty labels; one dot at its end is the same name, fully qualified (RFC 3986 §3.2.2).
_HOST: Final = re.compile(
    rb"(?:(?=[^:]{1,254}(?::|$))[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]{2,45}\])"
    rb"(?::[0-9]{1,5})?"
)
_TARGET: Final = re.compile(rb"/[\x21-\x7e]{0,8189}")
# Traefik's entry point names a WebSocket handshake ws or wss (traefik#6388).
_SCHEMES: Final = {
    b"http": ("http", False),
    b"https": ("https", False),
    b"ws": ("http", True),
    b"wss": ("https", True),
}


class Asking(NamedTuple):
    """What a proxy says it was asked for, as raw as it said it; nothing here has been looked at yet."""

    method: bytes
    proto: bytes
    host: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class Original:
    """What the client asked the proxy for. *target* is path and query, raw; *host* may have a port."""

    method: str
    scheme: str
    host: str
    target: str
    websocket: bool = False

    @property
    def origin(self) -> str:
        """The origin the browser sees, as it writes it in ``Origin``."""
        return f"{self.scheme}://{self.host.lower()}"

    @property
    def safe(self) -> bool:
        """Whether the method promises to change nothing (RFC 9110 §9.2.1); a WebSocket does not."""
        return self.method in SAFE_METHODS and not self.websocket


def one(fields: Fields, name: bytes) -> bytes | None:
    """The value of header *name* when it stands exactly once."""
    values = fields.get(name)
    return values[0] if values is not None and len(values) == 1 else None


def read_original(asking: Asking) -> Original | None:
    """The original request, or None when any of the four is odd."""
    method, proto, host, target = asking
    scheme = _SCHEMES.get(proto)
    if scheme is None:
        return None
    if not (_METHOD.fullmatch(method) and _HOST.fullmatch(host) and _TARGET.fullmatch(target)):
        return None
    return Original(method.decode(), scheme[0], host.decode(), target.decode(), scheme[1])


def is_websocket(original: Original, fields: Fields) -> bool:
    """Whether this opens a WebSocket (RFC 6455 §4.1), which no proxy needs to say in the scheme.

    Traefik's check lacks ``Upgrade`` but has the handshake's key; browsers also say it in Sec-Fetch-Mode.
    """
    return (
        original.websocket
        or b"sec-websocket-key" in fields
        or b"upgrade" in fields
        or one(fields, b"sec-fetch-mode") == b"websocket"
    )


def is_preflight(original: Original, fields: Fields) -> bool:
    """Whether this is a real CORS preflight, which carries no credentials by design (Fetch §4.8)."""
    return (
        original.method == "OPTIONS"
        and bool(one(fields, b"origin"))
        and _METHOD.fullmatch(one(fields, b"access-control-request-method") or b"") is not None
    )
