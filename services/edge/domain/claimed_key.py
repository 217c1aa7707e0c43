"""The key that a token names, for explanations only: nobody has checked that this key signed it."""

import re
from typing import Final

from latchwire._strict import decode_base64url, parse_json_object

MAX_HEADER_CHARACTERS: Final = 1024
_KID: Final = re.compile(r"[!-~]{1,255}", re.ASCII)


def claimed_kid(token: bytes) -> str:
    """The ``kid`` in the header of *token*; "" when there is none that could be a key's name."""
    segment = token.split(b".", 1)[0]
    if len(segment) > MAX_HEADER_CHARACTERS:
        return ""
    header = parse_json_object(decode_base64url(segment) or b"") or {}
    kid = header.get("kid")
    return kid if isinstance(kid, str) and _KID.fullmatch(kid) else ""
