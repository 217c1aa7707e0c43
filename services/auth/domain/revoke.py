"""What becomes of a token that a client gives back (RFC 7009 §2.2)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Revoked:
    """Nothing can be done with the token any more, or never could."""


@dataclass(frozen=True)
class NotRevocable:
    """Refused: *error* as RFC 7009 §2.2.1 and RFC 6749 §5.2 name it."""

    error: Literal["unsupported_token_type", "invalid_grant"]
