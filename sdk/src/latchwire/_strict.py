"""Base64url and JSON with exactly one spelling and one meaning (RFC 7515 §2, §4; RFC 7519 §4, §7.2).

Lenient decoders give one token several spellings, and several readers several meanings. Both functions
answer None for what they refuse and raise nothing, whatever the bytes.
"""

import base64
import binascii
import json
from typing import Any

# More brackets than any token or key set of ours needs. Counting them bounds the depth of the
# nesting before the recursive parser sees the first one.
MAX_BRACKETS = 64


def decode_base64url(segment: bytes) -> bytes | None:
    """The bytes of a canonical, unpadded base64url *segment*; None for every other spelling."""
    try:
        data = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        return None
    # The decoder skips foreign characters and ignores trailing bits; encoding again shows both.
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == segment else None


def parse_json_object(data: bytes, *, max_brackets: int = MAX_BRACKETS) -> dict[str, Any] | None:
    """The one JSON object in *data*: UTF-8 without BOM, no member twice, no NaN, bounded depth."""
    if data.count(b"{") + data.count(b"[") > max_brackets:
        return None
    try:
        # From str: json.loads guesses UTF-16 and UTF-32 only for bytes, and refuses a BOM in str.
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _no_constant(_name: str) -> Any:
    raise ValueError
