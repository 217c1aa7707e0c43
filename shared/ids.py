"""Identifiers and randomness, injected: the only module that may draw entropy."""

import base64
import secrets
from typing import Protocol

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in CROCKFORD for low in CROCKFORD]  # two characters are ten bits


class Ids(Protocol):
    """Where identifiers and secrets come from."""

    def ulid(self, now_ms: int) -> str:
        """A ULID: 26 Crockford base-32 characters that sort by *now_ms*."""
        ...

    def secret(self) -> str:
        """256 random bits as 43 characters of base64url."""
        ...

    def random(self) -> float:
        """A number in [0, 1) for jitter, never for secrets."""
        ...


def encode_ulid(now_ms: int, entropy: bytes) -> str:
    """The ULID of *now_ms* (48 bits) and ten bytes of *entropy*."""
    number = (now_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy, "big")
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def b64url(data: bytes) -> str:
    """Base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class SystemIds:
    """Identifiers from the operating system's random source."""

    def ulid(self, now_ms: int) -> str:
        return encode_ulid(now_ms, secrets.token_bytes(10))

    def secret(self) -> str:
        return b64url(secrets.token_bytes(32))

    def random(self) -> float:
        return secrets.randbelow(1 << 53) / (1 << 53)
