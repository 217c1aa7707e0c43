"""The header lines that a door looks at; all others are not even read.

A door sees the lines that a decision may depend on and those in which its own proxy writes what was asked
for. Another proxy's lines, which a client may have sent, do not exist for it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from services.edge.domain.original import Fields

# Of one header in all of its lines: what the proxies themselves accept, or nearly, so a browser with many
# cookies is not sent away. Several lines are no way to more.
MAX_FIELD_BYTES: Final = 32 * 1024
MAX_LINES: Final = 64
_SPACE: Final = b" \t"  # around a value it is not part of it (RFC 9110 §5.5)

# Of every door, whatever the proxy.
_COMMON: Final = (
    "Authorization",
    "Cookie",
    "Origin",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Accept",
    "Referer",  # where a form was filled in
    "X-Requested-With",
    "X-Csrf-Token",
    "X-Latchwire-Assertion",  # of a service that calls on somebody's behalf
    "Access-Control-Request-Method",
    "X-Request-Id",
    "Traceparent",
    "Sec-Websocket-Key",  # as Go spells it
    "Upgrade",
)
# What else comes with most requests; knowing it by sight saves the lower().
_IGNORED: Final = (
    "Host",
    "User-Agent",
    "Accept-Encoding",
    "Accept-Language",
    "Connection",
    "Content-Type",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Real-Ip",
)


class FieldReader:
    """Reads the lines of one kind of proxy, whose own ones are *sources* (lower case)."""

    def __init__(self, sources: Iterable[str]) -> None:
        # By spelling; b"": known, and of no interest.
        self._known: Mapping[bytes, bytes] = {
            **{spelling: b"" for name in _IGNORED for spelling in _spellings(name)},
            **{s: n.lower().encode() for n in (*_COMMON, *sources) for s in _spellings(n)},
        }

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> Fields:
        """The lines by lower-case name, with every repetition.

        Nothing at all where one header has too many: then nobody knows what was asked for.
        """
        fields: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            key = self._known.get(name)
            if key is None:
                key = self._known.get(name.lower(), b"")
            if not key:
                continue
            values = fields.get(key)
            if values is None:
                fields[key] = [value.strip(_SPACE)]
            else:
                values.append(value.strip(_SPACE))
                if len(values) > MAX_LINES or sum(map(len, values)) > MAX_FIELD_BYTES:
                    return {}
        return fields


def _spellings(name: str) -> tuple[bytes, bytes]:
    return name.title().encode("ascii"), name.lower().encode("ascii")
